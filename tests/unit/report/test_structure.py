import dataclasses

import numpy as np

from sis_engine.records import Frame, Purpose
from sis_engine.report.page import render_report
from sis_engine.report.scenes import scenes
from sis_engine.report.structure import chosen_pairs, compare_pairs, reference_frames
from tests.unit.report import synthetic
from tests.unit.report.page_reading import Page

CELL = 9.0 * np.eye(3)


def boxed(frame: Frame) -> Frame:
    return Frame(frame.species, frame.positions, CELL, (True, True, True))


def periodic(record):
    """The same generation in a box."""
    runs = tuple(
        dataclasses.replace(
            run,
            frames=tuple(dataclasses.replace(f, frame=boxed(f.frame)) for f in run.frames),
        )
        for run in record.explorations
    )
    outcomes = tuple(
        dataclasses.replace(
            outcome,
            labelled=tuple(dataclasses.replace(x, frame=boxed(x.frame)) for x in outcome.labelled),
        )
        for outcome in record.test_outcomes
    )
    return dataclasses.replace(record, explorations=runs, test_outcomes=outcomes)


def test_pairs_of_rare_elements_come_first():
    pairs = chosen_pairs(synthetic.SPECIES)
    assert pairs[0] == ("Li", "N")
    assert all("Li" in pair for pair in pairs[:5])
    assert ("Li", "Li") not in pairs  # there is one


def test_a_periodic_system_has_a_radial_distribution_and_a_cell():
    records = (periodic(synthetic.generation_zero()),)
    found = compare_pairs(records)
    assert {item.kind for item in found} == {"g(r)"}
    scene = scenes(records)[0]
    assert scene.cell == tuple(CELL.ravel())
    assert Page(render_report(records, synthetic.facts(generation=0))).faults == []


def test_the_caption_says_when_the_reference_is_not_an_equilibrium_sample():
    record = dataclasses.replace(synthetic.generation_one(), test_outcomes=())
    source, frames = reference_frames((record,), synthetic.SYSTEM.name)
    assert "not an equilibrium sample" in source
    assert len(frames) == 90
    assert Purpose.SEGMENT in {item.purpose for item in record.outcomes}


def test_without_frames_there_is_no_comparison():
    record = dataclasses.replace(synthetic.generation_zero(), explorations=(), lives=())
    assert compare_pairs((record,)) == ()

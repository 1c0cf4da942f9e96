"""A suspect that the labeler agreed with is suspicious no more."""

from dataclasses import replace

import numpy as np
import pytest

from monitors.energy import EnergyConfig, EnergyMonitor
from monitors.geometry import GeometryConfig, GeometryMonitor
from sis_engine.analysis.support import union, widened, with_labels
from sis_engine.records import (
    Frame,
    Label,
    Labelled,
    LevelOfTheory,
    MdFrame,
    Origin,
    PairDistance,
    Purpose,
    Quantity,
)
from sis_engine.testing.synthetic import example_context, healthy_trace, planted

CONTEXT = example_context()
SUPPORT = CONTEXT.support


def label(energy):
    return Label(energy, np.full((32, 3), 1.0))


def test_an_energy_suspect_passes_afterwards():
    low = SUPPORT.energy_min - 1.0
    trace = planted(healthy_trace(CONTEXT), Quantity.POTENTIAL_ENERGY, 4000.0, low)
    monitor = EnergyMonitor(EnergyConfig())
    found = monitor.judge(trace, (), CONTEXT)
    before = next(v for v in found if v.criterion.startswith("potential_energy below"))
    assert before.suspect
    frame = MdFrame(CONTEXT.system.frame, 4000.0, energy=low)
    # The label is a little higher than the model: the range must take in the model's energy too.
    after = replace(CONTEXT, support=widened(SUPPORT, frame, label(low + 0.3)))
    same = [v for v in monitor.judge(trace, (), after) if v.criterion == before.criterion]
    assert same == []


def test_a_geometry_suspect_passes_afterwards_and_the_energy_range_stays():
    species = CONTEXT.system.frame.species
    positions = np.array(CONTEXT.system.frame.positions)
    first, second = species.index("O"), species.index("H")
    positions[second] = positions[first] + (0.0, 0.0, 0.97)
    frame = MdFrame(Frame(species, positions), 4000.0, energy=SUPPORT.energy_mean)
    monitor, trace = GeometryMonitor(GeometryConfig()), healthy_trace(CONTEXT)
    assert monitor.judge(trace, (frame,), CONTEXT)[0].suspect
    wider = widened(SUPPORT, frame, label(SUPPORT.energy_mean))
    assert monitor.judge(trace, (frame,), replace(CONTEXT, support=wider)) == ()
    assert (wider.energy_min, wider.energy_max) == (SUPPORT.energy_min, SUPPORT.energy_max)


def test_what_was_right_for_an_earlier_model_widens_by_its_label_alone():
    told = Labelled(
        CONTEXT.system.frame,
        label(SUPPORT.energy_max + 1.0),
        LevelOfTheory("fake", "1", "fake"),
        Origin(Purpose.SUSPECT, 1, "example", "r0", 0),
        "1",
        0.1,
    )
    wider = with_labels(SUPPORT, [told])
    assert wider.energy_max == SUPPORT.energy_max + 1.0
    assert wider.energy_min == SUPPORT.energy_min
    assert with_labels(SUPPORT, []) is SUPPORT


def test_the_union_covers_both():
    other = replace(
        SUPPORT,
        energy_min=SUPPORT.energy_min - 1.0,
        energy_max=SUPPORT.energy_max - 1.0,
        max_force=20.0,
        distances=(PairDistance(("H", "O"), 0.96),),
    )
    both = union(SUPPORT, other)
    assert both.energy_min == other.energy_min
    assert both.energy_max == SUPPORT.energy_max
    assert both.max_force == 20.0
    assert {d.pair: d.shortest_angstrom for d in both.distances}[("H", "O")] == pytest.approx(0.96)
    assert union(None, other) is other
    assert union(SUPPORT, None) is SUPPORT

"""Distances, pair by pair, and neighbours against ``sel``."""

from dataclasses import replace

import numpy as np
import pytest

from monitors.geometry import GeometryConfig, GeometryMonitor
from sis_engine.records import Frame, MdFrame, PairDistance, Quantity, System
from sis_engine.testing.synthetic import example_context, healthy_trace, planted

MONITOR = GeometryMonitor(GeometryConfig())
CONTEXT = example_context()
TRACE = healthy_trace(CONTEXT)

BONDS = {  # Å, equilibrium (CRC Handbook); a healthy one must be allowed with its thermal stretch
    ("H", "H"): 0.741,
    ("C", "H"): 1.087,
    ("H", "O"): 0.958,
    ("N", "N"): 1.098,
    ("C", "O"): 1.128,
    ("C", "N"): 1.157,
    ("C", "C"): 1.203,
    ("O", "O"): 1.208,
    ("O", "S"): 1.413,
    ("F", "S"): 1.56,
    ("F", "Li"): 1.564,
    ("F", "F"): 1.412,
}


def moved(pair, distance, time_fs=500.0):
    """A frame in which the first atoms of two elements are ``distance`` apart."""
    species = CONTEXT.system.frame.species
    first, second = species.index(pair[0]), species.index(pair[1])
    positions = np.array(CONTEXT.system.frame.positions)
    positions[second] = positions[first] + (0.0, 0.0, distance)
    frame = Frame(species, positions)
    return MdFrame(frame, time_fs), (first, second)


def rules_of(pair, context=CONTEXT):
    return [rule for rule in MONITOR.halt_rules(context) if rule.pair == pair]


@pytest.mark.parametrize("pair", BONDS, ids="-".join)
def test_the_hard_limit_allows_every_bond_there_is(pair):
    system = System("two", Frame((*pair, *pair), np.arange(12.0).reshape(4, 3)))
    (rule,) = rules_of(pair, replace(CONTEXT, system=system, support=None))
    assert rule.limit < 0.88 * BONDS[pair]
    assert not rule.suspect


def test_a_collapsed_pair_is_a_catastrophe_that_names_its_atoms():
    frame, atoms = moved(("C", "H"), 0.5)
    verdict = next(v for v in MONITOR.judge(TRACE, (frame,), CONTEXT) if not v.suspect)
    assert set(verdict.atoms) == set(atoms)
    assert (verdict.time_fs, verdict.value) == (500.0, pytest.approx(0.5))
    assert "C-H" in verdict.criterion


def test_a_bond_that_no_label_has_is_suspect():
    frame, _ = moved(("O", "H"), 0.97)  # labelled at 1.9 Å and more
    verdicts = MONITOR.judge(TRACE, (frame,), CONTEXT)
    assert [v.suspect for v in verdicts] == [True]


def test_a_labelled_bond_that_stretches_is_nothing():
    frame, _ = moved(("C", "H"), 0.90)
    assert MONITOR.judge(TRACE, (frame,), CONTEXT) == ()


def test_atoms_that_came_nearer_by_diffusion_are_nothing():
    support = replace(CONTEXT.support, distances=(PairDistance(("Li", "O"), 4.5),))
    frame, _ = moved(("Li", "O"), 2.5)
    assert MONITOR.judge(TRACE, (frame,), replace(CONTEXT, support=support)) == ()


def test_the_first_frame_of_several_counts():
    frames = (moved(("C", "H"), 1.0, 100.0)[0], moved(("C", "H"), 0.5, 200.0)[0])
    late = moved(("C", "H"), 0.3, 300.0)[0]
    verdicts = MONITOR.judge(TRACE, (*frames, late), CONTEXT)
    assert {v.time_fs for v in verdicts} == {200.0}


def test_a_lost_atom_is_a_catastrophe():
    positions = np.array(CONTEXT.system.frame.positions)
    positions[7] = np.nan
    frame = MdFrame(Frame(CONTEXT.system.frame.species, positions), 10.0)
    assert MONITOR.judge(TRACE, (frame,), CONTEXT)[0].atoms == (7,)


def test_atoms_near_through_the_periodic_boundary_are_seen():
    positions = np.array([[0.1, 0.0, 0.0], [8.0, 0.0, 0.0]])
    frame = Frame(("C", "H"), positions, 8.3 * np.eye(3), (True, True, True))
    context = replace(CONTEXT, system=System("cell", frame))
    assert MONITOR.judge(TRACE, (MdFrame(frame, 0.0),), context)


def test_more_neighbours_than_sel_are_found_with_their_atoms():
    context = replace(CONTEXT, model_sel=(10,), model_cutoff_angstrom=6.5)
    without = replace(TRACE, quantities=(Quantity.TEMPERATURE,), values=TRACE.values[:, :1])
    verdict = MONITOR.judge(without, (MdFrame(CONTEXT.system.frame, 0.0),), context)[0]
    assert verdict.limit == 10.0
    assert verdict.value > 10.0
    assert verdict.atoms


def test_neighbours_are_counted_element_by_element_where_sel_is():
    context = replace(CONTEXT, model_sel=(99, 2, 99, 99), model_cutoff_angstrom=6.5)
    verdicts = MONITOR.judge(TRACE, (MdFrame(CONTEXT.system.frame, 0.0),), context)
    assert [v.criterion.split(" ")[2] for v in verdicts] == ["H-H"]


def test_neighbours_the_explorer_counted_are_judged_from_the_trace():
    trace = planted(TRACE, Quantity.NEIGHBOURS, 2000.0, 65.0)
    assert MONITOR.judge(trace, (), CONTEXT)[0].time_fs == 2000.0

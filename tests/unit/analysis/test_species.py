"""Molecules and bonds of known molecules."""

import numpy as np
import pytest
from ase.build import molecule

from sis_engine.analysis.species import (
    bond_change,
    bonds,
    breaking_order,
    first_breaks,
    molecule_counts,
    molecules,
    order_agreement,
)
from sis_engine.records import Frame


def frame_of(*parts):
    """Molecules by ASE, 8 Å apart."""
    species: list[str] = []
    positions = []
    for index, name in enumerate(parts):
        atoms = molecule(name)
        species += atoms.get_chemical_symbols()
        positions.append(atoms.positions + np.array([8.0 * index, 0.0, 0.0]))
    return Frame(tuple(species), np.vstack(positions))


def test_molecules_are_counted_by_formula():
    frame = frame_of("H2O", "H2O", "CH3CH2OH", "C6H6")
    assert molecules(frame) == {"H2O": 2, "C2H6O": 1, "C6H6": 1}
    assert len(bonds(frame)) == 2 + 2 + 8 + 12


def test_lithium_coordinates_and_bonds_to_nothing():
    water = molecule("H2O")
    positions = np.vstack([water.positions, water.positions[0] + (0.0, 0.0, 1.85)])
    frame = Frame((*water.get_chemical_symbols(), "Li"), positions)
    assert molecules(frame) == {"H2O": 1, "Li": 1}
    assert molecules(frame, without=()) == {"H2LiO": 1}


def test_a_molecule_across_the_boundary_is_one():
    positions = np.array([[0.1, 0.0, 0.0], [9.4, 0.0, 0.0]])
    frame = Frame(("H", "H"), positions, 10.0 * np.eye(3), (True, True, True))
    assert molecules(frame) == {"H2": 1}


def test_broken_and_formed_bonds_are_named():
    before = frame_of("H2O")
    positions = np.array(before.positions)
    positions[2] += (0.0, -3.0, 0.0)
    change = bond_change(before, Frame(before.species, positions))
    assert change.broken == ((0, 2),)
    assert change.formed == ()
    counts = molecule_counts([before, Frame(before.species, positions)])
    assert counts == {"H2O": (1, 0), "HO": (0, 1), "H": (0, 1)}


def test_frames_of_different_atoms_are_refused():
    with pytest.raises(ValueError, match="same atoms"):
        bond_change(frame_of("H2O"), frame_of("H2"))


# --------------------------------------------------------------------------- order of breaking


def _water(oh: float) -> Frame:
    """H-O-H in a line, the first O-H bond of length ``oh``."""
    return Frame(("O", "H", "H"), np.array([[0.0, 0, 0], [oh, 0, 0], [-0.96, 0, 0]]))


def test_a_bond_is_broken_when_two_frames_in_a_row_lack_it():
    intact, broken = _water(0.96), _water(2.0)
    assert first_breaks([intact, broken, intact, intact]) == {}  # one long vibration
    assert first_breaks([intact, intact, broken, broken]) == {"H-O": 2}
    assert first_breaks([intact, broken]) == {"H-O": 1}  # the last frame counts alone
    assert first_breaks([]) == {}


def test_kinds_of_bonds_are_ordered_by_when_they_break_on_the_mean():
    """C-H breaks at 1 and 5 (mean 3), C-O at 2; N-H in one replica of three only."""
    breaks = [{"C-H": 1.0, "C-O": 2.0}, {"C-H": 5.0, "N-H": 9.0}, {}]
    assert breaking_order(breaks) == (("C-O", 1 / 3), ("C-H", 2 / 3), ("N-H", 1 / 3))
    assert breaking_order([{}, {}]) == ()


def test_orders_agree_from_one_to_minus_one_and_not_where_there_is_none():
    assert order_agreement(["a", "b", "c"], ["a", "b", "c"]) == pytest.approx(1.0)
    assert order_agreement(["a", "b", "c"], ["c", "b", "a"]) == pytest.approx(-1.0)
    assert order_agreement(["a", "b"], ["a"]) == pytest.approx(1.0)  # what lacks b has it last
    assert order_agreement(["a"], ["a"]) is None
    assert order_agreement(["a", "b"], []) is None

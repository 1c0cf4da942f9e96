"""Molecules and bonds of known molecules."""

import numpy as np
import pytest
from ase.build import molecule

from sis_engine.analysis.species import bond_change, bonds, molecule_counts, molecules
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

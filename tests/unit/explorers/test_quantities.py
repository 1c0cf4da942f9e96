import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from sis_engine.explorers.quantities import (
    degrees_of_freedom,
    kinetic_energies,
    most_neighbours,
    shortest_distance,
    temperature_k,
)
from sis_engine.records import Frame


def frame_of(atoms):
    return Frame(tuple(atoms.get_chemical_symbols()), atoms.positions, atoms.cell[:], (True,) * 3)


def test_the_shortest_distance_sees_images_and_pairs():
    atoms = Atoms("LiOH", [[0.1, 0, 0], [4, 0, 0], [9.5, 0, 0]], cell=[10, 10, 10], pbc=True)
    assert shortest_distance(frame_of(atoms)) == pytest.approx(0.6)
    assert shortest_distance(frame_of(atoms), ("O", "Li")) == pytest.approx(3.9)
    assert shortest_distance(frame_of(atoms), ("O", "H")) == pytest.approx(4.5)


def test_an_atom_is_no_pair_but_its_image_is():
    atom = Atoms("Li", [[0, 0, 0]], cell=[3.5, 9, 9], pbc=True)
    assert shortest_distance(frame_of(atom), ("Li", "Li")) == pytest.approx(3.5)
    assert math.isinf(shortest_distance(Frame(("Li",), [[0, 0, 0]])))
    assert math.isinf(shortest_distance(Frame(("Li", "O"), [[0, 0, 0], [1, 0, 0]]), ("H", "H")))


def test_a_lost_atom_makes_every_quantity_nan():
    frame = Frame(("Li", "O"), [[0, 0, 0], [np.nan, 0, 0]])
    assert math.isnan(shortest_distance(frame))
    assert math.isnan(most_neighbours(frame, 5.0))


def test_fcc_has_12_and_18_neighbours():
    frame = frame_of(bulk("Al", "fcc", a=4.0, cubic=True))
    assert most_neighbours(frame, 3.0) == 12
    assert most_neighbours(frame, 4.1) == 18
    mixed = Frame(("Al", "Mg", "Mg", "Mg"), frame.positions, frame.cell, frame.pbc)
    assert most_neighbours(mixed, 3.0, "Al") == 4  # of each Mg, the four corners of its face
    assert most_neighbours(mixed, 3.0, "Mg") == 12


def test_kinetic_energy_and_temperature_against_values_by_hand():
    # 1 amu at 1 Å/fs = 1e5 m/s: 0.5 * 1.66053906660e-27 kg * 1e10 m²/s² / 1.602176634e-19 J
    energies = kinetic_energies(np.array([1.0]), np.array([[1.0, 0.0, 0.0]]))
    assert energies[0] == pytest.approx(51.8213, rel=1e-6)
    # an ideal gas at 300 K: 3/2 k_B T = 0.0387780 eV an atom
    assert temperature_k(0.0387780, 3) == pytest.approx(300.0, rel=1e-5)


@pytest.mark.parametrize(
    ("n", "momentum", "rotation", "expected"),
    [
        (32, True, False, 93),
        (21, True, True, 57),
        (2, True, True, 1),
        (1, True, True, 3),
        (10, False, False, 30),
    ],
)
def test_degrees_of_freedom(n, momentum, rotation, expected):
    assert degrees_of_freedom(n, momentum_kept=momentum, rotation_kept=rotation) == expected

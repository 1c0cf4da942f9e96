"""Distances and neighbour counts against a second way of counting."""

import itertools
import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from sis_engine.analysis.pairs import (
    close_pairs,
    most_neighbours,
    neighbour_counts,
    shortest_distance,
)
from sis_engine.records import Frame

CELLS = {
    "cluster": (None, (False, False, False)),
    "large box": (12.0 * np.eye(3), (True, True, True)),
    "small box": (5.0 * np.eye(3), (True, True, True)),
    "slab": (np.diag([6.0, 7.0, 30.0]), (True, True, False)),
    "oblique": (np.array([[7.0, 0, 0], [2.0, 6.0, 0], [1.0, 1.5, 8.0]]), (True, True, True)),
}


def sorted_pair(frame, i, j):
    return tuple(sorted((frame.species[i], frame.species[j])))


def brute_force(frame, cutoff):
    """Every ordered pair and image, by enumeration."""
    shifts = [range(-4, 5) if periodic else range(1) for periodic in frame.pbc]
    cell = np.zeros((3, 3)) if frame.cell is None else frame.cell
    for i, j in itertools.product(range(frame.n_atoms), repeat=2):
        for shift in itertools.product(*shifts):
            vector = frame.positions[j] - frame.positions[i] + np.array(shift) @ cell
            distance = float(np.linalg.norm(vector))
            if 0.0 < distance <= cutoff:
                yield i, j, distance


@pytest.fixture(params=CELLS)
def frame(request):
    cell, pbc = CELLS[request.param]
    positions = np.random.default_rng(2).uniform(-3.0, 9.0, (8, 3))
    return Frame(("Li", "O", "O", "H") * 2, positions, cell, pbc)


def test_neighbour_counts_are_those_of_enumeration(frame):
    counts = neighbour_counts(frame, 4.0)
    pairs = list(brute_force(frame, 4.0))
    assert counts.of(None).tolist() == [sum(p[0] == i for p in pairs) for i in range(8)]
    oxygens = [sum(p[0] == i and frame.species[p[1]] == "O" for p in pairs) for i in range(8)]
    assert counts.of("O").tolist() == oxygens


def test_close_pairs_are_those_of_enumeration_nearest_first(frame):
    limits = {("H", "O"): 4.0, ("Li", "Li"): 4.9}
    found = close_pairs(frame, limits)
    wanted = sorted(
        distance
        for i, j, distance in brute_force(frame, 4.9)
        if i <= j and distance < limits.get(sorted_pair(frame, i, j), 0.0)
    )
    assert [pair.distance_angstrom for pair in found] == pytest.approx(wanted)


def test_a_cluster_that_flew_apart_costs_nothing():
    positions = np.array([[0.0, 0.0, 0.0], [1e12, -1e15, 0.0]])
    assert close_pairs(Frame(("H", "H"), positions), {("H", "H"): 1.0}) == ()


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
    assert most_neighbours(mixed, 3.0, "Li") == 0

"""Close pairs and neighbour counts against a second way of counting."""

import itertools

import numpy as np
import pytest

from monitors.neighbours import close_pairs, neighbour_counts
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

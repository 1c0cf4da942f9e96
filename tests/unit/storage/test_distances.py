from __future__ import annotations

import ase.geometry
import numpy as np
import pytest

from sis_engine.storage.distances import shortest_by_elements, shortest_distances

CELLS = {
    "cuboid": (np.diag([13.0, 12.0, 11.0]), (True, True, True)),
    "slab": (np.diag([7.0, 8.0, 30.0]), (True, True, False)),
    "skewed": (np.array([[5, 0, 0], [4.9, 3, 0], [1, 2, 6.0]]), (True, True, True)),
    "very small": (np.array([[3, 0, 0], [1, 2, 0], [0.5, 0, 2.0]]), (True, True, True)),
    "slab, no third vector": (np.array([[5, 0, 0], [4.9, 3, 0], [0, 0, 0.0]]), (True, True, False)),
    "wire": (np.array([[8, 0, 0], [0, 0, 0], [0, 0, 0.0]]), (True, False, False)),
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_shortest_distances_agree_with_ases_exact_search(name: str) -> None:
    cell, pbc = CELLS[name]
    rng = np.random.default_rng(1)
    positions = rng.uniform(-8, 20, size=(30, 6, 3))
    cells = cell * (1 + 0.02 * rng.normal(size=(30, 1, 1)))
    i, j = np.triu_indices(6, k=1)
    exact = np.array(
        [
            ase.geometry.find_mic(p[j] - p[i], c, pbc)[1]
            for p, c in zip(positions, cells, strict=True)
        ]
    )
    found = shortest_distances(positions, cells, pbc)
    np.testing.assert_allclose(found, exact.min(axis=1), atol=1e-5)
    species = ("H", "He", "Li", "Be", "B", "C")
    by_pair = shortest_by_elements(positions, cells, pbc, species)
    for a, b, distance in zip(i, j, exact.min(axis=0), strict=True):
        pair = tuple(sorted((species[a], species[b])))
        assert by_pair[pair] == pytest.approx(distance, abs=1e-5)


def test_without_periodicity_the_cell_means_nothing() -> None:
    positions = np.array([[[0.0, 0, 0], [9.5, 0, 0], [0, 0, 3.0]]])
    cells, pbc = np.eye(3)[None] * 10.0, (False, False, False)
    assert shortest_distances(positions, cells, pbc) == pytest.approx([3.0])
    assert shortest_by_elements(positions, cells, pbc, ("O", "H", "H")) == pytest.approx(
        {("H", "H"): np.hypot(9.5, 3.0), ("H", "O"): 3.0}
    )


def test_a_single_atom_has_no_distance() -> None:
    positions, pbc = np.zeros((2, 1, 3)), (False, False, False)
    assert np.isinf(shortest_distances(positions, None, pbc)).all()
    assert shortest_by_elements(positions, None, pbc, ("Li",)) == {}

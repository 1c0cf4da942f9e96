"""Distances and neighbours within one frame, with periodic images where it has them.

Monitors, explorers, triage and trainers all count with these, so that a limit means the same
everywhere. For many frames at once see :mod:`sis_engine.storage.distances`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sis_engine.records import BoolArray, FloatArray, Frame

IntArray = npt.NDArray[np.int64]

_SEARCH_ANGSTROM = (3.0, 6.0, 12.0, 24.0)


@dataclass(frozen=True, order=True)
class ClosePair:
    """Two atoms nearer than asked. Sorts by distance (Å)."""

    distance_angstrom: float
    pair: tuple[str, str] = field(compare=False)
    atoms: tuple[int, int] = field(compare=False)


@dataclass(frozen=True, eq=False)
class NeighbourCounts:
    """Neighbours within a cutoff. by_element: element to (n_atoms,) counts of that element."""

    by_element: Mapping[str, IntArray]

    def of(self, element: str | None) -> IntArray:
        """(n_atoms,) neighbours of one element, or of all together."""
        every = list(self.by_element.values())
        if element is not None:
            return self.by_element.get(element, np.zeros_like(every[0]))
        total: IntArray = np.sum(every, axis=0)
        return total


def close_pairs(frame: Frame, limits: Mapping[tuple[str, str], float]) -> tuple[ClosePair, ...]:
    """Pairs nearer than the limit (Å) of their elements (keys sorted), nearest first."""
    if not limits:
        return ()
    first, second, distance = pairs_within(frame, max(limits.values()))
    found = []
    for i, j, d in zip(first.tolist(), second.tolist(), distance.tolist(), strict=True):
        symbols = sorted((frame.species[i], frame.species[j]))
        pair = (symbols[0], symbols[1])
        if i <= j and d < limits.get(pair, 0.0):
            found.append(ClosePair(d, pair, (i, j)))
    return tuple(sorted(found))


def neighbour_counts(frame: Frame, cutoff_angstrom: float) -> NeighbourCounts:
    """Neighbours of every atom within the cutoff, images counted one by one."""
    first, second, _ = pairs_within(frame, cutoff_angstrom)
    species = np.array(frame.species)
    counts = {
        element: np.bincount(first[species[second] == element], minlength=frame.n_atoms)
        for element in dict.fromkeys(frame.species)
    }
    return NeighbourCounts(counts)


def shortest_distance(frame: Frame, pair: tuple[str, str] | None = None) -> float:
    """Shortest distance (Å), of one element pair where given; inf if there is no such pair.

    NaN when a position is not finite: a rule on it then fires.
    """
    if not np.isfinite(frame.positions).all():
        return math.nan
    is_first = is_second = np.ones(frame.n_atoms, dtype=np.bool_)
    if pair is not None:
        is_first, is_second = is_element(frame.species, pair[0]), is_element(frame.species, pair[1])
        if not is_first.any() or not is_second.any():
            return math.inf
    for cutoff in _SEARCH_ANGSTROM:
        first, second, distance = pairs_within(frame, cutoff)
        wanted = distance[is_first[first] & is_second[second]]
        if wanted.size:
            return float(wanted.min())
    return math.inf


def most_neighbours(frame: Frame, cutoff_angstrom: float, element: str | None = None) -> float:
    """Largest number of neighbours of an atom within the cutoff, of one element where given.

    NaN when a position is not finite.
    """
    if not np.isfinite(frame.positions).all():
        return math.nan
    return float(neighbour_counts(frame, cutoff_angstrom).of(element).max())


def is_element(species: Sequence[str], element: str) -> BoolArray:
    """(n_atoms,) true where the atom is of this element."""
    return np.array([s == element for s in species], dtype=np.bool_)


def pairs_within(frame: Frame, cutoff_angstrom: float) -> tuple[IntArray, IntArray, FloatArray]:
    """Directed pairs (i, j) within the cutoff and their distances, Å, images counted one by one.

    None where a position is not finite.
    """
    if not np.isfinite(frame.positions).all():
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, np.zeros(0)
    box = _simple_box(frame, cutoff_angstrom)
    if any(frame.pbc) and box is None:
        # ASE's cell list costs memory with the extent of the atoms: fine inside a cell, not for a
        # cluster that has flown apart, which goes through a tree instead.
        from ase.neighborlist import primitive_neighbor_list

        first, second, distance = primitive_neighbor_list(
            "ijd", frame.pbc, frame.cell, frame.positions, cutoff_angstrom
        )
        return first.astype(np.int64), second.astype(np.int64), distance
    positions = frame.positions if box is None else np.mod(frame.positions, box) % box
    from scipy.spatial import cKDTree

    half = cKDTree(positions, boxsize=box).query_pairs(cutoff_angstrom, output_type="ndarray")
    pairs = np.concatenate([half, half[:, ::-1]]).astype(np.int64).reshape(-1, 2)
    separations = positions[pairs[:, 0]] - positions[pairs[:, 1]]
    if box is not None:
        separations -= box * np.round(separations / box)
    return pairs[:, 0], pairs[:, 1], np.linalg.norm(separations, axis=1)


def _simple_box(frame: Frame, cutoff_angstrom: float) -> FloatArray | None:
    """Edges (Å) of a fully periodic rectangular cell in which one image is enough."""
    if frame.cell is None or not all(frame.pbc):
        return None
    edges: FloatArray = np.diag(frame.cell).copy()
    rectangular = np.allclose(frame.cell, np.diag(edges), atol=1e-10)
    return edges if rectangular and edges.min() > 2.0 * cutoff_angstrom else None

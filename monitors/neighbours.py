"""Distances within one frame, with periodic images where it has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from ase.neighborlist import primitive_neighbor_list
from scipy.spatial import cKDTree

from sis_engine.records import FloatArray, Frame

IntArray = npt.NDArray[np.int64]


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
        if element is not None:
            return self.by_element[element]
        total: IntArray = np.sum(list(self.by_element.values()), axis=0)
        return total


def close_pairs(frame: Frame, limits: Mapping[tuple[str, str], float]) -> tuple[ClosePair, ...]:
    """Pairs nearer than the limit (Å) of their elements (keys sorted), nearest first."""
    if not limits:
        return ()
    first, second, distance = _pairs_within(frame, max(limits.values()))
    found = []
    for i, j, d in zip(first.tolist(), second.tolist(), distance.tolist(), strict=True):
        symbols = sorted((frame.species[i], frame.species[j]))
        pair = (symbols[0], symbols[1])
        if i <= j and d < limits.get(pair, 0.0):
            found.append(ClosePair(d, pair, (i, j)))
    return tuple(sorted(found))


def neighbour_counts(frame: Frame, cutoff_angstrom: float) -> NeighbourCounts:
    """Neighbours of every atom within the cutoff, images counted one by one."""
    first, second, _ = _pairs_within(frame, cutoff_angstrom)
    species = np.array(frame.species)
    counts = {
        element: np.bincount(first[species[second] == element], minlength=frame.n_atoms)
        for element in dict.fromkeys(frame.species)
    }
    return NeighbourCounts(counts)


def _pairs_within(frame: Frame, cutoff_angstrom: float) -> tuple[IntArray, IntArray, FloatArray]:
    """Directed pairs (i, j) within the cutoff and their distances, Å; finite positions only."""
    box = _simple_box(frame, cutoff_angstrom)
    if any(frame.pbc) and box is None:
        # ASE's cell list costs memory with the extent of the atoms: fine inside a cell, not for a
        # cluster that has flown apart, which goes through a tree instead.
        first, second, distance = primitive_neighbor_list(
            "ijd", frame.pbc, frame.cell, frame.positions, cutoff_angstrom
        )
        return first.astype(np.int64), second.astype(np.int64), distance
    positions = frame.positions if box is None else np.mod(frame.positions, box) % box
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

"""Shortest distances between atoms of many frames at once, minimum image where periodic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ase.geometry import find_mic

from sis_engine.records import FloatArray

BLOCK_FRAMES = 512
"""Frames in hand at a time: long inner loops, and some 10 MB for 200 atoms."""

Pbc = tuple[bool, bool, bool]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Shortest:
    """per_frame: (n_frames,), Å, infinite with fewer than two atoms
    per_pair: (n_atoms, n_atoms), Å, over all frames; entry (i, j) with i < j, else infinite
    """

    per_frame: FloatArray
    per_pair: FloatArray


def shortest_distances(positions: FloatArray, cells: FloatArray | None, pbc: Pbc) -> Shortest:
    """Shortest distances of each frame and of each pair of atoms.

    positions: (n_frames, n_atoms, 3), Å, finite;  cells: (n_frames, 3, 3), Å, or ``None``

    Fractional differences are rounded to [-1/2, 1/2]. That image is the nearest one whenever it
    is closer than half the smallest height of the cell: |Δs_k - n_k| <= d / h_k < 1/2. Whatever
    comes out larger (small or skewed cells) is done again by ASE's exact search. Differences are
    float32, so results are good to about 1e-5 Å; that halves the time of a billion pairs.
    """
    n_frames, n_atoms = positions.shape[:2]
    per_frame = np.full(n_frames, np.inf)
    per_pair = np.full((n_atoms, n_atoms), np.inf)
    periodic = cells is not None and any(pbc)
    for begin in range(0, n_frames, BLOCK_FRAMES):
        block = slice(begin, begin + BLOCK_FRAMES)
        if periodic and cells is not None:
            box = Box(completed(cells[block], pbc), pbc)
            _scan(box.fractional(positions[block]), box, per_frame[block], per_pair)
        else:
            centred = positions[block] - positions[block].mean(axis=1, keepdims=True)
            _scan(centred.transpose(2, 1, 0), None, per_frame[block], per_pair)
    found = Shortest(np.sqrt(per_frame), np.sqrt(per_pair))
    return _exact(found, positions, cells, pbc) if periodic and cells is not None else found


def shortest_by_elements(
    shortest: Shortest, species: tuple[str, ...]
) -> dict[tuple[str, str], float]:
    """Shortest distance, Å, of every element pair (symbols sorted) that occurs."""
    symbols = np.array(species)
    found: dict[tuple[str, str], float] = {}
    kinds = sorted(set(species))
    for place, one in enumerate(kinds):
        for other in kinds[place:]:
            both = np.ix_(symbols == one, symbols == other)
            distance = min(shortest.per_pair[both].min(), shortest.per_pair.T[both].min())
            if np.isfinite(distance):
                found[one, other] = float(distance)
    return found


class Box:
    """The cells of a block of frames, as the scan needs them."""

    def __init__(self, cells: FloatArray, pbc: Pbc) -> None:
        self._cells = cells
        self._wrapped = [axis for axis in range(3) if pbc[axis]]
        # (k, x, n_frames): contiguous over frames; zero everywhere where left out
        self._entries = np.ascontiguousarray(cells.transpose(1, 2, 0), dtype=np.float32)
        self._occupied = self._entries.any(axis=2)

    def fractional(self, positions: FloatArray) -> FloatArray:
        """(3, n_atoms, n_frames), periodic coordinates in [-1/2, 1/2] to save digits."""
        found: FloatArray = np.einsum("fax,fxk->kaf", positions, np.linalg.inv(self._cells))
        found[self._wrapped] -= np.rint(found[self._wrapped])
        return found

    def to_nearest(self, delta: Float32Array, spare: Float32Array) -> Float32Array:
        """Fractional differences (3, n, n_frames) to the nearest image, in Å; both are reused."""
        for axis in self._wrapped:
            np.rint(delta[axis], out=spare[axis])
            delta[axis] -= spare[axis]
        if np.array_equal(self._occupied, np.eye(3, dtype=bool)):
            for axis in range(3):
                delta[axis] *= self._entries[axis, axis]
            return delta
        spare[:] = 0.0
        term = np.empty_like(delta[0])
        for k, x in np.argwhere(self._occupied):
            np.multiply(delta[k], self._entries[k, x], out=term)
            spare[x] += term
        return spare


def _scan(
    coordinates: FloatArray, box: Box | None, per_frame: FloatArray, per_pair: FloatArray
) -> None:
    """Lower ``per_frame`` and ``per_pair`` (squares) by what one block of frames has.

    coordinates: (3, n_atoms, n_frames), frames last, so that inner loops run over frames;
    fractional with a ``box``, else Å
    """
    single = np.ascontiguousarray(coordinates, dtype=np.float32)
    buffer, spare = np.empty_like(single), np.empty_like(single)
    for atom in range(single.shape[1] - 1):
        n = single.shape[1] - 1 - atom
        delta = np.subtract(single[:, atom + 1 :], single[:, atom, None], out=buffer[:, :n])
        if box is not None:
            delta = box.to_nearest(delta, spare[:, :n])
        np.square(delta, out=delta)
        squares = delta[0]
        squares += delta[1]
        squares += delta[2]
        np.minimum(per_frame, squares.min(axis=0), out=per_frame)
        row = per_pair[atom, atom + 1 :]
        np.minimum(row, squares.min(axis=1), out=row)


def completed(cells: FloatArray, pbc: Pbc) -> FloatArray:
    """Cells with a unit normal for every absent vector, so that they can be inverted."""
    found = np.array(cells)
    for number in np.flatnonzero(~np.all(found.any(axis=2), axis=1)):
        cell = found[number]
        missing = [k for k in range(3) if not cell[k].any()]
        if any(pbc[k] for k in missing):
            raise ValueError(f"a periodic direction has no lattice vector: {cell.tolist()}")
        for axis in missing:  # the left singular vectors of zero weight span what is missing
            _, weight, rows = np.linalg.svd(cell)
            cell[axis] = rows[int(np.argmin(weight))]
    return found


def _exact(found: Shortest, positions: FloatArray, cells: FloatArray, pbc: Pbc) -> Shortest:
    """``found`` with everything beyond half a cell height done again, image by image."""
    safe = _half_height(completed(cells, pbc), pbc)
    per_frame, per_pair = found.per_frame.copy(), found.per_pair.copy()
    first, second = np.triu_indices(positions.shape[1], k=1)
    for number in np.flatnonzero((per_frame >= safe) & np.isfinite(per_frame)):
        delta = positions[number, second] - positions[number, first]
        per_frame[number] = _lengths(delta, cells[number], pbc).min()
    doubtful = np.argwhere(np.isfinite(per_pair) & (per_pair >= safe.min()))
    one, other = doubtful[:, 0], doubtful[:, 1]
    for frame in range(len(positions)) if len(doubtful) else ():
        delta = positions[frame, other] - positions[frame, one]
        lengths = _lengths(delta, cells[frame], pbc)
        per_pair[one, other] = np.minimum(per_pair[one, other], lengths)
    return Shortest(per_frame, per_pair)


def _half_height(cells: FloatArray, pbc: Pbc) -> FloatArray:
    """(n_frames,) half the smallest height over a face, of the periodic directions."""
    normals = np.linalg.inv(cells)  # column k is normal to the face that vector k leaves
    heights = 1.0 / np.linalg.norm(normals, axis=1)
    smallest: FloatArray = heights[:, list(np.flatnonzero(pbc))].min(axis=1)
    return 0.5 * smallest


def _lengths(delta: FloatArray, cell: FloatArray, pbc: Pbc) -> npt.NDArray[np.float64]:
    lengths: FloatArray = find_mic(delta, cell, pbc)[1]
    return lengths

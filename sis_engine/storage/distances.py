"""Shortest distances between atoms of many frames at once, minimum image where periodic."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
from ase.geometry import find_mic

from sis_engine.records import FloatArray

BLOCK_FRAMES = 512
"""Frames in hand at a time: long inner loops, and some 10 MB for 200 atoms."""

Pbc = tuple[bool, bool, bool]
Float32Array = npt.NDArray[np.float32]


def shortest_distances(positions: FloatArray, cells: FloatArray | None, pbc: Pbc) -> FloatArray:
    """(n_frames,) shortest distance of each frame, Å; infinite with fewer than two atoms.

    positions: (n_frames, n_atoms, 3), Å, finite;  cells: (n_frames, 3, 3), Å, or ``None``
    """
    found = _scan_all(positions, cells, pbc)[0]
    if cells is None or not any(pbc):
        return found
    first, second = np.triu_indices(positions.shape[1], k=1)
    for number in np.flatnonzero((found >= _reliable_below(cells, pbc)) & np.isfinite(found)):
        delta = positions[number, second] - positions[number, first]
        found[number] = find_mic(delta, cells[number], pbc)[1].min()
    return found


def shortest_by_elements(
    positions: FloatArray, cells: FloatArray | None, pbc: Pbc, species: tuple[str, ...]
) -> dict[tuple[str, str], float]:
    """Shortest distance, Å, of every element pair (symbols sorted) over all frames."""
    per_pair = _scan_all(positions, cells, pbc)[1]
    reliable = np.inf
    if cells is not None and any(pbc) and len(cells):
        reliable = float(_reliable_below(cells, pbc).min())
    symbols = np.array(species)
    kinds = sorted(set(species))
    found: dict[tuple[str, str], float] = {}
    for one, other in itertools.combinations_with_replacement(kinds, 2):
        chosen = np.triu(np.outer(symbols == one, symbols == other), k=1)
        chosen |= np.triu(np.outer(symbols == other, symbols == one), k=1)
        distance = float(per_pair[chosen].min(initial=np.inf))
        if cells is not None and reliable <= distance < np.inf:
            distance = _exact_shortest(positions, cells, pbc, np.argwhere(chosen))
        if np.isfinite(distance):
            found[one, other] = distance
    return found


def _exact_shortest(
    positions: FloatArray, cells: FloatArray, pbc: Pbc, pairs: npt.NDArray[np.intp]
) -> float:
    """Shortest distance of these pairs of atoms over all frames, by ASE, one call a cell."""
    unique, which = np.unique(cells.reshape(-1, 9), axis=0, return_inverse=True)
    shortest = math.inf
    for number, cell in enumerate(unique):
        frames = positions[which.ravel() == number]
        delta = (frames[:, pairs[:, 1]] - frames[:, pairs[:, 0]]).reshape(-1, 3)
        shortest = min(shortest, float(find_mic(delta, cell.reshape(3, 3), pbc)[1].min()))
    return shortest


def _scan_all(
    positions: FloatArray, cells: FloatArray | None, pbc: Pbc
) -> tuple[FloatArray, FloatArray]:
    """Shortest distance of each frame and, over all frames, of each pair of atoms i < j, Å.

    Fractional differences are rounded to [-1/2, 1/2]; see :func:`_reliable_below`. They are
    float32, so distances are good to about 1e-5 Å; that halves the time of a billion pairs.
    """
    n_frames, n_atoms = positions.shape[:2]
    per_frame = np.full(n_frames, np.inf)
    per_pair = np.full((n_atoms, n_atoms), np.inf)
    for begin in range(0, n_frames, BLOCK_FRAMES):
        block = slice(begin, begin + BLOCK_FRAMES)
        if cells is not None and any(pbc):
            box = Box(completed(cells[block], pbc), pbc)
            _scan(box.fractional(positions[block]), box, per_frame[block], per_pair)
        else:
            centred = positions[block] - positions[block].mean(axis=1, keepdims=True)
            _scan(centred.transpose(2, 1, 0), None, per_frame[block], per_pair)
    return np.sqrt(per_frame), np.sqrt(per_pair)


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


def _reliable_below(cells: FloatArray, pbc: Pbc) -> FloatArray:
    """(n_frames,) distances below this are those to the nearest image, Å.

    Rounding fractional differences finds the nearest image n whenever it is closer than half the
    smallest height of the cell: abs(Δs_k - n_k) <= d / h_k < 1/2. In a cuboid it always does.
    """
    whole = completed(cells, pbc)
    if not whole[:, ~np.eye(3, dtype=bool)].any():
        return np.full(len(cells), np.inf)
    normals = np.linalg.inv(whole)  # column k is normal to the face that vector k leaves
    heights = 1.0 / np.linalg.norm(normals, axis=1)
    smallest: FloatArray = heights[:, list(np.flatnonzero(pbc))].min(axis=1)
    return 0.5 * smallest

"""Which frames have atoms in surroundings that no labelled frame has? Pure.

One odd contact among many atoms vanishes in a mean over them, and it is what a model errs on (how
much more of the error is seen this way: docs/compare.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sis_engine.records import FloatArray

RIDGE = 1e-3
"""Of the mean square of a descriptor's components: directions that known atoms hardly move in
count as moving by so much. With 1e-4 distances follow errors as well, with 1e-2 a little less.
"""

MOST_KNOWN_ATOMS = 20_000
"""Of an element, evenly spread over the labelled frames: bounds the time of a search."""

BLOCK = 4_000_000
"""Distances worked out at a time."""

SAME = 1e-5
"""Below it surroundings are equal but for rounding."""


def most_unlike(
    described: FloatArray,
    known: FloatArray | None,
    species: Sequence[str],
    n: int,
    besides: Sequence[int] = (),
) -> tuple[int, ...]:
    """At most ``n`` rows of ``described``, the most unlike first.

    described: (n_frames, n_atoms, d), descriptors of the atoms of each frame
    known: (m, n_atoms, d), the same of labelled frames;  species: (n_atoms,)
    besides: rows that are chosen already

    A frame is as far as its farthest atom, and an atom as far as the nearest of its element in any
    labelled or chosen frame. Gonzalez's greedy rule (Theor. Comput. Sci. 38 (1985) 293) takes the
    farthest frame, and again; without ``known`` and ``besides`` it begins with the first. Equal
    distances go to the smallest row; frames whose every atom is known are not chosen, nor are
    frames with a descriptor that is not finite (wrecks of MD that blew up): no distance is known.

    Descriptors are scaled by the inverse root of their second moments M over known atoms: then x'x
    is x'M⁻¹x, the variance of optimal design, which the extrapolation grade of moment tensor
    potentials rests on too (Zaverkin and Kästner, Mach. Learn.: Sci. Technol. 2 (2021) 035009;
    Podryabinkin and Shapeev, Comput. Mater. Sci. 140 (2017) 171). It is the distance to the nearest
    atom that counts here, and not that length: what one chosen frame shows need not be shown again.
    """
    sound = np.flatnonzero(_is_finite(described))
    if not sound.size:
        return ()
    elements = _rows_by_element(species)
    scaled, nearest = _compared(described[sound], known, elements)
    left = np.ones(len(sound), dtype=bool)

    def take(row: int) -> None:
        left[row] = False
        for own in elements:
            from_row = _nearest(scaled[:, own], scaled[row, own])
            nearest[:, own] = np.minimum(nearest[:, own], from_row)

    for place in np.flatnonzero(np.isin(sound, besides)).tolist():
        take(place)
    chosen: list[int] = []
    while len(chosen) < n and left.any():
        far = np.where(left, nearest.max(axis=1), 0.0)
        row = int(np.argmax(far))
        if not far[row] > SAME:
            break
        chosen.append(row)
        take(row)
    return tuple(int(sound[row]) for row in chosen)


def unlikeness(
    described: FloatArray, known: FloatArray | None, species: Sequence[str]
) -> FloatArray:
    """(n_frames,) how far each frame is from the labelled ones; ∞ where there are none.

    As in :func:`most_unlike`, of which this is the first step.
    """
    _, nearest = _compared(described, known, _rows_by_element(species))
    found: FloatArray = nearest.max(axis=1)
    return found


def _is_finite(described: FloatArray) -> npt.NDArray[np.bool_]:
    """(n_frames,)"""
    found: npt.NDArray[np.bool_] = np.all(np.isfinite(described), axis=(1, 2))
    return found


def _rows_by_element(species: Sequence[str]) -> list[npt.NDArray[np.bool_]]:
    symbols = np.array(species)
    return [symbols == element for element in sorted(set(species))]


def _compared(
    described: FloatArray, known: FloatArray | None, elements: Sequence[npt.NDArray[np.bool_]]
) -> tuple[FloatArray, FloatArray]:
    """Descriptors, scaled, and each atom's distance from the nearest known one of its element."""
    if known is not None:
        known = known[_is_finite(known)]
    known = None if known is None or not len(known) else known
    scaled = np.empty(described.shape)
    nearest = np.full(described.shape[:2], np.inf)
    for own in elements:
        atoms = (described if known is None else known)[:, own].reshape(-1, described.shape[2])
        scale = _inverse_root(atoms)
        scaled[:, own] = described[:, own] @ scale
        if known is not None:
            stride = -(-len(atoms) // MOST_KNOWN_ATOMS)
            nearest[:, own] = _nearest(scaled[:, own], atoms[::stride] @ scale)
    return scaled, nearest


def _inverse_root(atoms: FloatArray) -> FloatArray:
    """(d, d) W such that the rows of ``atoms @ W`` have the unit matrix as second moments."""
    moments = atoms.T @ atoms / len(atoms)
    ridge = RIDGE * np.trace(moments) / len(moments)
    values, vectors = np.linalg.eigh(moments)
    found: FloatArray = vectors / np.sqrt(np.maximum(values, 0.0) + max(ridge, 1e-300))
    return found


def _nearest(atoms: FloatArray, known: FloatArray) -> FloatArray:
    """(n_frames, n) distance of each atom to the nearest known one, both scaled.

    atoms: (n_frames, n, d);  known: (m, d)
    """
    flat = atoms.reshape(-1, atoms.shape[2])
    squares = np.einsum("md,md->m", known, known)
    found = np.empty(len(flat))
    rows = max(1, BLOCK // len(known))
    for first in range(0, len(flat), rows):
        block = flat[first : first + rows]
        apart = squares - 2.0 * (block @ known.T)
        found[first : first + rows] = apart.min(axis=1) + np.einsum("nd,nd->n", block, block)
    return np.sqrt(np.maximum(found, 0.0)).reshape(atoms.shape[:2])

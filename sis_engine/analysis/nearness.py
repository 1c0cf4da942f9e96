"""Does a data set have a frame, or one that is nearly the same? Pure."""

from __future__ import annotations

import numpy as np

from sis_engine.records import FloatArray, Frame, FrameSet

FIRST_ATOMS = 8
"""Looked at before all others: few frames are near in these."""


def is_near(frame: Frame, frames: FrameSet, limit_angstrom: float) -> bool:
    """Whether one of ``frames`` lies within ``limit_angstrom`` of ``frame``.

    The distance is the RMS displacement over atoms in the order given, to nearest images where the
    frame is periodic; neither is turned or shifted, for MD of one system does neither.
    """
    if frames.species != frame.species or frames.pbc != frame.pbc:
        return False
    most = frame.n_atoms * limit_angstrom**2
    first = slice(0, FIRST_ATOMS)
    left = np.flatnonzero(_squares(frame, frames.positions, first) <= most)
    return bool(np.any(_squares(frame, frames.positions[left], slice(None)) <= most))


def _squares(frame: Frame, positions: FloatArray, atoms: slice) -> FloatArray:
    """(n_frames,) sum of squared displacements of these atoms, Å²."""
    moved = positions[:, atoms] - frame.positions[atoms]
    if frame.cell is not None and any(frame.pbc):
        fractions = moved @ np.linalg.inv(frame.cell)
        moved = moved - np.round(fractions) * np.array(frame.pbc) @ frame.cell
    return np.asarray(np.einsum("fax,fax->f", moved, moved))

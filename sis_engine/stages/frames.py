"""Frames without labels as arrays, as predictions want them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sis_engine.records import Frame, FrameSet


def frames_of(system: str, frames: Sequence[Frame]) -> FrameSet:
    """Frames of one system; energies and forces are NaN: nobody has said them yet."""
    first = frames[0]
    cells = [item.cell for item in frames if item.cell is not None]
    return FrameSet(
        system=system,
        species=first.species,
        pbc=first.pbc,
        positions=np.stack([item.positions for item in frames]),
        cells=np.stack(cells) if len(cells) == len(frames) else None,
        energies=np.full(len(frames), np.nan),
        forces=np.full((len(frames), first.n_atoms, 3), np.nan),
    )

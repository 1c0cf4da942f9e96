"""Grids of k-points by their spacing."""

from __future__ import annotations

import math

import numpy as np

from sis_engine.records import Frame

Grid = tuple[int, int, int]


def k_grid(spacing_per_angstrom: float | None, frame: Frame) -> Grid | None:
    """Points along each reciprocal vector: ``ceil(1 / (d spacing))``, d the height along it.

    ``None`` where no spacing is given (Gamma only), or the frame is not periodic.
    """
    if spacing_per_angstrom is None or frame.cell is None or not all(frame.pbc):
        return None
    lengths = np.linalg.norm(np.linalg.inv(frame.cell), axis=0)
    n1, n2, n3 = (max(1, math.ceil(round(float(one) / spacing_per_angstrom, 6))) for one in lengths)
    return n1, n2, n3

"""Fewer points that show the same picture: every peak and dip of a long trace survives."""

from __future__ import annotations

import itertools

import numpy as np

from sis_engine.records import FloatArray


def min_max(x: FloatArray, y: FloatArray, buckets: int) -> tuple[FloatArray, FloatArray]:
    """The smallest and largest ``y`` of each of ``buckets`` runs of points, in their order.

    x, y: shape (n,). First and last point are kept; a run with non-finite values keeps a NaN
    (a gap in the curve) after its finite extremes. Up to 3 points a bucket.
    """
    n = len(x)
    if n <= 2 * buckets:
        return x, np.where(np.isfinite(y), y, np.nan)
    edges = np.linspace(0, n, buckets + 1).astype(np.int64)
    kept: list[int] = [0]
    for start, stop in itertools.pairwise(edges):
        kept.extend(_extremes(y, int(start), int(stop)))
    kept.append(n - 1)
    chosen = np.array(sorted(set(kept)), dtype=np.int64)
    return x[chosen], np.where(np.isfinite(y[chosen]), y[chosen], np.nan)


def _extremes(y: FloatArray, start: int, stop: int) -> list[int]:
    run = y[start:stop]
    finite = np.flatnonzero(np.isfinite(run))
    chosen = []
    if len(finite):
        values = run[finite]
        chosen = [start + int(finite[np.argmin(values)]), start + int(finite[np.argmax(values)])]
    if len(finite) < len(run):
        bad = np.flatnonzero(~np.isfinite(run))
        chosen.append(start + int(bad[0]))
    return chosen

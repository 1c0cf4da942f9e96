"""MD time that frames stand for, and even strides through it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sis_engine.records import FloatArray


def time_shares(times_fs: FloatArray) -> FloatArray:
    """(n,) fs that each of the sorted times stands for; they sum to the span. One alone: 1 fs.

    >>> time_shares(np.array([0.0, 100.0, 110.0, 120.0])).tolist()
    [50.0, 55.0, 10.0, 5.0]
    """
    if times_fs.size < 2:
        return np.ones(times_fs.size)
    middles = 0.5 * (times_fs[1:] + times_fs[:-1])
    edges = np.concatenate([times_fs[:1], middles, times_fs[-1:]])
    shares: FloatArray = np.diff(edges)
    return shares


def strided(share_fs: FloatArray, n: int) -> npt.NDArray[np.intp]:
    """At most ``n`` indices: the frames in whose share of time (k + 1/2) T / n falls, sorted.

    >>> strided(np.array([1.0, 1.0, 1.0, 1.0]), 2).tolist()
    [1, 3]
    """
    if share_fs.size <= n:
        return np.arange(share_fs.size)
    ends = np.cumsum(share_fs)
    times = (np.arange(n) + 0.5) * ends[-1] / n
    found = np.minimum(np.searchsorted(ends, times, side="right"), share_fs.size - 1)
    return np.unique(found)

"""Frames of the model's MD at equal distances in time: random's regular twin."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from sis_engine.records import FloatArray
from sis_engine.samplers.pool import Pool, PoolConfig, PoolSampler


class StrideConfig(PoolConfig):
    """Frames at equal distances in MD time, over all replicas one after the other."""

    type: Literal["stride"] = "stride"


class StrideSampler(PoolSampler):
    """Every so many femtoseconds; nothing is random."""

    Config = StrideConfig

    def choose(self, pool: Pool, n: int, seed: int) -> npt.NDArray[np.intp]:
        del seed
        return strided(pool.share_fs, n)


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

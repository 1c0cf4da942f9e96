"""Frames of the model's MD at equal distances in time: random's regular twin."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from sis_engine.samplers.pool import Pool, PoolConfig, PoolSampler
from sis_engine.samplers.times import strided


class StrideConfig(PoolConfig):
    """Frames at equal distances in MD time, over all replicas one after the other."""

    type: Literal["stride"] = "stride"


class StrideSampler(PoolSampler):
    """Every so many femtoseconds; nothing is random."""

    Config = StrideConfig

    def choose(self, pool: Pool, n: int, seed: int) -> npt.NDArray[np.intp]:
        del seed
        return strided(pool.share_fs, n)

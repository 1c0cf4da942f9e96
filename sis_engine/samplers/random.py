"""The baseline every choice has to beat: frames of the model's MD, drawn by lot."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from sis_engine.records import FloatArray
from sis_engine.samplers.pool import Pool, PoolConfig, PoolSampler


class RandomConfig(PoolConfig):
    """Frames drawn at random, uniformly in MD time.

    For water it was as good as a committee's choice, or better (arXiv 2410.10698).
    """

    type: Literal["random"] = "random"


class RandomSampler(PoolSampler):
    """Uniform in MD time over all replicas, without replacement."""

    Config = RandomConfig

    def choose(self, pool: Pool, n: int, seed: int) -> npt.NDArray[np.intp]:
        return drawn(pool.share_fs, n, seed)


def drawn(weights: FloatArray, n: int, seed: int) -> npt.NDArray[np.intp]:
    """At most ``n`` indices without replacement, each draw in proportion to ``weights``, sorted.

    Exponential races (Efraimidis and Spirakis, Inf. Process. Lett. 97 (2006) 181): the n smallest
    of E_i / w_i, E_i standard exponential, are such a sample.
    """
    races = np.random.default_rng(seed).standard_exponential(weights.size)
    with np.errstate(divide="ignore"):
        order = np.argsort(races / weights, kind="stable")
    return np.sort(order[:n])

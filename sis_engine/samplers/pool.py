"""Single points on frames of the model's MD, whatever failed: `random` and `stride`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sis_engine.interfaces import SamplerInput
from sis_engine.records import (
    Decision,
    FloatArray,
    LabelPlan,
    MdFrame,
    Purpose,
    Verdict,
)
from sis_engine.samplers.auditing import learn_plans
from sis_engine.samplers.spending import affordable, cost
from sis_engine.samplers.starting import alive_until_fs, as_start, first_failures, usable
from sis_engine.samplers.stopping import StoppingSampler, failure_summary
from sis_engine.samplers.stopping_config import Count, StoppingConfig
from sis_engine.seeds import derive_seed


class PoolConfig(StoppingConfig):
    """Single points on frames of the model's MD.

    labels_per_system: per generation, an audit's labels included. 100 decorrelated frames are what
        a generation of active learning usually adds (DP-GEN's ``fp_task_max`` examples: 50-300)
    """

    labels_per_system: Count = 100


@dataclass(frozen=True, eq=False)
class Pool:
    """Frames of one system's replicas that may be labelled.

    frames: replica after replica, each in time order, none later than its t_cp
    share_fs: (n,) MD time that each frame stands for: half-way to its neighbours. Frames are kept
        densely before an end and sparsely before, so that counting them would count ends
    """

    frames: tuple[MdFrame, ...]
    share_fs: FloatArray


class PoolSampler(StoppingSampler[PoolConfig]):
    """A fixed number of single points a generation; how they are chosen is the subclass's."""

    @abstractmethod
    def choose(self, pool: Pool, n: int, seed: int) -> npt.NDArray[np.intp]:
        """Indices of at most ``n`` frames of the pool, each once."""

    def answer(self, given: SamplerInput, verdicts: Sequence[Verdict]) -> Decision:
        return self._labels(given, (), failure_summary(given, verdicts))

    def correct(self, given: SamplerInput, reason: str) -> Decision:
        """The audited frames are data, and count towards this generation's labels."""
        return self._labels(given, learn_plans(given, self.config.audit), reason)

    def _labels(self, given: SamplerInput, learn: Sequence[LabelPlan], reason: str) -> Decision:
        known = {start.frame.key for plan in learn for start in plan.starts}
        plans = []
        for system in given.systems:
            spent = sum(cost(plan) for plan in learn if plan.system == system.name)
            plan = self._plan(given, system.name, self.config.labels_per_system - spent, known)
            if plan is not None:
                plans.append(plan)
        # Learning is free (the bank has those labels), so it is never what a budget cuts.
        kept = affordable(plans, given.evaluations_left, min_steps=1, divisible=True)
        return self.request(given, [*learn, *plans], [*learn, *kept], reason)

    def _plan(
        self, given: SamplerInput, system: str, n: int, known: Collection[str]
    ) -> LabelPlan | None:
        pool = pool_of(given, system, known)
        if n < 1 or not pool.frames:
            return None
        seed = derive_seed(given.seed, given.generation, "pool", system)
        chosen = self.choose(pool, n, seed)
        return LabelPlan(
            id=f"g{given.generation:04d}-{self.config.type}-{system}",
            system=system,
            purpose=Purpose.SINGLE,
            starts=tuple(as_start(pool.frames[index]) for index in chosen),
            reason=f"{len(chosen)} of {len(pool.frames)} frames of the model's MD, "
            f"by {self.config.type}",
        )


def pool_of(given: SamplerInput, system: str, known: Collection[str] = ()) -> Pool:
    """All frames of a system's replicas up to their t_cp, without those in ``known`` (by key)."""
    failures = first_failures(given.verdicts)
    frames: list[MdFrame] = []
    shares: list[FloatArray] = []
    for run in given.explorations:
        if run.replica.system.name != system:
            continue
        own = usable(run.frames, alive_until_fs(run, failures))
        share = time_shares(np.array([item.time_fs for item in own]))
        fresh = np.array([item.frame.key not in known for item in own], dtype=bool)
        frames += [item for item, keep in zip(own, fresh, strict=True) if keep]
        shares.append(share[fresh])
    return Pool(tuple(frames), np.concatenate(shares) if shares else np.zeros(0))


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

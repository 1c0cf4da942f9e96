"""Single points on frames of the model's MD, whatever failed: `random` and `stride`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sis_engine.interfaces import SamplerInput
from sis_engine.records import (
    Decision,
    Exploration,
    FloatArray,
    LabelPlan,
    MdFrame,
    Purpose,
    Verdict,
)
from sis_engine.samplers.auditing import learn_plans
from sis_engine.samplers.reviving import died_at_once, revival_plan
from sis_engine.samplers.spending import affordable
from sis_engine.samplers.starting import alive_until_fs, as_start, first_failures, usable
from sis_engine.samplers.stopping import StoppingSampler, failure_summary
from sis_engine.samplers.stopping_config import Count, StoppingConfig
from sis_engine.samplers.times import strided, time_shares
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
    run: (n,) number of the replica that each frame is of
    """

    frames: tuple[MdFrame, ...]
    share_fs: FloatArray
    run: npt.NDArray[np.intp]


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
            spent = sum(len(plan.starts) for plan in learn if plan.system == system.name)
            plan = self._plan(given, system.name, self.config.labels_per_system - spent, known)
            if plan is not None:
                plans.append(plan)
        # Learning is free (the bank has those labels), so it is never what a budget cuts.
        kept = affordable(plans, given, min_steps=1, divisible=True)
        return self.request(given, [*learn, *plans], [*learn, *kept], reason)

    def _plan(
        self, given: SamplerInput, system: str, n: int, known: Collection[str]
    ) -> LabelPlan | None:
        runs = given.runs_of(system)
        if died_at_once(runs, first_failures(given.verdicts)):
            return revival_plan(given, runs, n)
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
    return pool_of_runs(given.runs_of(system), first_failures(given.verdicts), known)


def pool_of_runs(
    runs: Sequence[Exploration],
    failures: Mapping[str, Verdict],
    known: Collection[str] = (),
    *,
    window_fs: float | None = None,
) -> Pool:
    """Frames of some replicas up to their t_cp; with ``window_fs`` only the last so long."""
    pools: list[Pool] = []
    for run in runs:
        end_fs = alive_until_fs(run, failures)
        own = usable(run.frames, end_fs)
        share = time_shares(np.array([item.time_fs for item in own]))
        fresh = [
            k
            for k, item in enumerate(own)
            if item.frame.key not in known
            and (window_fs is None or item.time_fs >= end_fs - window_fs)
        ]
        ends = np.full(len(fresh), len(pools))
        pools.append(Pool(tuple(own[k] for k in fresh), share[fresh], ends))
    return joined(pools)


def joined(pools: Sequence[Pool]) -> Pool:
    """Several pools as one."""
    if not pools:
        return Pool((), np.zeros(0), np.zeros(0, dtype=np.intp))
    return Pool(
        tuple(item for pool in pools for item in pool.frames),
        np.concatenate([pool.share_fs for pool in pools]),
        np.concatenate([pool.run for pool in pools]),
    )


def thinned(pool: Pool, spacing_fs: float, most: int) -> Pool:
    """Without frames nearer than ``spacing_fs`` to a later one of their replica; at most so many.

    From the end backwards, so that the last frame before an end is always kept; what is still too
    much is strided evenly in time. The shares are of what is left.
    """
    kept: list[int] = []
    for run in np.unique(pool.run):
        next_fs = np.inf
        for index in reversed(np.flatnonzero(pool.run == run).tolist()):
            if next_fs - pool.frames[index].time_fs >= spacing_fs:
                kept.append(index)
                next_fs = pool.frames[index].time_fs
    rest = taken(pool, np.array(sorted(kept), dtype=np.intp))
    return taken(rest, strided(rest.share_fs, most))


def taken(pool: Pool, indices: npt.NDArray[np.intp]) -> Pool:
    """Some frames of a pool, their shares of time counted anew."""
    frames = tuple(pool.frames[k] for k in indices)
    run = pool.run[indices]
    share = np.zeros(len(indices))
    for number in np.unique(run):
        own = run == number
        times = np.array([f.time_fs for f, mine in zip(frames, own, strict=True) if mine])
        share[own] = time_shares(times)
    return Pool(frames, share, run)

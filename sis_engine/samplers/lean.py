"""Lean SIS: the indicator of SIS, answered by few well chosen points instead of segments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from sis_engine.interfaces import Needs, SamplerInput
from sis_engine.records import (
    Answer,
    Exploration,
    FloatArray,
    Inspected,
    InspectRequest,
    LabelPlan,
    Purpose,
    UnlikeFrames,
    Verdict,
)
from sis_engine.samplers.auditing import learn_plans
from sis_engine.samplers.early import early_audit
from sis_engine.samplers.farthest import Indices, farthest
from sis_engine.samplers.lean_config import LeanConfig
from sis_engine.samplers.pool import Pool, pool_of_runs, thinned
from sis_engine.samplers.random import drawn
from sis_engine.samplers.relevance import mrmr
from sis_engine.samplers.reviving import died_at_once, revival_plan
from sis_engine.samplers.segments import catastrophe_plan, earliest_catastrophes, told
from sis_engine.samplers.spending import affordable
from sis_engine.samplers.starting import as_start, first_failures, usable
from sis_engine.samplers.stopping import StoppingSampler, failure_summary
from sis_engine.samplers.times import strided
from sis_engine.seeds import derive_seed


class LeanSampler(StoppingSampler[LeanConfig]):
    """Points around and before the catastrophes of all replicas, unlike what is known."""

    Config: ClassVar[type[LeanConfig]] = LeanConfig

    @property
    def needs(self) -> Needs:
        return Needs(members=self.config.members, watch=False, descriptors=self.config.describes)

    # ------------------------------------------------------------------ the two answers

    def answer(self, given: SamplerInput, verdicts: Sequence[Verdict]) -> Answer:
        early = early_audit(given, self.config.audit, verdicts)
        if early is not None:
            return early
        chosen = earliest_catastrophes(given.explorations, verdicts, len(given.explorations))
        learn = self._learn(given)
        points = self._points(given, chosen, learn)
        if isinstance(points, InspectRequest):
            return points
        plans = [*points, *self._edges(given, chosen), *self._segments(given, verdicts)]
        return self._request(given, learn, plans, failure_summary(given, verdicts))

    def correct(self, given: SamplerInput, reason: str) -> Answer:
        """The audited frames are data already: decorrelated frames of the MD that is wrong. They
        count towards the points.
        """
        learn = self._learn(given)
        points = self._points(given, (), learn)
        if isinstance(points, InspectRequest):
            return points
        return self._request(given, learn, points, reason)

    def _request(
        self,
        given: SamplerInput,
        learn: Sequence[LabelPlan],
        plans: Sequence[LabelPlan],
        reason: str,
    ) -> Answer:
        min_steps = self.config.segment_rule.min_steps
        kept = affordable(plans, given, min_steps=min_steps, divisible=True)
        return self.request(given, [*learn, *plans], [*learn, *kept], reason)

    def _learn(self, given: SamplerInput) -> tuple[LabelPlan, ...]:
        """Audited frames, paid for already: of a failed audit, and of a passed one if so set."""
        if given.audit is None or (given.audit.passed and not self.config.learn_passed):
            return ()
        return learn_plans(given, self.config.audit)

    # ------------------------------------------------------------------ points

    def _points(
        self,
        given: SamplerInput,
        chosen: Sequence[tuple[Exploration, Verdict]],
        learn: Sequence[LabelPlan],
    ) -> InspectRequest | list[LabelPlan]:
        """Points of every system; first a look at the pools where the choice needs one."""
        pools, revived, failures = {}, [], first_failures(given.verdicts)
        for name in (system.name for system in given.systems):
            runs = given.runs_of(name)
            if died_at_once(runs, failures) and self.config.points_per_system:
                revived.append(revival_plan(given, runs, self.config.points_per_system))
                continue
            own = [plan for plan in learn if plan.system == name]
            learnt = {start.frame.key for plan in own for start in plan.starts}
            n = self.config.points_per_system - len(learnt)
            pool = self._pool(given, name, chosen, learnt)
            if n > 0 and pool.frames:
                pools[name] = (pool, n)
        if pools and self.config.describes and not given.inspected:
            return self._look(given, pools)
        seen = {item.system: item for item in given.inspected}
        points = (
            self._plan(given, name, pool, n, seen.get(name)) for name, (pool, n) in pools.items()
        )
        return [*revived, *points]

    def _look(self, given: SamplerInput, pools: Mapping[str, tuple[Pool, int]]) -> InspectRequest:
        """What has to be known of the pools before points are chosen."""
        by_atoms = self.config.choice == "unlike-atoms"
        return InspectRequest(
            tuple((name, pool.frames) for name, (pool, _) in pools.items()),
            "which frames are unlike what is labelled?",
            descriptors=not by_atoms,
            members=self.config.members > 1,
            n_known=self.config.n_known,
            unlike=tuple(self._unlike(given, name, *pools[name]) for name in pools if by_atoms),
        )

    def _unlike(self, given: SamplerInput, system: str, pool: Pool, n: int) -> UnlikeFrames:
        """What is to be chosen besides the random share."""
        lot = self._lot(given, system, pool, n)
        return UnlikeFrames(system, n - len(lot), tuple(int(row) for row in lot))

    def _lot(self, given: SamplerInput, system: str, pool: Pool, n: int) -> Indices:
        """The random share of ``n`` points; all of them with ``choice: random``."""
        share = 1.0 if self.config.choice == "random" else self.config.random_share
        seed = derive_seed(given.seed, given.generation, "points", system)
        return drawn(pool.share_fs, round(share * n), seed)

    def _pool(
        self,
        given: SamplerInput,
        system: str,
        chosen: Sequence[tuple[Exploration, Verdict]],
        learnt: Collection[str],
    ) -> Pool:
        """Frames to choose from: of all replicas, or of the one that failed first."""
        config = self.config
        runs = given.runs_of(system)
        failed = [run for run, _ in chosen if run.replica.system.name == system]
        if failed and not config.merged:
            runs = failed[:1]
        if failed and config.window_fs is not None:
            runs = [run for run in runs if run in failed]
        failures = first_failures(given.verdicts)
        pool = pool_of_runs(runs, failures, learnt, window_fs=config.window_fs)
        return thinned(pool, config.spacing_fs, config.max_pool)

    def _plan(
        self, given: SamplerInput, system: str, pool: Pool, n: int, seen: Inspected | None
    ) -> LabelPlan:
        indices = self._choose(given, system, pool, n, seen)
        return LabelPlan(
            id=f"g{given.generation:04d}-points-{system}",
            system=system,
            purpose=Purpose.SINGLE,
            starts=tuple(as_start(pool.frames[index]) for index in indices),
            reason=f"{len(indices)} of {len(pool.frames)} frames of the model's MD "
            f"({self.config.choice}, {self.config.random_share:.0%} at random)",
        )

    def _choose(
        self, given: SamplerInput, system: str, pool: Pool, n: int, seen: Inspected | None
    ) -> Indices:
        """The random share first; the others are unlike these too."""
        if self.config.choice == "stride":
            return strided(pool.share_fs, n)
        lot = self._lot(given, system, pool, n)
        rest = np.setdiff1d(np.arange(len(pool.frames)), lot)
        if len(lot) >= n or not rest.size or seen is None:
            return lot
        if seen.unlike is not None:
            return np.concatenate([lot, np.array(seen.unlike, dtype=np.intp)])
        features = seen.descriptors
        if features is None:
            return lot
        if self.config.choice == "mrmr":
            relevance = _forces(seen)
            far = mrmr(relevance[rest], features[rest], n - len(lot))
        else:
            known = [features[lot]] if seen.known is None else [features[lot], seen.known]
            far = farthest(features[rest], n - len(lot), known=np.concatenate(known))
        return np.concatenate([lot, rest[far]])

    # ------------------------------------------------------------------ edges and segments

    def _edges(
        self, given: SamplerInput, chosen: Sequence[tuple[Exploration, Verdict]]
    ) -> list[LabelPlan]:
        """The last good and the first bad frame of the earliest failures."""
        plans: list[LabelPlan] = []
        for run, verdict in chosen:
            system = run.replica.system.name
            index = sum(plan.system == system for plan in plans)
            frames = usable(run.frames, verdict.time_fs)[-self.config.max_starts :]
            if index >= self.config.edges_per_system or not frames:
                continue
            plans.append(
                LabelPlan(
                    id=f"g{given.generation:04d}-edge-{index}-{system}",
                    system=system,
                    purpose=Purpose.SINGLE,
                    starts=tuple(as_start(item) for item in reversed(frames)),
                    bisect=self.config.edge.spec(),
                    reason=told(run, verdict),
                )
            )
        return plans

    def _segments(self, given: SamplerInput, verdicts: Sequence[Verdict]) -> list[LabelPlan]:
        """Reference MD from before the earliest catastrophes, until the model is right on it."""
        config = self.config
        if not config.segments_per_system:
            return []
        until = None
        if config.until is not None:
            until = config.until.spec(config.segment_rule.timestep_fs)
        chosen = earliest_catastrophes(given.explorations, verdicts, config.segments_per_system)
        return [
            replace(catastrophe_plan(given, config, run, verdict, index), until=until)
            for index, (run, verdict) in enumerate(chosen)
        ]


def _forces(seen: Inspected) -> FloatArray:
    """(n,) force deviations; what is not finite matters most."""
    found = np.array([item.force for item in seen.deviations or ()])
    largest = np.max(found[np.isfinite(found)], initial=0.0)
    return np.where(np.isfinite(found), found, largest)

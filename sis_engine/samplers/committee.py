"""Query by committee: labels where models that differ in seed disagree (DP-GEN).

Zhang et al., Comput. Phys. Commun. 253 (2020) 107206.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from sis_engine.interfaces import Needs, SamplerInput
from sis_engine.records import (
    Answer,
    Condition,
    Exhausted,
    Inspected,
    InspectRequest,
    LabelPlan,
    Purpose,
    Requests,
    Stable,
    System,
    Verdict,
)
from sis_engine.samplers.auditing import learn_plans
from sis_engine.samplers.census import Census, census
from sis_engine.samplers.committee_config import Adaptive, Calibrated, CommitteeConfig
from sis_engine.samplers.farthest import Indices, farthest
from sis_engine.samplers.grid import grid_conditions, turns
from sis_engine.samplers.pool import Pool, pool_of, taken, thinned
from sis_engine.samplers.random import drawn
from sis_engine.samplers.relevance import mrmr
from sis_engine.samplers.spending import affordable
from sis_engine.samplers.starting import as_start, first_failures
from sis_engine.samplers.stopping import StoppingSampler, failure_summary
from sis_engine.samplers.trust import (
    Levels,
    Looks,
    Trust,
    adaptive_candidates,
    calibrated,
    judged,
)
from sis_engine.seeds import derive_seed


class CommitteeSampler(StoppingSampler[CommitteeConfig]):
    """Candidates of the committee, until nearly all that is explored is accurate."""

    Config: ClassVar[type[CommitteeConfig]] = CommitteeConfig

    @property
    def needs(self) -> Needs:
        return Needs(self.config.members, descriptors=self.config.choice != "random")

    def check(self, replicas: int) -> None:
        """Without confirmation nothing has to survive."""
        if self.config.confirm:
            super().check(replicas)

    def conditions(
        self, base: Condition, generation: int, system: System | None = None
    ) -> tuple[Condition, ...]:
        bases = super().conditions(base, generation, system)
        grid = self.config.grid
        return bases if grid is None else grid_conditions(bases, grid, generation, system)

    # ------------------------------------------------------------------ the decision

    def decide(self, given: SamplerInput) -> Answer:
        levels = self.levels(given)
        counts = self.counted(given, levels)
        if not all(item.total for item in counts):
            return Exhausted(
                "nobody looked at the MD: no deviation is in the traces; does the explorer know "
                "members, and do they live beyond explore.sampling.deviation_every_steps?"
            )
        told = "; ".join(map(str, counts))
        if min(item.accuracy for item in counts) < self.config.accuracy:
            return self._candidates(given, levels, told)
        waiting = turns(self.config.grid) - _accurate_before(given) - 1
        if waiting > 0:
            return Requests((), f"{told}; {waiting} more rounds of conditions to explore")
        if not self.config.confirm:
            return Stable(f"{told}: converged at {self.config.accuracy:.0%} (no audit)")
        return super().decide(given)

    def answer(self, given: SamplerInput, verdicts: Sequence[Verdict]) -> Answer:
        """Accurate as a committee, and yet something failed."""
        reason = f"the committee is of one mind, yet {failure_summary(given, verdicts)}"
        return self._candidates(given, self.levels(given), reason)

    def correct(self, given: SamplerInput, reason: str) -> Answer:
        """The committee is of one mind and wrong: the audited frames teach it otherwise."""
        return self._candidates(given, self.levels(given), reason)

    # ------------------------------------------------------------------ trust

    def levels(self, given: SamplerInput) -> Levels:
        """The levels of this generation."""
        config, force = self.config, self.config.force.band()
        pairs = [pair for summary in given.history for pair in summary.foreseen]
        if isinstance(config.trust, Calibrated):
            usable = [pair for pair in pairs if pair.deviation > 0.0 and np.isfinite(pair.error)]
            if len(usable) >= config.trust.min_pairs:
                force = calibrated(config.trust.error.band(), usable, config.trust.quantile)
        return Levels(
            force,
            None if config.virial is None else config.virial.band(),
            None if config.energy is None else config.energy.band(),
        )

    def counted(self, given: SamplerInput, levels: Levels) -> tuple[Census, ...]:
        """One census a system."""
        failures = first_failures(given.verdicts)
        found = []
        for system in given.systems:
            runs = given.runs_of(system.name)
            found.append(census(system.name, runs, failures, levels))
        return tuple(found)

    # ------------------------------------------------------------------ candidates

    def _candidates(self, given: SamplerInput, levels: Levels, reason: str) -> Answer:
        """Single points on candidates; first a look, where the choice or a level needs one."""
        learn = () if given.audit is None else learn_plans(given, self.config.audit)
        pools = {s.name: self._pool(given, s.name, levels, learn) for s in given.systems}
        pools = {name: pool for name, pool in pools.items() if pool.frames}
        if pools and not given.inspected and self._wants_a_look:
            return InspectRequest(
                tuple((name, pool.frames) for name, pool in pools.items()),
                "energies of the members, and which candidates are unlike what is labelled",
                descriptors=self.needs.descriptors,
                members=self.config.energy is not None,
                n_known=self.config.n_known if self.config.choice == "farthest" else 0,
            )
        seen = {item.system: item for item in given.inspected}
        plans = []
        for name, pool in pools.items():
            spent = sum(len(plan.starts) for plan in learn if plan.system == name)
            plan = self._plan(given, name, pool, levels, seen.get(name), spent)
            if plan is not None:
                plans.append(plan)
        force = levels.force
        why = f"{reason} (trust {force.lo:.3g} to {force.hi:.3g} eV/Å)"
        kept = affordable(plans, given, min_steps=1, divisible=True)
        return self.request(given, [*learn, *plans], [*learn, *kept], why)

    @property
    def _wants_a_look(self) -> bool:
        return self.needs.descriptors or self.config.energy is not None

    def _pool(
        self, given: SamplerInput, system: str, levels: Levels, learn: Sequence[LabelPlan]
    ) -> Pool:
        """Frames to choose from: candidates, or all where the energy has yet to be looked at."""
        known = {s.frame.key for plan in learn if plan.system == system for s in plan.starts}
        pool = _watched(pool_of(given, system, known))
        pool = thinned(pool, self.config.spacing_fs, len(pool.frames))
        if levels.energy is None:
            pool = taken(pool, self._chosen_by_trust(_looks(pool, None), levels))
        return thinned(pool, 0.0, self.config.max_pool)

    def _chosen_by_trust(self, looks: Looks, levels: Levels) -> Indices:
        """Candidates; where there are none but failures, the nearest of these."""
        states = judged(looks, levels)
        if isinstance(self.config.trust, Adaptive):
            trust = self.config.trust
            found = np.flatnonzero(adaptive_candidates(looks, levels, trust.n, trust.rate))
        else:
            found = np.flatnonzero(states == Trust.CANDIDATE)
        failed = np.flatnonzero((states == Trust.FAILED) & np.isfinite(looks.force))
        if found.size or not failed.size:
            return found
        nearest = failed[np.argsort(looks.force[failed], kind="stable")]
        return np.sort(nearest[: self.config.rescue])

    def _plan(
        self,
        given: SamplerInput,
        system: str,
        pool: Pool,
        levels: Levels,
        seen: Inspected | None,
        spent: int,
    ) -> LabelPlan | None:
        candidates = np.arange(len(pool.frames))
        if levels.energy is not None:
            candidates = self._chosen_by_trust(_looks(pool, seen), levels)
        n = min(self.config.labels_per_system - spent, len(candidates))
        if n < 1:
            return None
        seed = derive_seed(given.seed, given.generation, "committee", system)
        chosen = candidates[self._choose(taken(pool, candidates), candidates, n, seed, seen)]
        return LabelPlan(
            id=f"g{given.generation:04d}-committee-{system}",
            system=system,
            purpose=Purpose.SINGLE,
            starts=tuple(as_start(pool.frames[index]) for index in chosen),
            reason=f"{n} of {len(candidates)} candidates, by {self.config.choice}",
        )

    def _choose(
        self, pool: Pool, rows: Indices, n: int, seed: int, seen: Inspected | None
    ) -> Indices:
        """Indices into ``pool``, whose frames are the ``rows`` of what was inspected."""
        if seen is None or seen.descriptors is None:
            return drawn(pool.share_fs, n, seed)
        features = seen.descriptors[rows]
        force = _looks(pool, None).force
        if self.config.choice == "mrmr":
            return mrmr(force, features, n)
        return farthest(features, n, known=seen.known, first=int(np.argmax(force)))


def _accurate_before(given: SamplerInput) -> int:
    """Generations just before this one that asked for nothing: they found nothing to ask for."""
    count = 0
    for summary in reversed(given.history):
        if summary.asked:
            break
        count += 1
    return count


def _watched(pool: Pool) -> Pool:
    """The frames that the committee looked at."""
    found = [k for k, item in enumerate(pool.frames) if item.deviation is not None]
    return taken(pool, np.array(found, dtype=np.intp))


def _looks(pool: Pool, seen: Inspected | None) -> Looks:
    """Deviations of a pool's frames; with the energy's where the frames were inspected."""
    kept = [item.deviation for item in pool.frames if item.deviation is not None]
    virials = [item.virial for item in kept if item.virial is not None]
    energies = None
    if seen is not None and seen.deviations is not None:
        energies = np.array([np.nan if d.energy is None else d.energy for d in seen.deviations])
    return Looks(
        np.array([item.force for item in kept]),
        np.array(virials) if kept and len(virials) == len(kept) else None,
        energies,
    )

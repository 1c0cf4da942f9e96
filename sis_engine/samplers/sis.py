"""SIS: labels where MD becomes unstable, until it is stable and an audit says it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import SamplerInput
from sis_engine.records import (
    AuditRequest,
    Condition,
    Decision,
    Exhausted,
    Exit,
    Exploration,
    LabelPlan,
    Requests,
    Stable,
    Verdict,
)
from sis_engine.samplers.auditing import audit_plans, learn_plans, mending_plans
from sis_engine.samplers.segments import (
    affordable,
    catastrophe_plan,
    cost,
    earliest_catastrophes,
    point_plan,
)
from sis_engine.samplers.sis_config import SisConfig

PUBLISHED_MONITORS = ("temperature", "explorer")
"""The paper's catastrophe is of temperature; a crash of the engine is one by any rule."""


class SisSampler:
    """Requests while something fails; an audit when nothing does; stable when it passes."""

    Config = SisConfig

    def __init__(self, config: SisConfig) -> None:
        self.config = config

    @classmethod
    def from_config(cls, config: Any) -> Self:
        return cls(config)

    def check(self, replicas: int) -> None:
        """Fewer replicas than must survive can never end *stable*."""
        needed = 1 if self.config.published else self.config.required_survivors
        if replicas < needed:
            raise ConfigurationError(
                f"{replicas} replicas are explored, but {needed} must live to the end",
                key="explore.replicas",
                allowed=f"{needed} or more",
                hint="or lower sampler.min_survivors, which weakens what `stable` says",
            )

    def conditions(self, base: Condition, generation: int) -> tuple[Condition, ...]:
        """The base condition, shorter in the generations of ``duration_schedule_ps``."""
        schedule = self.config.duration_schedule_ps or ()
        if generation >= len(schedule):
            return (base,)
        return (replace(base, duration_ps=min(schedule[generation], base.duration_ps)),)

    def decide(self, given: SamplerInput) -> Decision:
        verdicts = self._catastrophes(given)
        if verdicts:
            early = self._early_audit(given, verdicts)
            return self._answer(given, verdicts) if early is None else early
        doubtful = [run for run in given.explorations if not _lived(run)]
        if doubtful:
            return Exhausted(
                f"{_names(doubtful)} ended early, but not of something that labels cure: see the "
                "triage of this generation"
            )
        return self._confirm(given)

    # ------------------------------------------------------------------ something failed

    def _catastrophes(self, given: SamplerInput) -> tuple[Verdict, ...]:
        if not self.config.published:
            return given.verdicts
        return tuple(v for v in given.verdicts if v.monitor in PUBLISHED_MONITORS)

    def _early_audit(self, given: SamplerInput, verdicts: Sequence[Verdict]) -> AuditRequest | None:
        """An audit of those that lived beside those that failed; ``None``: none, or had already."""
        if self.config.published or not self.config.audit.early or given.audit is not None:
            return None
        failed = {verdict.replica for verdict in verdicts}
        lived = [r for r in given.explorations if _lived(r) and r.replica.id not in failed]
        plans = audit_plans(given, self.config, lived)
        n_frames = sum(cost(plan) for plan in plans)
        left = given.evaluations_left
        if not plans or (left is not None and n_frames > left):
            return None
        return AuditRequest(plans, f"{len(plans)} survivors beside {len(failed)} failures")

    def _answer(self, given: SamplerInput, verdicts: Sequence[Verdict]) -> Decision:
        """Segments from before the earliest catastrophes."""
        chosen = earliest_catastrophes(
            given.explorations, verdicts, self.config.segments_per_system
        )
        if not chosen:
            return Exhausted(
                f"{len(verdicts)} verdicts, first {verdicts[0].replica!r}, belong to no replica "
                "of this generation"
            )
        plans: list[LabelPlan] = []
        for index, (run, verdict) in enumerate(chosen):
            plans.append(catastrophe_plan(given, self.config, run, verdict, index))
            points = point_plan(given, self.config, run, verdict, index)
            if points is not None:
                plans.append(points)
        if given.audit is not None and not given.audit.passed:
            plans += [*learn_plans(given, self.config), *mending_plans(given, self.config)]
        first = chosen[0][1]
        reason = (
            f"{len({v.replica for v in verdicts})} of {len(given.explorations)} replicas failed, "
            f"first at {first.time_fs / 1000.0:.3f} ps by {first.monitor}: {first.criterion}"
        )
        return self._request(given, plans, reason)

    def _request(
        self, given: SamplerInput, plans: Sequence[LabelPlan], reason: str
    ) -> Requests | Exhausted:
        kept = affordable(plans, given.evaluations_left, self.config)
        if kept:
            return Requests(kept, reason)
        wanted = sum(cost(plan) for plan in plans)
        return Exhausted(
            f"{reason}; the answer costs {wanted} evaluations and {given.evaluations_left} are left"
        )

    # ------------------------------------------------------------------ nothing failed

    def _confirm(self, given: SamplerInput) -> Decision:
        if self.config.published:
            return Stable(f"all {len(given.explorations)} replicas lived to the end (no audit)")
        short = self._too_few(given)
        if short is not None:
            return Exhausted(short)
        if given.audit is None:
            return self._audit(given)
        if given.audit.passed and not self._shortened(given.generation):
            errors = given.audit.errors
            relative = errors.relative_force_rmse or 0.0
            return Stable(
                f"{len(given.explorations)} replicas lived to the end and {errors.n_frames} of "
                f"their frames are right: relative force error {relative:.3g}"
                f", upper limit {given.audit.relative_upper:.3g} <= {given.audit.relative_limit:g}"
            )
        return self._learn(given)

    def _too_few(self, given: SamplerInput) -> str | None:
        """Why the survivors do not bound the survival probability, or ``None``."""
        required = self.config.required_survivors
        for system in given.systems:
            n = sum(run.replica.system.name == system.name for run in given.explorations)
            if n < required:
                return (
                    f"all {n} replicas of {system.name} lived, but the stop rule needs {required}: "
                    "raise explore.replicas, or lower sampler.min_survivors"
                )
        return None

    def _audit(self, given: SamplerInput) -> Decision:
        plans = audit_plans(given, self.config, given.explorations)
        n_frames = sum(cost(plan) for plan in plans)
        if given.evaluations_left is not None and n_frames > given.evaluations_left:
            return Exhausted(
                f"all replicas lived, but their audit costs {n_frames} evaluations and "
                f"{given.evaluations_left} are left"
            )
        if not plans:
            return Exhausted(
                "all replicas lived, but none kept a frame after audit.burn_in_ps to audit: "
                "lower it, or explore.sampling.sparse_every_ps"
            )
        return AuditRequest(plans, f"{len(plans)} survivors, {n_frames} frames")

    def _learn(self, given: SamplerInput) -> Decision:
        """The audit failed, or was of a shortened run: its frames are data, and more is asked."""
        audit = given.audit
        learn = learn_plans(given, self.config)
        if audit is not None and audit.passed:
            schedule = self.config.duration_schedule_ps or ()
            reason = f"right as far as {schedule[given.generation]:g} ps; longer MD comes next"
            return Requests(learn, reason)
        reasons = "; ".join(audit.reasons) if audit is not None else ""
        reason = f"the survivors are wrong: {reasons or 'the audit failed'}"
        segments = affordable(
            mending_plans(given, self.config), given.evaluations_left, self.config
        )
        if not segments and not learn:
            return Exhausted(f"{reason}; nothing more can be labelled")
        return Requests((*learn, *segments), reason)

    def _shortened(self, generation: int) -> bool:
        return generation < len(self.config.duration_schedule_ps or ())


def _lived(run: Exploration) -> bool:
    full_ps = run.replica.condition.duration_ps
    return run.exit is Exit.COMPLETED and run.md_ps >= 0.999 * full_ps


def _names(runs: Sequence[Exploration]) -> str:
    return ", ".join(run.replica.id for run in runs)

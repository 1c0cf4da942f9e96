"""What all samplers share: labels while something is wrong, *stable* after survival and an audit.

A sampler of this family differs from its siblings in what it labels, not in when it may end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Generic, Self, TypeVar

from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Needs, SamplerInput
from sis_engine.labelling.costs import least_of
from sis_engine.records import (
    Answer,
    AuditRequest,
    AuditResult,
    Condition,
    Decision,
    Exhausted,
    Exit,
    Exploration,
    LabelPlan,
    Requests,
    Stable,
    System,
    Verdict,
)
from sis_engine.samplers.auditing import audit_plans, learn_plans, looked_at_first
from sis_engine.samplers.spending import total_cost
from sis_engine.samplers.stopping_config import StoppingConfig

ConfigT = TypeVar("ConfigT", bound=StoppingConfig)


class StoppingSampler(ABC, Generic[ConfigT]):
    """Requests while something fails; an audit when nothing does; stable when it passes."""

    Config: ClassVar[type[StoppingConfig]]

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    @classmethod
    def from_config(cls, config: Any) -> Self:
        return cls(config)

    # ------------------------------------------------------------------ what differs

    @property
    def needs(self) -> Needs:
        """Nothing beside the MD of one model."""
        return Needs()

    @abstractmethod
    def answer(self, given: SamplerInput, verdicts: Sequence[Verdict]) -> Answer:
        """Labels that answer catastrophes."""

    @abstractmethod
    def correct(self, given: SamplerInput, reason: str) -> Answer:
        """Labels that answer a failed audit of survivors."""

    # ------------------------------------------------------------------ what is shared

    def check(self, replicas: int) -> None:
        """Fewer replicas than must survive can never end *stable*."""
        needed = self.config.required_survivors
        if replicas < needed:
            raise ConfigurationError(
                f"{replicas} replicas are explored, but {needed} must live to the end",
                key="explore.replicas",
                allowed=f"{needed} or more",
                hint="or lower sampler.min_survivors, which weakens what `stable` says",
            )

    def conditions(
        self,
        base: Condition,
        generation: int,
        system: System | None = None,  # noqa: ARG002 - the same for all
    ) -> tuple[Condition, ...]:
        """The base condition, shorter in the generations of ``duration_schedule_ps``."""
        schedule = self.config.duration_schedule_ps or ()
        if generation >= len(schedule):
            return (base,)
        return (replace(base, duration_ps=min(schedule[generation], base.duration_ps)),)

    def decide(self, given: SamplerInput) -> Answer:
        verdicts = self.catastrophes(given)
        if verdicts:
            return self.answer(given, verdicts)
        doubtful = [run for run in given.explorations if not lived(run)]
        if doubtful:
            names = ", ".join(run.replica.id for run in doubtful)
            return Exhausted(
                f"{names} ended early, but not of something that labels cure: see the triage of "
                "this generation"
            )
        return self.confirm(given)

    def catastrophes(self, given: SamplerInput) -> tuple[Verdict, ...]:
        """The verdicts that this sampler answers."""
        return given.verdicts

    def confirm(self, given: SamplerInput) -> Answer:
        """Nothing failed: is it enough, and is it right?"""
        short = self._too_few(given)
        if short is not None:
            return Exhausted(short)
        plans = audit_plans(given, self.config.audit, given.explorations)
        if given.audit is None or self._is_worth_the_rest(given.audit, plans):
            return self._audit(given, plans)
        if not given.audit.passed:
            reasons = "; ".join(given.audit.reasons)
            return self.correct(given, f"the survivors are wrong: {reasons or 'the audit failed'}")
        schedule = self.config.duration_schedule_ps or ()
        if given.generation < len(schedule):
            reason = f"right as far as {schedule[given.generation]:g} ps; longer MD comes next"
            return Requests(learn_plans(given, self.config.audit), reason)
        errors = given.audit.errors
        return Stable(
            f"{len(given.explorations)} replicas lived to the end and {errors.n_frames} of their "
            f"frames are right: relative force error {errors.relative_force_rmse or 0.0:.3g}, "
            f"upper limit {given.audit.relative_upper:.3g} <= {given.audit.relative_limit:g}"
        )

    def request(
        self, given: SamplerInput, plans: Sequence[LabelPlan], kept: Sequence[LabelPlan], why: str
    ) -> Decision:
        """Ask for what the budget allows (``kept``); exhausted if of ``plans`` nothing is left."""
        if kept:
            return Requests(tuple(kept), why)
        if not plans:
            return Exhausted(f"{why}; no frame was kept that could be labelled")
        wanted = total_cost(plans, given)
        return Exhausted(f"{why}; the answer costs {wanted} evaluations and {_left(given)}")

    def _too_few(self, given: SamplerInput) -> str | None:
        """Why the survivors do not bound the survival probability, or ``None``."""
        required = self.config.required_survivors
        for system in given.systems:
            n = len(given.runs_of(system.name))
            if n < required:
                return (
                    f"all {n} replicas of {system.name} lived, but the stop rule needs {required}: "
                    "raise explore.replicas, or lower sampler.min_survivors"
                )
        return None

    def _audit(self, given: SamplerInput, plans: Sequence[LabelPlan]) -> AuditRequest | Exhausted:
        wanted = least_of(plans, given.is_labelled)
        n_frames = wanted.total()
        if not given.allowance.holds(wanted):
            return Exhausted(
                f"all replicas lived, but their audit costs {n_frames} evaluations and "
                f"{_left(given)}"
            )
        if not plans:
            return Exhausted(
                "all replicas lived, but none kept a frame after sampler.audit.burn_in_ps to "
                "audit: lower it, or explore.sampling.sparse_every_ps"
            )
        look, n_first = plans, self.config.audit.first_look
        if n_first is not None and given.audit is None:
            look = looked_at_first(plans, n_first)
        return AuditRequest(tuple(look), f"{len(plans)} survivors, {_n_frames(look)} frames")

    def _is_worth_the_rest(self, audit: AuditResult, plans: Sequence[LabelPlan]) -> bool:
        """It was a first look, and errors of what was looked at are within the limits.

        A first look can only refuse: what passes is judged on all frames.
        """
        return (
            self.config.audit.first_look is not None
            and audit.within_limits
            and not audit.n_failed
            and audit.errors.n_frames < _n_frames(plans)
        )


def _n_frames(plans: Sequence[LabelPlan]) -> int:
    return sum(len(plan.starts) for plan in plans)


def _left(given: SamplerInput) -> str:
    """'10 are left', with the limits on single purposes where there are any."""
    total = (
        "no limit holds for all"
        if given.evaluations_left is None
        else (f"{given.evaluations_left} are left")
    )
    each = ", ".join(f"{limit} of {purpose.value}" for purpose, limit in given.left_by_purpose)
    return f"{total} ({each})" if each else total


def lived(run: Exploration) -> bool:
    """It reached its condition's full duration by itself."""
    return run.exit is Exit.COMPLETED and run.md_ps >= 0.999 * run.replica.condition.duration_ps


def failure_summary(given: SamplerInput, verdicts: Sequence[Verdict]) -> str:
    """'2 of 4 replicas failed, first at 0.700 ps by temperature: …'"""
    first = min(verdicts, key=lambda item: item.time_fs)
    return (
        f"{len({v.replica for v in verdicts})} of {len(given.explorations)} replicas failed, "
        f"first at {first.time_fs / 1000.0:.3f} ps by {first.monitor}: {first.criterion}"
    )

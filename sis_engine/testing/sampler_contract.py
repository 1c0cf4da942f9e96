"""What every sampler must do. For authors of samplers: call :func:`check_sampler` in a test."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from sis_engine.interfaces import PluginConfig, Sampler, SamplerInput
from sis_engine.records import (
    AuditRequest,
    Condition,
    Decision,
    Exhausted,
    LabelPlan,
    Purpose,
    Requests,
    Stable,
    Verdict,
)
from sis_engine.testing.synthetic import example_context, exploration


def check_sampler(sampler: Sampler) -> None:
    """Run every check on synthetic replicas. Raises AssertionError with what was broken."""
    assert isinstance(sampler, Sampler), f"{type(sampler).__name__} lacks a part of Sampler"
    assert issubclass(sampler.Config, PluginConfig), "Config is a PluginConfig"
    check_conditions(sampler, example_context().condition)
    for given in (failed_input(), surviving_input(), failed_input(evaluations_left=500)):
        check_decision(sampler, given)


@cache
def failed_input(evaluations_left: int | None = None) -> SamplerInput:
    """Four replicas; two of them failed, at 3.21 and at 0.7 ps."""
    context = example_context()
    runs = (
        exploration(context, "r0", seed=1),
        exploration(context, "r1", failed_at_fs=3210.0, seed=2),
        exploration(context, "r2", failed_at_fs=700.0, seed=3),
        exploration(context, "r3", seed=4),
    )
    verdicts = (
        Verdict("r1", "temperature", "temperature_k above 1000 K", 3210.0, 1500.0, 1000.0),
        Verdict("r2", "temperature", "temperature_k above 1000 K", 700.0, 1300.0, 1000.0),
    )
    given = surviving_input()
    return replace(given, explorations=runs, verdicts=verdicts, evaluations_left=evaluations_left)


@cache
def surviving_input(n_replicas: int = 14) -> SamplerInput:
    """Replicas that all lived to the end."""
    context = example_context()
    assert context.support is not None
    return SamplerInput(
        generation=2,
        systems=(context.system,),
        explorations=tuple(exploration(context, f"r{k}", seed=k) for k in range(n_replicas)),
        verdicts=(),
        support=(context.support,),
        history=(),
        seed=7,
        conditions=(context.condition,),
    )


def check_conditions(sampler: Sampler, base: Condition) -> None:
    """Every generation has conditions, none longer than the base; asked again, the same."""
    for generation in range(8):
        conditions = sampler.conditions(base, generation)
        assert conditions, f"nothing to explore in generation {generation}"
        assert conditions == sampler.conditions(base, generation), "conditions are not pure"
        assert all(0.0 < c.duration_ps <= base.duration_ps for c in conditions)
        names = [c.name for c in conditions]
        assert len(set(names)) == len(names), f"two conditions are called the same: {names}"


def check_decision(sampler: Sampler, given: SamplerInput) -> None:
    """A decision has a reason, is the same when asked again, and its plans can be labelled."""
    decision = sampler.decide(given)
    assert isinstance(decision, Requests | AuditRequest | Stable | Exhausted)
    assert decision.reason, "a decision says why"
    assert _written(decision) == _written(sampler.decide(given)), "decide is not pure"
    if isinstance(decision, Requests | AuditRequest):
        check_plans(decision, given)


def check_plans(decision: Requests | AuditRequest, given: SamplerInput) -> None:
    """Plans have unique ids, known systems, finite starts, and stay within the budget."""
    ids = [plan.id for plan in decision.plans]
    assert len(set(ids)) == len(ids), f"two plans have one id: {ids}"
    known = {system.name: system for system in given.systems}
    for plan in decision.plans:
        assert plan.system in known, f"{plan.id} is of an unknown system {plan.system}"
        assert plan.starts, f"{plan.id} has no start"
        for start in plan.starts:
            assert start.frame.species == known[plan.system].frame.species
            assert np.isfinite(start.frame.positions).all(), f"{plan.id} starts nowhere"
        if plan.segment is not None:
            assert plan.segment.n_steps >= 1
            assert plan.segment.timestep_fs > 0.0
        if isinstance(decision, AuditRequest):
            _check_audit_plan(plan)
    if given.evaluations_left is not None:
        needed = sum(_least_cost(plan) for plan in decision.plans)
        assert needed <= given.evaluations_left, f"{needed} evaluations asked, fewer are left"


def _check_audit_plan(plan: LabelPlan) -> None:
    assert plan.purpose is Purpose.AUDIT, f"{plan.id} audits for {plan.purpose.value}"
    assert plan.segment is None, f"{plan.id}: an audit labels frames as they are"
    for start in plan.starts:
        assert start.model_forces is not None, f"{plan.id}: nothing to compare the label with"
        assert start.model_energy is not None, f"{plan.id}: nothing to compare the label with"


def _least_cost(plan: LabelPlan) -> int:
    return len(plan.starts) if plan.segment is None else plan.segment.n_steps


def _written(decision: Decision) -> str:
    plans = decision.plans if isinstance(decision, Requests | AuditRequest) else ()
    return repr(
        (
            decision.reason,
            [(p.id, p.segment, p.bounds, p.bisect, [s.frame.key for s in p.starts]) for p in plans],
        )
    )

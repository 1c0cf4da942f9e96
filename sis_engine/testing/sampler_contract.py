"""What every sampler must do. For authors of samplers: call :func:`check_sampler` in a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np

from sis_engine.interfaces import PluginConfig, Sampler, SamplerInput
from sis_engine.labelling.costs import least_of
from sis_engine.records import (
    Answer,
    AuditRequest,
    Condition,
    Deviation,
    Drifted,
    DriftRequest,
    Exhausted,
    Exploration,
    FloatArray,
    Inspected,
    InspectRequest,
    LabelPlan,
    MdFrame,
    Purpose,
    Quantity,
    Requests,
    Stable,
    UnlikeFrames,
    Verdict,
)
from sis_engine.testing.synthetic import example_context, exploration

ANSWERS = (Requests, AuditRequest, Stable, Exhausted, InspectRequest, DriftRequest)
MOST_LOOKS = 8
"""Inspections after which a sampler must have decided (as the engine has it)."""


def check_sampler(sampler: Sampler) -> None:
    """Run every check on synthetic replicas. Raises AssertionError with what was broken."""
    assert isinstance(sampler, Sampler), f"{type(sampler).__name__} lacks a part of Sampler"
    assert issubclass(sampler.Config, PluginConfig), "Config is a PluginConfig"
    assert sampler.needs.members >= 1, "at least the model that drives the MD"
    assert sampler.needs == sampler.needs, "needs do not change"
    check_conditions(sampler, example_context().condition)
    for given in (failed_input(), surviving_input(), failed_input(evaluations_left=500)):
        check_decision(sampler, watched(given) if sampler.needs.members > 1 else given)


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
    for generation, system in product(range(8), (None, example_context().system)):
        conditions = sampler.conditions(base, generation, system)
        assert conditions, f"nothing to explore in generation {generation}"
        again = sampler.conditions(base, generation, system)
        assert conditions == again, "conditions are not pure"
        assert all(0.0 < c.duration_ps <= base.duration_ps for c in conditions)
        names = [c.name for c in conditions]
        assert len(set(names)) == len(names), f"two conditions are called the same: {names}"


def check_decision(sampler: Sampler, given: SamplerInput) -> None:
    """A decision has a reason, is the same when asked again, and its plans can be labelled."""
    for _ in range(MOST_LOOKS):
        answer = sampler.decide(given)
        assert isinstance(answer, ANSWERS)
        assert answer.reason, "a decision says why"
        assert _written(answer) == _written(sampler.decide(given)), "decide is not pure"
        if isinstance(answer, InspectRequest):
            check_inspection(sampler, answer, given)
            given = replace(given, inspected=inspected(answer))
        elif isinstance(answer, DriftRequest):
            check_drift(sampler, answer, given)
            given = replace(given, drifted=drifted(answer))
        else:
            break
    else:
        raise AssertionError(f"it only looks: no decision after {MOST_LOOKS} inspections")
    if isinstance(answer, Requests | AuditRequest):
        check_plans(answer, given)


def check_inspection(sampler: Sampler, request: InspectRequest, given: SamplerInput) -> None:
    """It asks for what it said it needs, on frames of known systems."""
    assert not request.descriptors or sampler.needs.descriptors, "descriptors were not declared"
    assert not request.members or sampler.needs.members > 1, "members were not declared"
    names = [system for system, _ in request.frames]
    assert len(set(names)) == len(names), f"a system is asked for twice: {names}"
    assert set(names) <= {system.name for system in given.systems}, f"unknown systems in {names}"
    assert any(frames for _, frames in request.frames), "it asks to look at nothing"
    n_frames = {system: len(frames) for system, frames in request.frames}
    assert not request.unlike or sampler.needs.descriptors, "descriptors were not declared"
    for wanted in request.unlike:
        assert wanted.system in n_frames, (
            f"unlike frames of {wanted.system}, of which none is shown"
        )
        assert set(wanted.besides) <= set(range(n_frames[wanted.system])), "rows that are not there"


def check_drift(sampler: Sampler, request: DriftRequest, given: SamplerInput) -> None:
    """It moves known systems, each once, by the force field that it declared."""
    assert sampler.needs.force_field is not None, "a force field was not declared"
    known = {system.name: system for system in given.systems}
    names = [system for system, _, _ in request.starts]
    assert names, "it moves nothing"
    assert len(set(names)) == len(names), f"a system is moved twice: {names}"
    assert set(names) <= set(known), f"unknown systems in {names}"
    for system, start, spec in request.starts:
        assert start.frame.species == known[system].frame.species
        assert spec.n_steps > 1, "it moves nowhere"


def drifted(request: DriftRequest) -> tuple[Drifted, ...]:
    """An answer to a drift: every atom 0.05 Å further, at rest."""
    return tuple(
        Drifted(
            system,
            replace(
                start,
                frame=replace(start.frame, positions=start.frame.positions + 0.05),
                velocities=np.zeros_like(start.frame.positions),
            ),
            spec.n_steps * spec.timestep_fs / 1000.0,
        )
        for system, start, spec in request.starts
    )


def inspected(request: InspectRequest) -> tuple[Inspected, ...]:
    """An answer to an inspection: what is described are the first positions themselves, and the
    last frames are the most unlike.
    """
    wanted = {item.system: item for item in request.unlike}
    return tuple(
        Inspected(
            system,
            frames,
            _described(frames) if request.descriptors else None,
            _described(frames[:1]) if request.descriptors and request.n_known else None,
            tuple(deviation_of(item) for item in frames) if request.members else None,
            _last_of(len(frames), wanted[system]) if system in wanted else None,
        )
        for system, frames in request.frames
        if frames
    )


def _last_of(n_frames: int, wanted: UnlikeFrames) -> tuple[int, ...]:
    rows = [row for row in reversed(range(n_frames)) if row not in wanted.besides]
    return tuple(rows[: wanted.n])


def deviation_of(item: MdFrame) -> Deviation:
    """A made-up deviation between 0 and 0.4 eV/Å, the same for the same frame."""
    share = int(item.frame.key[:8], 16) / 16**8
    return Deviation(0.4 * share, None, 0.004 * share)


def watched(given: SamplerInput) -> SamplerInput:
    """The same input, its MD watched by a committee."""
    return replace(given, explorations=tuple(_watched(run) for run in given.explorations))


def _watched(run: Exploration) -> Exploration:
    frames = tuple(replace(item, deviation=deviation_of(item)) for item in run.frames)
    series = np.array([0.4 * (k % 7) / 7.0 for k in range(len(run.trace.time_fs))])
    trace = run.trace
    kept = [k for k, q in enumerate(trace.quantities) if q is not Quantity.MODEL_DEVIATION]
    trace = replace(
        trace,
        quantities=(*(trace.quantities[k] for k in kept), Quantity.MODEL_DEVIATION),
        values=np.column_stack([trace.values[:, kept], series]),
    )
    return replace(run, frames=frames, trace=trace)


def _described(frames: Sequence[MdFrame]) -> FloatArray:
    return np.stack([item.frame.positions[:3].ravel() for item in frames])


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
    needed = least_of(decision.plans, given.is_labelled)
    assert given.allowance.holds(needed), f"{dict(needed)} evaluations asked, fewer are left"


def _check_audit_plan(plan: LabelPlan) -> None:
    assert plan.purpose is Purpose.AUDIT, f"{plan.id} audits for {plan.purpose.value}"
    assert plan.segment is None, f"{plan.id}: an audit labels frames as they are"
    for start in plan.starts:
        assert start.model_forces is not None, f"{plan.id}: nothing to compare the label with"
        assert start.model_energy is not None, f"{plan.id}: nothing to compare the label with"


def _written(answer: Answer) -> str:
    plans = answer.plans if isinstance(answer, Requests | AuditRequest) else ()
    looks = answer.frames if isinstance(answer, InspectRequest) else ()
    moved = answer.starts if isinstance(answer, DriftRequest) else ()
    return repr(
        (
            answer.reason,
            [(p.id, p.segment, p.bounds, p.bisect, [s.frame.key for s in p.starts]) for p in plans],
            [(system, [item.frame.key for item in frames]) for system, frames in looks],
            [(system, start.frame.key, spec) for system, start, spec in moved],
        )
    )

"""DECIDE: the sampler's decision, and the AUDIT it asks for before it says stable."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sis_engine.analysis.metrics import AuditCluster
from sis_engine.interfaces import Context, SamplerInput
from sis_engine.labelling.costs import least_of
from sis_engine.records import (
    Allowance,
    AuditRequest,
    AuditRound,
    Committee,
    Condition,
    DatasetPart,
    DecideResult,
    DriftRequest,
    Exhausted,
    ExploreResult,
    FloatArray,
    GenerationSummary,
    InspectRequest,
    Labelled,
    LabelPlan,
    PlanOutcome,
    Prediction,
    Purpose,
    ReferenceEnd,
    Start,
)
from sis_engine.stages.approval import approve_labels
from sis_engine.stages.context import StageContext
from sis_engine.stages.drift import drift, force_field_of
from sis_engine.stages.explore import data_catastrophes
from sis_engine.stages.inspect import inspect
from sis_engine.stages.judging import judged_by_system
from sis_engine.stages.label import label
from sis_engine.stages.watch import rules_are_final
from sis_engine.storage.splits import frame_set

MAX_AUDITS = 2
"""Audits a sampler may ask for in one generation before it must decide."""

MAX_LOOKS = 8
"""Inspections, likewise."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a decision rests on.

    committee: the models in use;  data: all labelled data, this generation's included
    left: what may still be spent, audits of this generation not yet counted
    """

    explored: ExploreResult
    committee: Committee
    data: Sequence[DatasetPart]
    history: Sequence[GenerationSummary]
    reference_ends: Sequence[ReferenceEnd]
    left: Allowance


def decide(stage: StageContext, evidence: Evidence, context: Context) -> DecideResult:
    """Ask the sampler; audit and inspect for it as often as it asks, within limits."""
    given = given_to(stage, evidence)
    rounds: list[AuditRound] = []
    looks = 0
    answer = stage.parts.sampler.decide(given)
    while isinstance(answer, AuditRequest | InspectRequest | DriftRequest):
        if isinstance(answer, AuditRequest):
            refused = _refused(stage, answer, given, len(rounds))
            if refused is not None:
                answer = Exhausted(refused)
                break
            rounds.append(audit(stage, answer.plans, context, given.allowance, len(rounds) + 1))
            given = _after_audit(stage, given, rounds, answer.plans)
        else:
            if looks == MAX_LOOKS:
                answer = Exhausted(f"the sampler asked for more than {MAX_LOOKS} inspections")
                break
            looks += 1
            given = _after_look(stage, given, answer, evidence, context)
        answer = stage.parts.sampler.decide(given)
    return DecideResult(answer, tuple(rounds))


def _after_look(
    stage: StageContext,
    given: SamplerInput,
    request: InspectRequest | DriftRequest,
    evidence: Evidence,
    context: Context,
) -> SamplerInput:
    """The input with what buys no label: an inspection, or MD of the sampler's force field."""
    if isinstance(request, InspectRequest):
        seen = inspect(stage, request, evidence.committee, evidence.data, context)
        return replace(given, inspected=seen)
    field = force_field_of(stage.parts.sampler, stage.parts)
    return replace(given, drifted=drift(stage, request, field, context))


def given_to(stage: StageContext, evidence: Evidence) -> SamplerInput:
    """What the sampler is asked with first."""
    return SamplerInput(
        generation=stage.generation,
        systems=stage.parts.systems,
        explorations=evidence.explored.explorations,
        verdicts=data_catastrophes(evidence.explored),
        support=evidence.explored.support,
        history=tuple(evidence.history),
        seed=stage.seed("sampler"),
        evaluations_left=evidence.left.total,
        left_by_purpose=evidence.left.by_purpose,
        conditions=explored_conditions(stage),
        reference_ends=tuple(evidence.reference_ends),
        settled=rules_are_final(
            stage.parts, stage.generation, evidence.committee.driver, evidence.explored.support
        ),
    )


def _refused(
    stage: StageContext, request: AuditRequest, given: SamplerInput, n_before: int
) -> str | None:
    """Why the audit that a sampler asks for is not done, or ``None``."""
    if n_before == MAX_AUDITS:
        return f"the sampler asked for more than {MAX_AUDITS} audits"
    wanted = _cost(stage, request.plans, given)
    if not given.allowance.holds(wanted):
        return f"the audit costs {wanted.total()} evaluations, fewer are left"
    return None


def _cost(stage: StageContext, plans: Sequence[LabelPlan], given: SamplerInput) -> Counter[Purpose]:
    """Evaluations of an audit: what a first look at it has labelled is paid for."""
    return least_of(plans, lambda *one: given.is_labelled(*one) or stage.is_known(*one))


def explored_conditions(stage: StageContext) -> tuple[Condition, ...]:
    """Of all systems, each once."""
    parts = stage.parts
    found = [
        condition
        for system in parts.systems
        for condition in parts.sampler.conditions(parts.base_condition, stage.generation, system)
    ]
    return tuple(dict.fromkeys(found))


def _after_audit(
    stage: StageContext,
    given: SamplerInput,
    rounds: Sequence[AuditRound],
    plans: Sequence[LabelPlan],
) -> SamplerInput:
    """The input with the last audit's result, the labelled frames of all, and what is left."""
    left = given.allowance.without(_cost(stage, plans, given))
    return replace(
        given,
        audit=rounds[-1].result,
        audit_frames=audited_frames(rounds),
        evaluations_left=left.total,
        left_by_purpose=left.by_purpose,
    )


def audited_frames(rounds: Iterable[AuditRound]) -> tuple[Labelled, ...]:
    """What a generation's audits labelled, each frame once: the rest has a look's too."""
    labelled = (item for r in rounds for o in r.outcomes for item in o.labelled)
    return tuple({(item.origin.system, item.frame.key): item for item in labelled}.values())


def audit(
    stage: StageContext,
    plans: Sequence[LabelPlan],
    context: Context,
    left: Allowance,
    number: int,
) -> AuditRound:
    """Label frames of the survivors and compare with what the model said of them."""
    approve_labels(stage, plans, what=f"audit {number}")
    stage.leave_gpu()
    began = time.monotonic()
    outcomes = label(stage, plans, context, left).outcomes
    seconds = time.monotonic() - began
    clusters: dict[str, list[AuditCluster]] = {plan.system: [] for plan in plans}
    failed = dict.fromkeys(clusters, 0)
    for plan, outcome in zip(plans, outcomes, strict=True):
        cluster = _cluster(stage, plan, outcome)
        if cluster is not None:
            clusters[plan.system].append(cluster)
        failed[plan.system] += len(outcome.failures)
    min_frames = stage.parts.config.audit.min_frames
    result = judged_by_system(stage, clusters, failed, what="audit", min_frames=min_frames)
    return AuditRound(outcomes, result, seconds)


def _cluster(stage: StageContext, plan: LabelPlan, outcome: PlanOutcome) -> AuditCluster | None:
    """The labelled frames of one replica with the model's word on each, or ``None``."""
    by_key = {start.frame.key: start for start in plan.starts}
    labelled = [item for item in outcome.labelled if item.frame.key in by_key]
    if not labelled:
        return None
    starts = [by_key[item.frame.key] for item in labelled]
    prediction = Prediction(
        energies=np.array([np.nan if s.model_energy is None else s.model_energy for s in starts]),
        forces=np.stack([_forces(start) for start in starts]),
    )
    return AuditCluster(plan.id, prediction, frame_set(labelled, stage.parts.system(plan.system)))


def _forces(start: Start) -> FloatArray:
    """The model's forces; NaN where they are missing, which fails the audit."""
    if start.model_forces is None:
        return np.full((start.frame.n_atoms, 3), np.nan)
    return start.model_forces

"""DECIDE: the sampler's decision, and the AUDIT it asks for before it says stable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sis_engine.analysis.metrics import AuditCluster
from sis_engine.interfaces import Context, SamplerInput
from sis_engine.labelling import evaluations_of
from sis_engine.records import (
    AuditRequest,
    AuditRound,
    DecideResult,
    Exhausted,
    ExploreResult,
    FloatArray,
    GenerationSummary,
    LabelPlan,
    PlanOutcome,
    Prediction,
    ReferenceEnd,
    Start,
)
from sis_engine.stages.context import StageContext
from sis_engine.stages.explore import data_catastrophes
from sis_engine.stages.judging import judged_by_system
from sis_engine.stages.label import label
from sis_engine.storage.splits import frame_set

MAX_AUDITS = 2
"""Audits a sampler may ask for in one generation before it must decide."""


def decide(
    stage: StageContext,
    explored: ExploreResult,
    history: Sequence[GenerationSummary],
    reference_ends: Sequence[ReferenceEnd],
    evaluations_left: int | None,
    context: Context,
) -> DecideResult:
    """Ask the sampler; audit as often as it asks (at most MAX_AUDITS times)."""
    given = SamplerInput(
        generation=stage.generation,
        systems=stage.parts.systems,
        explorations=explored.explorations,
        verdicts=data_catastrophes(explored),
        support=explored.support,
        history=tuple(history),
        seed=stage.seed("sampler"),
        evaluations_left=evaluations_left,
        conditions=stage.parts.sampler.conditions(stage.parts.base_condition, stage.generation),
        reference_ends=tuple(reference_ends),
    )
    rounds: list[AuditRound] = []
    decision = stage.parts.sampler.decide(given)
    while isinstance(decision, AuditRequest):
        if len(rounds) == MAX_AUDITS:
            decision = Exhausted(f"the sampler asked for more than {MAX_AUDITS} audits")
            break
        rounds.append(audit(stage, decision.plans, context))
        frames = tuple(item for r in rounds for o in r.outcomes for item in o.labelled)
        given = replace(
            given,
            audit=rounds[-1].result,
            audit_frames=frames,
            evaluations_left=_left_after(given.evaluations_left, decision.plans),
        )
        decision = stage.parts.sampler.decide(given)
    return DecideResult(decision, tuple(rounds))


def _left_after(left: int | None, plans: Sequence[LabelPlan]) -> int | None:
    """The budget once an audit is paid for, whatever of it the bank knew."""
    return None if left is None else max(0, left - sum(evaluations_of(p)[0] for p in plans))


def audit(stage: StageContext, plans: Sequence[LabelPlan], context: Context) -> AuditRound:
    """Label frames of the survivors and compare with what the model said of them."""
    outcomes = label(stage, plans, context).outcomes
    clusters: dict[str, list[AuditCluster]] = {plan.system: [] for plan in plans}
    failed = dict.fromkeys(clusters, 0)
    for plan, outcome in zip(plans, outcomes, strict=True):
        cluster = _cluster(stage, plan, outcome)
        if cluster is not None:
            clusters[plan.system].append(cluster)
        failed[plan.system] += len(outcome.failures)
    min_frames = stage.parts.config.audit.min_frames
    result = judged_by_system(stage, clusters, failed, what="audit", min_frames=min_frames)
    return AuditRound(outcomes, result)


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

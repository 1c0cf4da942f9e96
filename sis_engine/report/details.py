"""The numbers behind the page, for ``report.json``: nothing is shown that is not here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sis_engine.records import (
    AuditRequest,
    Cause,
    Challenger,
    LabelPlan,
    Requests,
    Split,
    Verdict,
)
from sis_engine.report.accuracy import all_errors
from sis_engine.report.cost import evaluations_of
from sis_engine.report.facts import CampaignFacts
from sis_engine.report.lives import survival_curve
from sis_engine.report.outcomes import all_outcomes
from sis_engine.report.paper import Records
from sis_engine.report.structure import PairComparison, compare_pairs
from sis_engine.report.summary import (
    AuditSummary,
    CampaignSummary,
    ErrorSummary,
    Survival,
    audit_summary,
    error_summary,
    summarise,
    survival_of,
)
from sis_engine.report.traces import NextStart, next_starts
from sis_engine.report.why import Chapter, chapters, decision_word

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord

FORMAT = 1
"""Version of ``report.json``."""


@dataclass(frozen=True)
class ChallengerNumbers:
    """One training and what became of it. Errors: eV/Å and eV/atom."""

    kind: str
    steps: int
    start_lr: float
    stop_lr: float
    batch_size: int
    seconds: float | None
    model_id: str | None
    claimed_force_rmse: float | None
    claimed_energy_rmse_per_atom: float | None
    admitted: bool | None
    problem: str | None
    admission: Any


@dataclass(frozen=True)
class RejectedNumbers:
    """One label the gate kept out."""

    system: str
    purpose: str
    plan: str
    index: int
    reason: str
    value: float | None
    limit: float | None


@dataclass(frozen=True)
class PlanNumbers:
    """What LABEL made of one request."""

    plan_id: str
    system: str
    purpose: str
    rung: str
    start_index: int | None
    n_evaluations: int
    n_labels: int
    n_cached: int
    n_failures: int
    failures: tuple[tuple[str, str], ...]
    message: str


@dataclass(frozen=True)
class SuspectNumbers:
    """One suspect and the evaluation that decided it."""

    verdict: Verdict
    agreed: bool
    relative_error: float | None
    energy_error_per_atom: float | None


@dataclass(frozen=True)
class TriageNumbers:
    """Where a catastrophe came from."""

    replica: str
    cause: Cause
    evidence: tuple[str, ...]
    mend: str | None


@dataclass(frozen=True)
class RequestNumbers:
    """One request for the next labels."""

    id: str
    system: str
    purpose: str
    reason: str
    n_starts: int
    n_steps: int | None
    timestep_fs: float | None


@dataclass(frozen=True)
class SurvivalNumbers:
    """Kaplan-Meier estimate of one generation, with its 95 % interval."""

    n: int
    n_died: int
    time_ps: tuple[float, ...]
    survival: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    median_ps: float | None


@dataclass(frozen=True)
class GenerationNumbers:
    """One committed generation in numbers."""

    generation: int
    training_frames: int
    validation_frames: int
    evaluations: Mapping[str, int]
    plans: tuple[PlanNumbers, ...]
    rejected: tuple[RejectedNumbers, ...]
    challengers: tuple[ChallengerNumbers, ...]
    errors: Mapping[str, ErrorSummary]
    lives: tuple[Survival, ...]
    survival: SurvivalNumbers | None
    md_ps: Mapping[str, float]
    verdicts: tuple[Verdict, ...]
    next_starts: tuple[NextStart, ...]
    triages: tuple[TriageNumbers, ...]
    suspects: tuple[SuspectNumbers, ...]
    audits: tuple[AuditSummary, ...]
    reference_ps: float | None
    window_k: tuple[float | None, float | None] | None
    decision: str
    decision_reason: str
    requests: tuple[RequestNumbers, ...]
    stage_seconds: Mapping[str, float]
    versions: Any


@dataclass(frozen=True)
class ReportNumbers:
    """``report.json``."""

    format: int
    summary: CampaignSummary
    facts: CampaignFacts
    generations: tuple[GenerationNumbers, ...]
    structure: tuple[PairComparison, ...]
    log: tuple[Chapter, ...]


def collect(records: Records, facts: CampaignFacts) -> ReportNumbers:
    """All numbers of the report."""
    starts = next_starts(records)
    return ReportNumbers(
        format=FORMAT,
        summary=summarise(records, facts),
        facts=facts,
        generations=tuple(_generation(record, starts) for record in records),
        structure=compare_pairs(records),
        log=chapters(records),
    )


def _generation(record: GenerationRecord, starts: tuple[NextStart, ...]) -> GenerationNumbers:
    decision = record.decision
    plans = decision.plans if isinstance(decision, Requests | AuditRequest) else ()
    return GenerationNumbers(
        generation=record.generation,
        training_frames=_frames(record, Split.TRAINING),
        validation_frames=_frames(record, Split.VALIDATION),
        evaluations=evaluations_of(record),
        plans=_plans(record),
        rejected=_rejected(record),
        challengers=tuple(_challenger(item) for item in record.challengers),
        errors={
            item.name: error_summary(item.generation, item.errors) for item in all_errors([record])
        },
        lives=tuple(survival_of(life) for life in record.lives),
        survival=_survival(record),
        md_ps={run.replica.id: run.md_ps for run in record.explorations},
        verdicts=record.verdicts,
        next_starts=tuple(item for item in starts if item.generation == record.generation),
        triages=tuple(
            TriageNumbers(item.replica, item.cause, item.evidence, item.mend)
            for item in record.triages
        ),
        suspects=tuple(
            SuspectNumbers(
                item.verdict, item.agreed, item.relative_error, item.energy_error_per_atom
            )
            for item in record.suspects
        ),
        audits=tuple(audit_summary(record.generation, item.result) for item in record.audits),
        reference_ps=record.reference_ps,
        window_k=record.window_k,
        decision=decision_word(decision),
        decision_reason="" if decision is None else decision.reason,
        requests=tuple(_request(plan) for plan in plans),
        stage_seconds=dict(record.stage_seconds),
        versions=record.versions,
    )


def _frames(record: GenerationRecord, split: Split) -> int:
    return sum(part.frames.n_frames for part in record.parts if part.split is split)


def _plans(record: GenerationRecord) -> tuple[PlanNumbers, ...]:
    return tuple(
        PlanNumbers(
            plan_id=item.plan_id,
            system=item.system,
            purpose=item.purpose.value,
            rung=item.rung.value,
            start_index=item.start_index,
            n_evaluations=item.n_evaluations,
            n_labels=len(item.labelled),
            n_cached=sum(label.cached for label in item.labelled),
            n_failures=len(item.failures),
            failures=tuple((f.reason.value, f.message) for f in item.failures),
            message=item.message,
        )
        for item in all_outcomes(record)
    )


def _rejected(record: GenerationRecord) -> tuple[RejectedNumbers, ...]:
    return tuple(
        RejectedNumbers(
            system=item.item.origin.system,
            purpose=item.item.origin.purpose.value,
            plan=item.item.origin.plan,
            index=item.item.origin.index,
            reason=item.reason,
            value=item.value,
            limit=item.limit,
        )
        for item in record.rejected
    )


def _challenger(item: Challenger) -> ChallengerNumbers:
    training, admission = item.training, item.admission
    return ChallengerNumbers(
        kind=item.kind,
        steps=item.schedule.steps,
        start_lr=item.schedule.start_lr,
        stop_lr=item.schedule.stop_lr,
        batch_size=item.schedule.batch_size,
        seconds=None if training is None else training.seconds,
        model_id=None if training is None else training.model.id,
        claimed_force_rmse=None if training is None else training.claimed_force_rmse,
        claimed_energy_rmse_per_atom=(
            None if training is None else training.claimed_energy_rmse_per_atom
        ),
        admitted=None if admission is None else admission.passed,
        problem=item.problem,
        admission=admission,
    )


def _request(plan: LabelPlan) -> RequestNumbers:
    return RequestNumbers(
        id=plan.id,
        system=plan.system,
        purpose=plan.purpose.value,
        reason=plan.reason,
        n_starts=len(plan.starts),
        n_steps=None if plan.segment is None else plan.segment.n_steps,
        timestep_fs=None if plan.segment is None else plan.segment.timestep_fs,
    )


def _survival(record: GenerationRecord) -> SurvivalNumbers | None:
    curve = survival_curve(record.lives)
    if curve is None:
        return None
    return SurvivalNumbers(
        n=len(record.lives),
        n_died=sum(not life.censored for life in record.lives),
        time_ps=tuple(map(float, curve.time_ps)),
        survival=tuple(map(float, curve.survival)),
        lower=tuple(map(float, curve.lower)),
        upper=tuple(map(float, curve.upper)),
        median_ps=curve.median_ps,
    )


__all__ = ["ReportNumbers", "collect"]

"""The numbers behind the page, for ``report.json``: nothing is shown that is not here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sis_engine.records import (
    AuditRequest,
    Challenger,
    LabelPlan,
    Requests,
    Split,
)
from sis_engine.report.accuracy import all_errors
from sis_engine.report.contents import (
    FORMAT,
    ChallengerNumbers,
    GenerationNumbers,
    PlanNumbers,
    PoolNumbers,
    RejectedNumbers,
    ReportNumbers,
    RequestNumbers,
    SurvivalNumbers,
    SuspectNumbers,
    TriageNumbers,
)
from sis_engine.report.cost import evaluations_of
from sis_engine.report.facts import CampaignFacts
from sis_engine.report.lives import survival_curve
from sis_engine.report.methods import citations
from sis_engine.report.outcomes import all_outcomes
from sis_engine.report.paper import Records
from sis_engine.report.stage_times import seconds_by_stage
from sis_engine.report.structure import compare_pairs
from sis_engine.report.summary import (
    audit_summary,
    error_summary,
    summarise,
    survival_of,
)
from sis_engine.report.traces import NextStart, next_starts
from sis_engine.report.why import chapters, decision_word

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord


def collect(records: Records, facts: CampaignFacts) -> ReportNumbers:
    """All numbers of the report."""
    starts = next_starts(records)
    return ReportNumbers(
        format=FORMAT,
        summary=summarise(records, facts),
        facts=facts,
        generations=tuple(_generation(record, facts, starts) for record in records),
        structure=compare_pairs(records),
        log=chapters(records, facts),
        citations=citations(records, facts.versions),
        pools=tuple(
            PoolNumbers(
                item.pool,
                item.tasks,
                item.open,
                item.lost,
                item.labels,
                item.mean_wait_s,
                item.worker_s,
                item.efficiency,
                item.wasted_s,
                dict(item.losses),
            )
            for item in facts.pools
        ),
    )


def _generation(
    record: GenerationRecord, facts: CampaignFacts, starts: tuple[NextStart, ...]
) -> GenerationNumbers:
    decision = record.decision
    plans = decision.plans if isinstance(decision, Requests | AuditRequest) else ()
    return GenerationNumbers(
        generation=record.generation,
        training_frames=_frames(record, Split.TRAINING),
        validation_frames=_frames(record, Split.VALIDATION),
        evaluations=evaluations_of(facts, record.generation),
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
        stage_seconds=seconds_by_stage(record),
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
            n_without_charges=sum(
                label.charges_level is not None and label.label.charges is None
                for label in item.labelled
            ),
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

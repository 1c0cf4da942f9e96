"""One generation: LABEL → MERGE → TRAIN/ADMIT → EXPLORE → DECIDE, each stage done once."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sis_engine.analysis.deviation import foreseen
from sis_engine.bookkeeping.past import Past, ends_after
from sis_engine.errors import ProgramError, StopRequested
from sis_engine.execution.turns import NoTurns
from sis_engine.interfaces import Context, StartsEarly
from sis_engine.numerals import beside
from sis_engine.records import (
    Allowance,
    AuditResult,
    Cause,
    Committee,
    DatasetPart,
    DecideResult,
    Exhausted,
    ExploreResult,
    LabelPlan,
    LabelResult,
    MergeResult,
    Model,
    ModelResult,
    PlanOutcome,
    Purpose,
    Quantity,
    Relation,
    Support,
    TestResult,
)
from sis_engine.setup.given_model import adopt_given
from sis_engine.setup.versions import versions_of
from sis_engine.stages.approval import approve_labels, require_approval
from sis_engine.stages.context import StageContext
from sis_engine.stages.decide import Evidence, decide
from sis_engine.stages.explore import data_catastrophes, explore
from sis_engine.stages.label import initial_plans, label, need_labels, test_plans
from sis_engine.stages.members import committee_of, make_committee
from sis_engine.stages.merge import merge
from sis_engine.stages.model import make_model, training_data
from sis_engine.stages.test import test_errors
from sis_engine.stages.watch import halt_rules, monitor_context, rules_at_start
from sis_engine.storage.generation import GenerationRecord, MemberRecord, images_of

AFTER_LABEL = (Purpose.SUSPECT, Purpose.AUDIT)
"""What later stages of a generation buy."""


@dataclass(frozen=True, eq=False)
class Work:
    """What one generation came to, stage by stage."""

    plans: tuple[LabelPlan, ...]
    labelled: LabelResult
    tested: tuple[PlanOutcome, ...]
    merged: MergeResult
    made: ModelResult
    committee: Committee
    explored: ExploreResult
    decided: DecideResult
    test: TestResult | None


def run_generation(stage: StageContext, past: Past) -> tuple[GenerationRecord, Committee]:
    """Walk the chain; the record to commit, and the models in use.

    Raises ModelRefused when no challenger is admitted, StopRequested between and within stages.
    """
    given = None if past.history else _given_model(stage)
    plans = past.plans if past.history else initial_plans(stage.parts)
    tests = () if past.test else test_plans(stage.parts)
    approve_labels(
        stage, (*_unless_done(stage, "label", plans), *_unless_done(stage, "test", tests))
    )
    labelled = _label(stage, "label", plans, past.model, leaving_out=tuple(Purpose))
    tested = _label(stage, "test", tests, leaving_out=(Purpose.TEST, *AFTER_LABEL)).outcomes
    _stop_here(stage)
    merged = stage.once(
        "merge",
        MergeResult,
        lambda _: merge(stage, plans, labelled.outcomes, past.carried, past.parts, past.agreed),
    )
    _tell_rejected(stage, merged)
    made = _model(stage, past, merged, given)
    model = past.model if made.admitted is None else made.admitted.model
    if model is None:
        raise RuntimeError("no model after TRAIN and ADMIT")  # make_model would have refused
    committee = committee_of(made, past.committee, model)
    _stop_here(stage)
    require_approval(stage, "explore")
    data = (*past.parts, *merged.parts)
    explored = stage.once(
        "explore", ExploreResult, lambda c: _explore(stage, committee, data, merged.support, c)
    )
    _tell_lives(stage, explored)
    test = _test(stage, model, past.test or tested, data)
    _stop_here(stage)
    evidence = Evidence(
        explored,
        committee,
        data,
        past.history,
        ends_after(past.reference_ends, labelled.outcomes),
        stage.left(leaving_out=(Purpose.AUDIT,)),
    )
    decided = stage.once("decide", DecideResult, lambda c: _decide(stage, evidence, c))
    _tell_decision(stage, decided)
    work = Work(plans, labelled, tested, merged, made, committee, explored, decided, test)
    return record_of(stage, past, work), committee


def _stop_here(stage: StageContext) -> None:
    if stage.stop():
        raise StopRequested("stopped between two stages")


def _unless_done(
    stage: StageContext, name: str, plans: tuple[LabelPlan, ...]
) -> tuple[LabelPlan, ...]:
    return plans if stage.ledger.done_stage(stage.generation, name) is None else ()


def _label(
    stage: StageContext,
    name: str,
    plans: Sequence[LabelPlan],
    model: Model | None = None,
    *,
    leaving_out: Sequence[Purpose],
) -> LabelResult:
    if not plans:
        return LabelResult(())
    _stop_here(stage)
    left = stage.left(leaving_out=leaving_out)
    return stage.once(
        name,
        LabelResult,
        lambda context: need_labels(stage, _labels(stage, plans, context, left, model)),
    )


def _labels(
    stage: StageContext,
    plans: Sequence[LabelPlan],
    context: Context,
    left: Allowance,
    model: Model | None,
) -> LabelResult:
    """The trainer's program starts meanwhile, where there is a core for it and no turn at a GPU."""
    trainer = stage.parts.trainer
    alone = isinstance(stage.turns, NoTurns)
    if isinstance(trainer, StartsEarly) and alone and context.threads > 1:
        with contextlib.suppress(ProgramError):  # the first training says it
            trainer.begin(context)
    return label(stage, plans, context, left, model)


def _model(
    stage: StageContext, past: Past, merged: MergeResult, given: Model | None
) -> ModelResult:
    """Challengers; without new data the model stays (a changed condition is explored anew)."""
    if not merged.parts and past.model is not None:
        stage.console.event("no new data: the model stays")
        return ModelResult(())
    _stop_here(stage)
    require_approval(stage, "train")
    new = frozenset(tuple(sorted(part.frames.species)) for part in merged.parts)
    data = training_data(stage, past.parts, merged.parts)
    # A given model may come from another level of theory: only its forces are taken as they are.
    refit_bias = not new <= past.compositions
    n_members = stage.parts.sampler.needs.members
    driver = past.model or given
    if n_members == 1:
        return make_model(stage, data, driver, refit_bias=refit_bias)
    return make_committee(stage, data, past.committee, driver, n_members, refit_bias=refit_bias)


def _given_model(stage: StageContext) -> Model | None:
    """``initial.model``, looked at before anything is labelled."""
    if stage.parts.config.initial.model is None:
        return None
    return adopt_given(stage.parts, stage.context("adopt", 1))


def _test(
    stage: StageContext,
    model: Model,
    outcomes: Sequence[PlanOutcome],
    data: Sequence[DatasetPart],
) -> TestResult | None:
    config = stage.parts.config.test
    if config is None or not outcomes:
        return None
    _stop_here(stage)
    found = stage.once(
        "test-errors",
        TestResult,
        lambda context: test_errors(stage, model, outcomes, config, data, context),
    )
    _tell_test(stage, found)
    return found


def _decide(stage: StageContext, evidence: Evidence, context: Context) -> DecideResult:
    """The sampler decides, unless no catastrophe is one that labels could cure."""
    explored = evidence.explored
    uncurable = [item for item in explored.triages if item.cause is not Cause.DATA]
    if explored.verdicts and not data_catastrophes(explored):
        told = "; ".join(
            f"{item.replica}: {item.cause.value} ({'; '.join(item.evidence)})"
            + (f" → {item.mend}" if item.mend else "")
            for item in uncurable
        )
        return DecideResult(Exhausted(f"more data cannot cure this: {told}"))
    return decide(stage, evidence, context)


def _explore(
    stage: StageContext,
    committee: Committee,
    data: Sequence[DatasetPart],
    support: Sequence[Support],
    context: Context,
) -> ExploreResult:
    """EXPLORE, with the temperature window told to who watches."""
    low, high = temperature_window(stage, committee.driver) or (None, None)
    window = {"window_low_k": low, "window_high_k": high}
    context.progress(0.0, None, "", **{k: v for k, v in window.items() if v is not None})
    return explore(stage, committee, data, support, context)


# --------------------------------------------------------------------------- telling


def _tell_rejected(stage: StageContext, merged: MergeResult) -> None:
    if merged.rejected:
        reasons = sorted({item.reason for item in merged.rejected})
        stage.console.event(
            f"the gate rejected {len(merged.rejected)} labels: {'; '.join(reasons)}"
        )


def _tell_lives(stage: StageContext, explored: ExploreResult) -> None:
    for life in explored.lives:
        stage.console.lived(life.time_ps)
    lives = ", ".join(
        f"{life.time_ps:.3g}{'+' if life.censored else ''}" for life in explored.lives
    )
    stage.console.event(f"generation {stage.generation} lived {lives} ps (+: to the end)")
    for verdict in {item.criterion: item for item in explored.verdicts}.values():
        value, limit = beside(verdict.value, verdict.limit)
        stage.console.event(
            f"{verdict.replica}: {verdict.monitor}, {verdict.criterion} ({value}, limit {limit})",
            "catastrophe",
        )


def _tell_test(stage: StageContext, test: TestResult) -> None:
    near = f"; {test.n_near} more are too near to training frames" if test.n_near else ""
    if test.judged is not None:
        stage.console.event(_judgement("test", test.judged) + near)


def _judgement(what: str, result: AuditResult) -> str:
    sign = "passed" if result.passed else "failed"
    return _figures(f"{what} {sign}", result) + "".join(
        f"; {text}" for text in (*result.reasons, *result.notes)
    )


def _figures(what: str, result: AuditResult) -> str:
    return (
        f"{what}: relative force RMSE {result.errors.relative_force_rmse or 0:.3f} "
        f"(upper limit {result.relative_upper:.3f}), {result.errors.n_frames} frames"
    )


def _tell_decision(stage: StageContext, decided: DecideResult) -> None:
    *looks, last = decided.audits or (None,)
    for item in looks:  # what another audit follows was a first look, and neither passed nor failed
        stage.console.event(_figures("first look of the audit", item.result))
    if last is not None:
        stage.console.event(_judgement("audit", last.result))
    stage.console.event(f"decision: {decided.decision.reason}")


# --------------------------------------------------------------------------- the record


def record_of(stage: StageContext, past: Past, work: Work) -> GenerationRecord:
    """Everything about this generation, as it will be committed."""
    config, driver = stage.parts.config, work.committee.driver
    return GenerationRecord(
        number=stage.generation,
        parent_sha256=past.sha256,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        config_text=stage.parts.text,
        config_json=config.model_dump_json(),
        versions=versions_of(stage.parts),
        seed=config.seed,
        plans=work.plans,
        outcomes=work.labelled.outcomes,
        test_outcomes=work.tested,
        rejected=work.merged.rejected,
        parts=work.merged.parts,
        support=work.explored.support,
        challengers=work.made.challengers,
        model=driver,
        model_images=images_of(driver),
        explorations=work.explored.explorations,
        verdicts=work.explored.verdicts,
        suspects=work.explored.suspects,
        triages=work.explored.triages,
        lives=work.explored.lives,
        audits=work.decided.audits,
        test=work.test,
        decision=work.decided.decision,
        stage_seconds=stage_seconds(stage),
        window_k=temperature_window(stage, driver),
        rules=rules_at_start(stage.parts, stage.generation, driver, work.merged.support),
        reference_ps=reference_ps(work.plans, work.labelled.outcomes),
        md_ps=sum(run.md_ps for run in work.explored.explorations),
        members=member_records(work.made, work.committee),
        foreseen=foreseen(work.plans, work.labelled.outcomes),
    )


def member_records(made: ModelResult, committee: Committee) -> tuple[MemberRecord, ...]:
    """The members in use, with how they were made if they were made now."""
    tried = {item.seat: item.challengers for item in made.seats}
    return tuple(
        MemberRecord(item.seat, item.model, images_of(item.model), tried.get(item.seat, ()))
        for item in committee.members
    )


def reference_ps(plans: Sequence[LabelPlan], outcomes: Sequence[PlanOutcome]) -> float:
    """Reference MD that was labelled: frames of segments times their timestep."""
    timestep_fs = {p.id: p.segment.timestep_fs for p in plans if p.segment is not None}
    segment = {Purpose.INITIAL, Purpose.SEGMENT}
    return sum(
        timestep_fs.get(outcome.plan_id, 0.0) / 1000.0
        for outcome in outcomes
        for item in outcome.labelled
        if item.origin.purpose in segment
    )


def temperature_window(
    stage: StageContext, model: Model
) -> tuple[float | None, float | None] | None:
    """The narrowest temperature limits any rule had, for the record; ``None`` without rules."""
    system = stage.parts.systems[0]
    watch = monitor_context(stage.generation, model, system, stage.parts.base_condition, None)
    rules = [r for r in halt_rules(stage.parts, watch) if r.quantity is Quantity.TEMPERATURE]
    lower = [rule.limit for rule in rules if rule.relation is Relation.BELOW]
    upper = [rule.limit for rule in rules if rule.relation is Relation.ABOVE]
    return (max(lower, default=None), min(upper, default=None)) if rules else None


def stage_seconds(stage: StageContext) -> tuple[tuple[str, float], ...]:
    """Wall time by stage of this generation, all attempts together, in order of first use."""
    seconds: dict[str, float] = {}
    for row in stage.ledger.stages(stage.generation):
        seconds[row.stage] = seconds.get(row.stage, 0.0) + (row.seconds or 0.0)
    return tuple(seconds.items())

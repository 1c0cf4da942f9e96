"""EXPLORE: replicas of the model's MD, watched and judged; suspects decided by one evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sis_engine.analysis.support import union, widened
from sis_engine.bookkeeping.price import PlanQuote
from sis_engine.interfaces import Context, SinglePoints
from sis_engine.labelling.costs import Purse
from sis_engine.records import (
    Cause,
    Committee,
    DatasetPart,
    Exit,
    Exploration,
    ExploreResult,
    Labelled,
    Life,
    MdFrame,
    Model,
    Origin,
    Purpose,
    Replica,
    Rounds,
    Support,
    SuspectOutcome,
    Trace,
    Verdict,
)
from sis_engine.stages.approval import require_approval
from sis_engine.stages.context import StageContext
from sis_engine.stages.replicas import plan_replicas
from sis_engine.stages.runs import explore_kept
from sis_engine.stages.triage import triage_catastrophes
from sis_engine.stages.watch import halt_rules, monitor_context


@dataclass(frozen=True, eq=False)
class Judged:
    """A finished replica with its catastrophe (``None``: it survived) and decided suspects."""

    exploration: Exploration
    verdict: Verdict | None
    suspects: tuple[SuspectOutcome, ...]
    support: Support | None
    continue_from: MdFrame | None = None


def explore(
    stage: StageContext,
    committee: Committee,
    data: Sequence[DatasetPart],
    support: Sequence[Support],
    context: Context,
) -> ExploreResult:
    """All replicas of this generation, judged."""
    supports = {item.system: item for item in support}
    purse = Purse(stage.left(leaving_out=(Purpose.SUSPECT, Purpose.AUDIT)))
    judged: list[Judged] = []
    for system in stage.parts.systems:
        for condition in stage.parts.sampler.conditions(
            stage.parts.base_condition, stage.generation, system
        ):
            replicas = plan_replicas(stage, system, condition, data)
            for item in _group(
                stage, committee, replicas, supports.get(system.name), purse, context
            ):
                judged.append(item)
                stage.console.lived(_life(stage.generation, item).time_ps)
                wider = union(supports.get(system.name), item.support)
                if wider is not None:
                    supports[system.name] = wider
    catastrophes = tuple(item.verdict for item in judged if item.verdict is not None)
    triages = triage_catastrophes(stage, committee.driver, judged_pairs(judged), context)
    return ExploreResult(
        explorations=tuple(item.exploration for item in judged),
        verdicts=catastrophes,
        suspects=tuple(s for item in judged for s in item.suspects),
        triages=triages,
        lives=tuple(_life(stage.generation, item) for item in judged),
        support=tuple(supports.values()),
    )


def judged_pairs(judged: Sequence[Judged]) -> tuple[tuple[Exploration, Verdict], ...]:
    """Replicas that ended in a catastrophe, with it."""
    return tuple((item.exploration, item.verdict) for item in judged if item.verdict is not None)


def data_catastrophes(result: ExploreResult) -> tuple[Verdict, ...]:
    """Catastrophes that labels can cure: all but those that triage calls otherwise."""
    not_data = {item.replica for item in result.triages if item.cause is not Cause.DATA}
    return tuple(item for item in result.verdicts if item.replica not in not_data)


# --------------------------------------------------------------------------- running and judging


def _group(
    stage: StageContext,
    committee: Committee,
    replicas: Sequence[Replica],
    support: Support | None,
    purse: Purse,
    context: Context,
) -> Iterator[Judged]:
    """Run one system's replicas under one condition, continuing those the labeler agrees with."""
    pieces: dict[str, list[Judged]] = {item.id: [] for item in replicas}
    pending = list(replicas)
    while pending:
        rounds = _rounds(stage, [piece for found in pieces.values() for piece in found])
        if rounds is not None and len(rounds.ended) >= rounds.wanted:
            break
        finished = _run(stage, committee, pending, support, context, rounds)
        pending = []
        for exploration in finished:
            before = pieces[exploration.replica.id]
            driver, suspected = committee.driver, sum(map(_was_suspected, before))
            judged = judge(stage, driver, exploration, support, purse, context, suspected)
            support = union(support, judged.support)
            before.append(judged)
            goes_on = judged.continue_from or _where_it_was_stopped(judged)
            if goes_on is not None:
                pending.append(_continuation(exploration.replica, goes_on))
    for replica in replicas:
        yield join(replica, pieces[replica.id])


def _was_suspected(piece: Judged) -> bool:
    """Whether it ended for that, and not with its round."""
    return piece.exploration.exit is not Exit.STOPPED


def _where_it_was_stopped(piece: Judged) -> MdFrame | None:
    """From there it goes on, where its siblings' failures turn out not to be enough."""
    run = piece.exploration
    stopped = run.exit is Exit.STOPPED and piece.verdict is None
    return run.frames[-1] if stopped and run.frames else None


def _rounds(stage: StageContext, judged: Sequence[Judged]) -> Rounds | None:
    """Rounds in which the replicas of a group go side by side, and the failures known so far."""
    length, wanted = stage.parts.config.explore.round_ps, stage.parts.sampler.needs.failures
    if length is None or wanted is None:
        return None
    failed = (item.verdict.time_fs / 1000.0 for item in judged if item.verdict is not None)
    return Rounds(length, wanted, tuple((time_ps, True) for time_ps in failed))


def _run(
    stage: StageContext,
    committee: Committee,
    replicas: Sequence[Replica],
    support: Support | None,
    context: Context,
    rounds: Rounds | None,
) -> list[Exploration]:
    """Explorations in the order of ``replicas``, whatever order they ended in."""
    driver = committee.driver
    watch = monitor_context(
        stage.generation, driver, replicas[0].system, replicas[0].condition, support
    )
    watching = committee if stage.parts.sampler.needs.watch else Committee(driver)
    return explore_kept(stage, watching, replicas, halt_rules(stage.parts, watch), context, rounds)


def first_verdict(
    stage: StageContext, model: Model, exploration: Exploration, support: Support | None
) -> Verdict | None:
    """The earliest finding of any monitor, or of the explorer itself when it crashed."""
    replica = exploration.replica
    watch = monitor_context(stage.generation, model, replica.system, replica.condition, support)
    found = [
        verdict
        for monitor in stage.parts.monitors
        for verdict in monitor.judge(exploration.trace, exploration.frames, watch)
    ]
    found.extend(_own_verdict(exploration))
    # At the same instant a catastrophe outranks a suspect: no evaluation is needed.
    return min(found, key=lambda item: (item.time_fs, item.suspect), default=None)


def _own_verdict(exploration: Exploration) -> list[Verdict]:
    """What the explorer itself saw at its last step: the rule that fired, or the crash."""
    end_fs = exploration.md_ps * 1000.0
    if exploration.exit is Exit.HALTED and exploration.halted_by is not None:
        rule = exploration.halted_by
        value = math.nan if exploration.value is None else exploration.value
        return [
            Verdict(
                exploration.replica.id,
                rule.monitor,
                rule.criterion,
                end_fs,
                value,
                rule.limit,
                suspect=rule.suspect and math.isfinite(value),
            )
        ]
    if exploration.exit is Exit.CRASHED:
        return [
            Verdict(
                exploration.replica.id, "explorer", exploration.message, end_fs, math.nan, math.nan
            )
        ]
    return []


def judge(
    stage: StageContext,
    model: Model,
    exploration: Exploration,
    support: Support | None,
    purse: Purse,
    context: Context,
    already: int,
) -> Judged:
    """Judge one run; each suspect costs one evaluation, and agreement widens the support.

    A suspect that nothing is left to decide by is taken for a catastrophe.
    """
    outcomes: list[SuspectOutcome] = []
    while True:
        verdict = first_verdict(stage, model, exploration, support)
        if verdict is None or not verdict.suspect:
            return Judged(exploration, verdict, tuple(outcomes), support)
        if already + len(outcomes) >= stage.parts.config.explore.max_suspects:
            return Judged(exploration, replace(verdict, suspect=False), tuple(outcomes), support)
        frame = _nearest(exploration, verdict.time_fs)
        if not _may_ask(stage, exploration.replica, frame, purse):
            return Judged(exploration, replace(verdict, suspect=False), tuple(outcomes), support)
        outcome = decide_suspect(
            stage, exploration, verdict, frame, context, already + len(outcomes)
        )
        outcomes.append(outcome)
        if not outcome.agreed or not isinstance(outcome.outcome, Labelled):
            return Judged(exploration, replace(verdict, suspect=False), tuple(outcomes), support)
        wider = None if support is None else widened(support, frame, outcome.outcome.label)
        at_end = frame is exploration.frames[-1] and exploration.exit is Exit.HALTED
        if at_end:
            return Judged(exploration, None, tuple(outcomes), wider, continue_from=frame)
        if verdict == first_verdict(stage, model, exploration, wider):  # nothing was learnt
            return Judged(exploration, replace(verdict, suspect=False), tuple(outcomes), support)
        support = wider


def _nearest(exploration: Exploration, time_fs: float) -> MdFrame:
    finite = [item for item in exploration.frames if np.isfinite(item.frame.positions).all()]
    candidates = finite or list(exploration.frames)
    return min(candidates, key=lambda item: abs(item.time_fs - time_fs))


def _may_ask(stage: StageContext, replica: Replica, frame: MdFrame, purse: Purse) -> bool:
    """Whether an evaluation may be spent on a suspect; it is spent then. May stop for approval."""
    if stage.is_known(replica.system.name, frame.frame):
        return True
    if purse.most(Purpose.SUSPECT, 1) == 0:
        stage.note(
            "budget",
            f"the budget allows no evaluation for the suspect of {replica.id}: it is taken for a "
            "catastrophe",
        )
        return False
    most = stage.parts.config.explore.max_suspects * stage.parts.config.explore.replicas
    quote = PlanQuote("suspects", Purpose.SUSPECT.value, 1, max(1, most), None)
    require_approval(stage, "label", what=f"suspects of {replica.system.name}", quotes=[quote])
    purse.spend(Purpose.SUSPECT, 1)
    return True


def decide_suspect(
    stage: StageContext,
    exploration: Exploration,
    verdict: Verdict,
    frame: MdFrame,
    context: Context,
    index: int,
) -> SuspectOutcome:
    """Label the frame of a suspect and compare it with what the model said there."""
    config = stage.parts.config.explore
    replica = exploration.replica
    origin = Origin(
        Purpose.SUSPECT, stage.generation, replica.system.name, replica.id, index, frame.time_fs
    )
    task = SinglePoints(replica.system, (frame.frame,), (origin,))
    outcome = next(iter(stage.labeler.label(task, context)))
    stage.count(outcome)
    if not isinstance(outcome, Labelled) or frame.forces is None or frame.energy is None:
        return SuspectOutcome(verdict, outcome, agreed=False)
    reference = outcome.label.forces
    error = float(np.sqrt(np.mean((frame.forces - reference) ** 2)))
    relative = error / float(np.sqrt(np.mean(reference**2)))
    energy = abs(frame.energy - outcome.label.energy) / frame.frame.n_atoms
    agreed = relative <= config.suspect_relative_error and energy <= config.suspect_energy_per_atom
    return SuspectOutcome(verdict, outcome, agreed, relative, energy)


# --------------------------------------------------------------------------- joining pieces


def _continuation(replica: Replica, frame: MdFrame) -> Replica:
    """Go on from a frame: same id and system, new seed, its velocities, its time behind it."""
    return replace(
        replica,
        start=frame.frame,
        velocities=frame.velocities,
        time_offset_fs=frame.time_fs,
        seed=replica.seed % (2**31 - 2) + 1,
    )


def join(replica: Replica, pieces: Sequence[Judged]) -> Judged:
    """The pieces of one replica as one run."""
    last = pieces[-1]
    if len(pieces) == 1:
        return last
    runs = [item.exploration for item in pieces]
    common = tuple(
        q for q in runs[0].trace.quantities if all(q in r.trace.quantities for r in runs)
    )
    values = np.concatenate(
        [np.column_stack([r.trace.series(q) for q in common]) for r in runs]  # type: ignore[misc]
    )
    trace = Trace(replica.id, np.concatenate([r.trace.time_fs for r in runs]), common, values)
    whole = replace(
        runs[-1],
        replica=replica,
        trace=trace,
        frames=tuple(frame for run in runs for frame in run.frames),
        seconds=sum(run.seconds for run in runs),
    )
    return Judged(
        whole, last.verdict, tuple(s for item in pieces for s in item.suspects), last.support
    )


def _life(generation: int, item: Judged) -> Life:
    run, verdict = item.exploration, item.verdict
    return Life(
        generation=generation,
        replica=run.replica.id,
        system=run.replica.system.name,
        condition=run.replica.condition.name,
        seed=run.replica.seed,
        time_ps=run.md_ps if verdict is None else verdict.time_fs / 1000.0,
        censored=verdict is None,
        verdict=verdict,
    )

"""Triage of each system's first catastrophe, with reruns through the campaign's own explorer."""

from __future__ import annotations

from collections.abc import Sequence

from sis_engine.interfaces import Context
from sis_engine.records import Exploration, Model, Replica, Triage, Verdict
from sis_engine.stages.context import StageContext
from sis_engine.stages.runs import explore_kept
from sis_engine.stages.watch import halt_rules, monitor_context
from sis_engine.triage import triage


def triage_first_catastrophes(
    stage: StageContext,
    model: Model,
    catastrophes: Sequence[tuple[Exploration, Verdict]],
    context: Context,
) -> tuple[Triage, ...]:
    """One triage per system: of its earliest catastrophe, the one labels would be bought for."""
    first: dict[str, tuple[Exploration, Verdict]] = {}
    for exploration, verdict in catastrophes:
        name = exploration.replica.system.name
        if name not in first or verdict.time_fs < first[name][1].time_fs:
            first[name] = (exploration, verdict)

    def run(replicas: Sequence[Replica]) -> Sequence[Exploration]:
        return [_rerun(stage, model, replica, context) for replica in replicas]

    return tuple(
        triage(exploration, verdict, model, stage.parts.config.triage, run)
        for exploration, verdict in first.values()
    )


def _rerun(stage: StageContext, model: Model, replica: Replica, context: Context) -> Exploration:
    """One rerun under the same rules; without support, so that only the physics can stop it."""
    watch = monitor_context(stage, model, replica.system, replica.condition, None)
    return explore_kept(stage, model, (replica,), halt_rules(stage, watch), context)[0]

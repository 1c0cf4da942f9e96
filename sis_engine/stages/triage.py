"""Triage of catastrophes before labels are bought, with reruns through its explorer."""

from __future__ import annotations

from collections.abc import Sequence

from sis_engine.interfaces import Context
from sis_engine.records import Cause, Committee, Exploration, Model, Replica, Triage, Verdict
from sis_engine.stages.context import StageContext
from sis_engine.stages.runs import explore_kept
from sis_engine.stages.watch import halt_rules, monitor_context
from sis_engine.triage import triage


def triage_catastrophes(
    stage: StageContext,
    model: Model,
    catastrophes: Sequence[tuple[Exploration, Verdict]],
    context: Context,
) -> tuple[Triage, ...]:
    """Triages of each system's catastrophes, earliest first, up to one that data can cure.

    That one is what labels would be bought for; those after it are taken for the same. When none
    is found, every catastrophe of the system has been judged, and no labels are bought.
    """
    by_system: dict[str, list[tuple[Exploration, Verdict]]] = {}
    for item in sorted(catastrophes, key=lambda pair: pair[1].time_fs):
        by_system.setdefault(item[0].replica.system.name, []).append(item)

    def run(replicas: Sequence[Replica]) -> Sequence[Exploration]:
        return [_rerun(stage, model, replica, context) for replica in replicas]

    found: list[Triage] = []
    for items in by_system.values():
        for exploration, verdict in items:
            config = stage.parts.config.triage
            found.append(triage(exploration, verdict, model, config, run))
            if found[-1].cause is Cause.DATA:
                break
    return tuple(found)


def _rerun(stage: StageContext, model: Model, replica: Replica, context: Context) -> Exploration:
    """One rerun under the same rules; without support, so that only the physics can stop it."""
    watch = monitor_context(stage.generation, model, replica.system, replica.condition, None)
    return explore_kept(
        stage, Committee(model), (replica,), halt_rules(stage.parts, watch), context
    )[0]

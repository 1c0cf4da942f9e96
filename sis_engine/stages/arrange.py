"""How many replicas run at once: measured once for each machine and kind of model, then known."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

from sis_engine.errors import ProgramError
from sis_engine.execution.replica_packing import Measured, best, time_of
from sis_engine.interfaces import Arrangeable, Context, MdTask
from sis_engine.records import Arrangement, Replica
from sis_engine.stages.context import StageContext

PAYS = 20.0
"""All is measured where the MD would take so many times as long as that."""


def arranged(stage: StageContext, task: MdTask, context: Context) -> Context:
    """The context with the best arrangement, where there is something to choose."""
    explorer, n_replicas = stage.parts.explorer, len(task.replicas)
    if not isinstance(explorer, Arrangeable) or n_replicas < 2:
        return context
    options = explorer.arrangements(n_replicas, context.threads)
    if len(options) < 2:
        return context
    name = _name(stage, task, context)
    known = stage.ledger.meta(name)
    if known is not None:
        measured = _read(known)
    else:
        measured, for_good = _measured(stage, explorer, task, options, context)
        if for_good:
            stage.ledger.set_meta(name, json.dumps([asdict(item) for item in measured]))
    if not measured:
        return context
    return replace(context, arrangement=best(measured, n_replicas).arrangement)


def _measured(
    stage: StageContext,
    explorer: Arrangeable,
    task: MdTask,
    options: Sequence[Arrangement],
    context: Context,
) -> tuple[tuple[Measured, ...], bool]:
    """Most replicas first, and whether that holds for later generations too: all were tried (the MD
    is long enough for it), and some could be timed. A bad model ends every probe of its MD.
    """
    longest, n_replicas = max(map(_n_steps, task.replicas)), len(task.replicas)
    folder = context.workdir / "speed"
    folder.mkdir(exist_ok=True)
    own = replace(context, workdir=folder)
    found: list[Measured] = []
    for option in sorted(options, key=lambda item: -item.workers):
        began = time.monotonic()
        try:
            speed = explorer.steps_per_s(task, option, own)
        except ProgramError as error:
            stage.console.event(f"{option.workers} replicas at once cannot be timed: {error}")
            continue
        found.append(Measured(option, speed))
        cost = (time.monotonic() - began) * (len(options) - 1)
        if len(found) == 1 and longest * time_of(found[0], n_replicas) < PAYS * cost:
            return tuple(found), False
    if found:
        chosen = best(found, n_replicas)
        told = ", ".join(item.told() for item in found)
        stage.console.event(f"replicas: {chosen.told()} is best of {told}")
    return tuple(found), bool(found)


def _n_steps(replica: Replica) -> int:
    return round(1000.0 * replica.condition.duration_ps / replica.condition.timestep_fs)


def _name(stage: StageContext, task: MdTask, context: Context) -> str:
    """Of the ledger's entry: whatever changes the answer is in it."""
    config = stage.parts.config
    asked = json.dumps(
        [
            platform.node(),
            context.threads,
            len(task.replicas),
            len(task.models),
            task.replicas[0].start.n_atoms,
            config.trainer,
            config.explorer,
        ],
        sort_keys=True,
        default=str,
    )
    return f"replicas_{hashlib.sha256(asked.encode()).hexdigest()[:16]}"


def _read(text: str) -> tuple[Measured, ...]:
    return tuple(
        Measured(Arrangement(**item["arrangement"]), item["steps_per_s"])
        for item in json.loads(text)
    )

"""MD runs whose ends are durable one by one: a kill loses only the replicas in progress."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from sis_engine.interfaces import Context, MdTask
from sis_engine.records import Committee, Exploration, HaltRule, Replica, Rounds, Sampling
from sis_engine.stages.arrange import arranged
from sis_engine.stages.context import StageContext


def explore_kept(
    stage: StageContext,
    committee: Committee,
    replicas: Sequence[Replica],
    rules: Sequence[HaltRule],
    context: Context,
    rounds: Rounds | None = None,
) -> list[Exploration]:
    """Explorations in the order of ``replicas``; those that ended before a kill are found again."""
    sampling = stage.parts.config.explore.sampling.sampling()
    kept = stage.kept("explore", Exploration)
    names = {item.id: run_name(committee, item, rules, sampling, rounds) for item in replicas}
    done: dict[str, Exploration] = {}
    for replica in replicas:
        found = kept.get(names[replica.id])
        if found is not None:
            done[replica.id] = found
    left = [replica for replica in replicas if replica.id not in done]
    if left:
        if rounds is not None:
            known = ((run.md_ps, run.has_failed) for run in done.values())
            rounds = replace(rounds, ended=(*rounds.ended, *known))
        members = committee.models[1:]
        task = MdTask(committee.driver, tuple(left), tuple(rules), sampling, members, rounds)
        runs = stage.parts.explorer.explore(
            task, arranged(stage, task, context), stage.parts.trainer.calculator
        )
        for run in runs:
            kept.put(names[run.replica.id], run)
            done[run.replica.id] = run
    return [done[replica.id] for replica in replicas]


def run_name(
    committee: Committee,
    replica: Replica,
    rules: Sequence[HaltRule],
    sampling: Sampling,
    rounds: Rounds | None = None,
) -> str:
    """Replica and a hash of all that its run depends on: a piece is found again only by these."""
    models = " ".join(model.deployed_file.sha256 for model in committee.models)
    found = hashlib.sha256(f"{models} {replica.seed}".encode())
    found.update(replica.start.key.encode())
    found.update(repr((replica.time_offset_fs, replica.condition, sampling)).encode())
    found.update(repr(tuple(rules)).encode())
    if replica.velocities is not None:
        found.update(replica.velocities.tobytes())
    if rounds is not None:  # where its siblings may stop it
        found.update(repr(rounds).encode())
    return f"{replica.id}-{found.hexdigest()[:16]}"

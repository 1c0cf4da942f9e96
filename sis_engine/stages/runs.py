"""MD runs whose ends are durable one by one: a kill loses only the replicas in progress."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sis_engine.interfaces import Context
from sis_engine.records import Committee, Exploration, HaltRule, Replica, Sampling
from sis_engine.stages.context import StageContext


def explore_kept(
    stage: StageContext,
    committee: Committee,
    replicas: Sequence[Replica],
    rules: Sequence[HaltRule],
    context: Context,
) -> list[Exploration]:
    """Explorations in the order of ``replicas``; those that ended before a kill are found again."""
    sampling = stage.parts.config.explore.sampling.sampling()
    kept = stage.kept("explore", Exploration)
    names = {item.id: run_name(committee, item, rules, sampling) for item in replicas}
    done: dict[str, Exploration] = {}
    for replica in replicas:
        found = kept.get(names[replica.id])
        if found is not None:
            done[replica.id] = found
    left = [replica for replica in replicas if replica.id not in done]
    if left:
        runs = stage.parts.explorer.explore(
            committee.driver,
            left,
            rules,
            sampling,
            context,
            stage.parts.trainer.calculator,
            members=committee.models[1:],
        )
        for run in runs:
            kept.put(names[run.replica.id], run)
            done[run.replica.id] = run
    return [done[replica.id] for replica in replicas]


def run_name(
    committee: Committee, replica: Replica, rules: Sequence[HaltRule], sampling: Sampling
) -> str:
    """Replica and a hash of all that its run depends on: a piece is found again only by these."""
    models = " ".join(model.deployed_file.sha256 for model in committee.models)
    found = hashlib.sha256(f"{models} {replica.seed}".encode())
    found.update(replica.start.key.encode())
    found.update(repr((replica.time_offset_fs, replica.condition, sampling)).encode())
    found.update(repr(tuple(rules)).encode())
    if replica.velocities is not None:
        found.update(replica.velocities.tobytes())
    return f"{replica.id}-{found.hexdigest()[:16]}"

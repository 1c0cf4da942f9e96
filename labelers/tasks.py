"""Folders of tasks: scratch of one attempt, and what a later attempt takes up."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from sis_engine.interfaces import Context, Optimisation, Segment
from sis_engine.records import LevelOfTheory


def kept_folder(context: Context, program: str) -> Path:
    """Where steps are kept: a later attempt at the same work finds them there."""
    return (context.workdir if context.kept is None else context.kept) / program


def folder_of_task(
    task: Segment | Optimisation, level: LevelOfTheory, context: Context, program: str
) -> Path:
    """A folder that this very work alone finds again."""
    name = f"{task.origin.plan}-{_identity(task, level)[:12]}"
    return kept_folder(context, program) / name


def free_folder(workdir: Path, name: str) -> Path:
    """A folder that no failed frame's files are kept in."""
    taken = {path.name for path in workdir.glob(f"{name}-*")}
    number = next(k for k in range(len(taken) + 1) if f"{name}-{k:05d}" not in taken)
    return workdir / f"{name}-{number:05d}"


def _identity(task: Segment | Optimisation, level: LevelOfTheory) -> str:
    """SHA-256 of all that the steps depend on: other work never takes up these files."""
    start = task.start
    speeds = None if start.velocities is None else start.velocities.tobytes().hex()
    text = json.dumps(
        [
            type(task).__name__,
            level.fingerprint,
            start.frame.key,
            speeds,
            asdict(task.spec),
            list(task.system.frozen),
            [task.origin.purpose.value, task.origin.generation, task.origin.plan],
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()

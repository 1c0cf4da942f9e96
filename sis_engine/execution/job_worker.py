"""The worker's end: what runs on a node. Parsl calls :func:`run_job` there with a folder's name."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from sis_engine.errors import ProgramError, SisError, StopRequested
from sis_engine.execution.job_folder import Cancelled, JobFolder, beating
from sis_engine.execution.job_records import LabelJob
from sis_engine.interfaces import Context, Labeler, SinglePoints
from sis_engine.plugins import Kind, configure
from sis_engine.reference_md import LabelSource, ReferenceMD
from sis_engine.remote.known_head import Replayed
from sis_engine.storage.codec import load_record
from sis_engine.storage.label_stream import End, LabelStream

DONE, STOPPED, RAISED, TAKEN = "done", "stopped", "raised", "taken"


def run_job(folder: str) -> str:
    """How the job in ``folder`` ended; its results are there, not in what is returned."""
    job = JobFolder(Path(folder))
    if not job.claim(_who()):
        return TAKEN
    with beating(job):
        return _label(job)


def _who() -> dict[str, Any]:
    batch = next((os.environ[n] for n in _BATCH_JOB if n in os.environ), None)
    return {
        "who": "worker",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "batch_job": batch,
        "at": time.time(),
    }


_BATCH_JOB = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")


def _label(job: JobFolder) -> str:
    started = time.time()
    stream = LabelStream(job.results)
    try:
        end = _ended(lambda: _all_labels(job, stream), started)
        stream.append(end)
    finally:
        stream.close()
    return end.state


def _all_labels(job: JobFolder, stream: LabelStream) -> None:
    task = load_record(job.task, LabelJob)
    labeler = _labeler(task.labeler, task.base)
    workdir = task.workdir / job.name
    workdir.mkdir(parents=True, exist_ok=True)
    if task.kept is not None:
        task.kept.mkdir(parents=True, exist_ok=True)
    context = Context(
        workdir, task.threads, stop=Cancelled(job), kept=task.kept, patience=task.patience
    )
    source: LabelSource = labeler
    if not isinstance(task.task, SinglePoints):  # lifted here where the code drives no MD itself
        known = {item.key: item for item in task.known}
        source = ReferenceMD(Replayed(labeler, known))
    for number, result in enumerate(source.label(task.task, context)):
        if number >= len(task.known):
            stream.append(result)


def _ended(work: Callable[[], None], started: float) -> End:
    """What is raised is told as it would be raised where the engine is."""
    host = socket.gethostname()
    try:
        work()
    except StopRequested:
        return End(STOPPED, started, time.time(), host)
    except SisError as error:
        place = error.directory if isinstance(error, ProgramError) else None
        return End(
            RAISED,
            started,
            time.time(),
            host,
            type(error).__name__,
            error.message,
            error.hint,
            None if place is None else str(place),
        )
    except Exception as error:  # noqa: BLE001 - the border to a plugin, on another machine
        told = f"{type(error).__name__}: {error}"
        number = getattr(error, "errno", None)
        kind = "MemoryError" if isinstance(error, MemoryError) else f"errno {number}"
        return End(
            RAISED, started, time.time(), host, kind if number or "Mem" in kind else "", told
        )
    return End(DONE, started, time.time(), host)


@lru_cache(maxsize=8)
def _labeler(text: str, base: Path | None) -> Labeler:
    """Kept for the next job: a program that stays alive is started once a worker."""
    labeler: Labeler = configure(Kind.LABELER, json.loads(text), key="labeler", base=base)
    return labeler

"""The worker's end: what runs on a node. Parsl calls :func:`run_job` there with a folder's name."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sis_engine.errors import ProgramError, SisError, StopRequested
from sis_engine.execution.job_folder import Cancelled, JobFolder, beating
from sis_engine.execution.job_records import (
    Bench,
    Explored,
    ExploreJob,
    LabelJob,
    MdPredictJob,
    PredictJob,
    TrainJob,
)
from sis_engine.interfaces import Context, SinglePoints
from sis_engine.plugins import Kind, configure
from sis_engine.records import Exploration, Prediction, TrainingResult
from sis_engine.reference_md import LabelSource, ReferenceMD
from sis_engine.remote.known_head import Replayed
from sis_engine.storage.codec import load_record, save_record
from sis_engine.storage.label_stream import End, LabelStream

DONE, STOPPED, RAISED, TAKEN = "done", "stopped", "raised", "taken"
_BATCH_JOB = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")


def run_job(folder: str) -> str:
    """How the job in ``folder`` ended; its results are there, not in what is returned."""
    job = JobFolder(Path(folder))
    if not job.claim(_who()):
        return TAKEN
    started = time.time()
    stream = LabelStream(job.results)
    try:
        with beating(job):
            end = _ended(partial(_worked, job, stream), started)
        stream.append(end)  # after the last beat: the engine then puts the folder away
    finally:
        stream.close()
    return end.state


def _worked(job: JobFolder, stream: LabelStream) -> None:
    KINDS[job.kind](job, stream)
    stream.sync()


def _who() -> dict[str, Any]:
    batch = next((os.environ[n] for n in _BATCH_JOB if n in os.environ), None)
    return {
        "who": "worker",
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "batch_job": batch,
        "at": time.time(),
    }


# --------------------------------------------------------------------------- kinds of work


def _label(job: JobFolder, stream: LabelStream) -> None:
    asked = load_record(job.task, LabelJob)
    source: LabelSource = part(Kind.LABELER, asked.labeler, asked.bench.base)
    if not isinstance(asked.task, SinglePoints):  # lifted here where the code drives no MD itself
        known = {item.key: item for item in asked.known}
        source = ReferenceMD(Replayed(source, known))
    for number, result in enumerate(source.label(asked.task, _context(job, asked.bench))):
        if number >= len(asked.known):
            stream.append(result)


def _train(job: JobFolder, stream: LabelStream) -> None:
    del stream
    asked = load_record(job.task, TrainJob)
    trainer = part(Kind.TRAINER, asked.trainer, asked.bench.base)
    context = _context(job, asked.bench)
    result: TrainingResult = trainer.train(asked.dataset, asked.start_from, asked.schedule, context)
    save_record(job.answer, result)


def _predict(job: JobFolder, stream: LabelStream) -> None:
    del stream
    asked = load_record(job.task, PredictJob)
    trainer = part(Kind.TRAINER, asked.trainer, asked.bench.base)
    context = _context(job, asked.bench)
    said: Prediction = trainer.predict(asked.model, asked.form, asked.frames, context)
    save_record(job.answer, said)


def _explore(job: JobFolder, stream: LabelStream) -> None:
    del stream
    asked = load_record(job.task, ExploreJob)
    explorer = part(Kind.EXPLORER, asked.explorer, asked.bench.base)
    trainer = part(Kind.TRAINER, asked.trainer, asked.bench.base)
    context = _context(job, asked.bench)
    found: list[Exploration] = []
    try:
        for run in explorer.explore(asked.task, context, trainer.calculator):
            found.append(run)  # noqa: PERF402 - what has ended is kept when the next one raises
    finally:
        save_record(job.answer, Explored(tuple(found)))


def _md_predict(job: JobFolder, stream: LabelStream) -> None:
    del stream
    asked = load_record(job.task, MdPredictJob)
    explorer = part(Kind.EXPLORER, asked.explorer, asked.bench.base)
    trainer = part(Kind.TRAINER, asked.trainer, asked.bench.base)
    context = _context(job, asked.bench)
    said: Prediction = explorer.predict(asked.model, asked.frames, context, trainer.calculator)
    save_record(job.answer, said)


KINDS: dict[str, Callable[[JobFolder, LabelStream], None]] = {
    "label": _label,
    "train": _train,
    "predict": _predict,
    "explore": _explore,
    "mdpredict": _md_predict,
}
"""What is done, by the kind that a job's folder is named after."""


@lru_cache(maxsize=8)
def part(kind: Kind, text: str, base: Path | None) -> Any:
    """Kept for the next job: a program that stays alive is started once a worker."""
    return configure(kind, json.loads(text), key=kind.value, base=base)


def _context(job: JobFolder, bench: Bench) -> Context:
    workdir = bench.workdir / job.name
    workdir.mkdir(parents=True, exist_ok=True)
    if bench.kept is not None:
        bench.kept.mkdir(parents=True, exist_ok=True)
    return Context(
        workdir, bench.threads, stop=Cancelled(job), kept=bench.kept, patience=bench.patience
    )


# --------------------------------------------------------------------------- how it ended


def _ended(work: Callable[[], None], started: float) -> End:
    """What is raised is told so that it can be raised where the engine is."""
    host = socket.gethostname()
    try:
        work()
    except StopRequested:
        return End(STOPPED, started, time.time(), host)
    except SisError as error:
        place = error.directory if isinstance(error, ProgramError) else None
        told = (type(error).__name__, error.message, error.hint, _text(place))
        return End(RAISED, started, time.time(), host, *told)
    except Exception as error:  # noqa: BLE001 - the border to a plugin, on another machine
        message = f"{type(error).__name__}: {error}"
        return End(RAISED, started, time.time(), host, _kind(error), message)
    return End(DONE, started, time.time(), host)


def _kind(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "MemoryError"
    return f"errno {error.errno}" if isinstance(error, OSError) and error.errno else ""


def _text(place: Path | None) -> str | None:
    return None if place is None else str(place)

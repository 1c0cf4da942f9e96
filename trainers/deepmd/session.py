"""DeePMD-kit in its worker process: how it is started, and what its answers mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sis_engine.errors import ProgramFailed, TrainingDiverged
from sis_engine.execution.worker import Worker, WorkerSettings
from sis_engine.interfaces import Context

OPERATIONS = Path(__file__).with_name("worker.py")
ERROR_CHARACTERS = 800


@dataclass(frozen=True)
class Settings:
    """How the worker is started, and the limits on its silence."""

    python: Path
    threads: int
    cpu_only: bool
    start_timeout_s: float
    silence_timeout_s: float
    timeout_s: float


@dataclass(frozen=True)
class Answer:
    """result: as the worker gave it;  seconds: by sub-step"""

    result: dict[str, Any]
    seconds: dict[str, float]


def environment(settings: Settings) -> dict[str, str]:
    """The process's variables: fixed thread counts, no forked data loaders, no GPU if so asked."""
    chosen = {
        "OMP_NUM_THREADS": str(settings.threads),
        "DP_INTRA_OP_PARALLELISM_THREADS": str(settings.threads),
        "DP_INTER_OP_PARALLELISM_THREADS": "1",
        "NUM_WORKERS": "0",
        "PYTHONUNBUFFERED": "1",
    }
    if settings.cpu_only:
        chosen |= {"DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    return chosen


def worker_settings(settings: Settings) -> WorkerSettings:
    """The same for the worker."""
    return WorkerSettings(
        name="DeePMD-kit",
        python=settings.python,
        operations=OPERATIONS,
        environment=tuple(environment(settings).items()),
        start_timeout_s=settings.start_timeout_s,
        silence_timeout_s=settings.silence_timeout_s,
        timeout_s=settings.timeout_s,
        key="trainer",
        install="pip install 'deepmd-kit[torch,lmp]==3.2.0'",
        log="dp.log",
        signs=("*.lcurve.out",),
    )


def ask(
    worker: Worker,
    settings: Settings,
    folder: Path,
    request: Mapping[str, Any],
    context: Context,
    watch: Callable[[], None],
) -> Answer:
    """What DeePMD-kit made of ``request``. Raises TrainingDiverged and ProgramFailed, too."""
    try:
        reply = worker.ask(worker_settings(settings), folder, request, context, watch)
        if reply.result is not None:
            return Answer(reply.result, reply.seconds)
        if reply.kind == "diverged":
            raise TrainingDiverged(
                f"training diverged: {reply.error}\n  files: {folder}",
                hint="lower start_lr, or look for bad labels among the newest frames",
            )
        raise ProgramFailed(
            f"DeePMD-kit raised {reply.kind}: {reply.error[:ERROR_CHARACTERS]}", directory=folder
        )
    except BaseException:
        worker.close()  # what state a failed request leaves in it is not known
        raise

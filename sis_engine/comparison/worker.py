"""One piece of a comparison's work in a process of its own.

``python -m sis_engine.comparison.worker FOLDER reference CASE``
``python -m sis_engine.comparison.worker FOLDER start|run CASE ARM SEED``

What happens is told on standard output. Exit codes are those of ``sis``: 0 done, 3 stopped and
resumable, others failed with the reason on standard error. SIGTERM asks for a stop.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from sis_engine.comparison.folder import reopen
from sis_engine.comparison.plan import RunName
from sis_engine.comparison.schedule import Job, JobKind
from sis_engine.comparison.work import Bench
from sis_engine.errors import SisError


def main(arguments: list[str]) -> int:
    folder, kind, *named = arguments
    stop = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    comparison, places = reopen(Path(folder))
    job = job_of(kind, named)
    try:
        job.do(Bench(comparison, places, stop.is_set, _say))
    except SisError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def arguments_of(job: Job) -> tuple[str, ...]:
    """What a worker is called with for a job."""
    if job.kind is JobKind.REFERENCE:
        return (job.kind.value, job.run.case)
    return (job.kind.value, job.run.case, job.run.arm, str(job.run.seed))


def job_of(kind: str, named: list[str]) -> Job:
    """The inverse of :func:`arguments_of`."""
    if JobKind(kind) is JobKind.REFERENCE:
        return Job(JobKind.REFERENCE, RunName(named[0], "", 0))
    case, arm, seed = named
    return Job(JobKind(kind), RunName(case, arm, int(seed)))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

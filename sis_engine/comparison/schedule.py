"""Which work can begin: references, then starts, then runs; several at a time where asked."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from sis_engine.comparison.plan import RunName
from sis_engine.comparison.work import Bench
from sis_engine.errors import SisError, StopRequested

POLL_S = 1.0


class JobKind(enum.Enum):
    """Kinds of work."""

    REFERENCE = "reference"
    """the examiner's trajectories of a case; of the run's name only the case counts"""
    START = "start"
    """first labels and model, for all runs that share them"""
    RUN = "run"
    """an arm's campaign and its examinations"""


@dataclass(frozen=True)
class Job:
    """A piece of work."""

    kind: JobKind
    run: RunName

    def do(self, bench: Bench) -> None:
        """Here and now. Raises SisError, of which StopRequested means: later, from where it is."""
        if self.kind is JobKind.REFERENCE:
            bench.reference(self.run.case)
        elif self.kind is JobKind.START:
            bench.start(self.run)
        else:
            bench.run(self.run)

    def __str__(self) -> str:
        if self.kind is JobKind.REFERENCE:
            return "-".join(part for part in (self.run.case, "reference") if part)
        return f"start of {self.run}" if self.kind is JobKind.START else str(self.run)


@dataclass(frozen=True)
class Step:
    """A job and the jobs that come before it."""

    job: Job
    after: frozenset[Job] = frozenset()


@dataclass
class Progress:
    """How far the work is. failed: what each failed job said;  seconds: of each finished one"""

    total: int
    done: list[Job] = field(default_factory=list)
    running: dict[Job, float] = field(default_factory=dict)
    failed: dict[Job, str] = field(default_factory=dict)
    seconds: dict[Job, float] = field(default_factory=dict)
    stopped: bool = False

    @property
    def ended(self) -> set[Job]:
        """Well, badly, or stopped."""
        return set(self.seconds)


def work_through(
    steps: Sequence[Step],
    do: Callable[[Job], None],
    *,
    parallel: int,
    stop: Callable[[], bool],
    watch: Callable[[Progress], None],
) -> Progress:
    """Do every step once those before it ended, well or not, in the given order of preference.

    do: does one job, raising SisError where it cannot; one that fails stops no other
    watch: called about once a second, and whenever a job ends
    """
    progress = Progress(len(steps))
    waiting = list(steps)
    with ThreadPoolExecutor(parallel) as pool:
        futures: set[Future[None]] = set()
        while waiting or futures:
            ready = [step for step in waiting if step.after <= progress.ended] if not stop() else []
            for step in ready[: parallel - len(futures)]:
                waiting.remove(step)
                progress.running[step.job] = time.monotonic()
                futures.add(pool.submit(_one, step.job, do, progress))
            if not futures:
                progress.stopped = progress.stopped or bool(waiting)
                break
            finished, futures = wait(futures, timeout=POLL_S, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
            watch(progress)
    return progress


def _one(job: Job, do: Callable[[Job], None], progress: Progress) -> None:
    """One job; how it ended is written into ``progress`` (each key by one thread only)."""
    try:
        do(job)
    except StopRequested:
        progress.stopped = True
    except SisError as error:
        progress.failed[job] = str(error)
    except Exception as error:  # noqa: BLE001 - the border: one broken run stops no other
        progress.failed[job] = f"unexpected {type(error).__name__}: {error}"
    else:
        progress.done.append(job)
    finally:
        progress.seconds[job] = time.monotonic() - progress.running.pop(job)

"""A job of labels: what it will cost, and doing it, whatever interrupts."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sis_engine.bookkeeping.backoff import with_backoff
from sis_engine.commands.label_jobs import Job
from sis_engine.errors import NothingLabelled, StopRequested
from sis_engine.execution.packing import Timings, choose
from sis_engine.interfaces import Capability, Context, Progress, SinglePoints
from sis_engine.labelling.remedies import Note
from sis_engine.records import Failure, LabelFailure, Labelled, Origin, Purpose, RejectedFrame
from sis_engine.setup.label_source import label_source
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.gate import GateConfig, pass_gate
from sis_engine.structures import impossible


@dataclass(frozen=True)
class JobQuote:
    """What a job will cost.

    known: labels that the bank has;  new: those to be made
    seconds: until they are made, by labels timed before; ``None``: none of these was
    cores: that may be used
    """

    structures: int
    systems: int
    known: int
    new: int
    seconds: float | None
    cores: int


@dataclass(frozen=True, eq=False)
class JobResult:
    """What became of every structure; ``results`` in the order they were given.

    rejected: labels that the gate kept out;  accepted: those that it let through
    known: results that were in the bank before;  wall_s: this run took
    """

    job: Job
    results: tuple[Labelled | LabelFailure, ...]
    accepted: tuple[Labelled, ...]
    rejected: tuple[RejectedFrame, ...]
    known: int
    wall_s: float

    @property
    def failures(self) -> tuple[LabelFailure, ...]:
        return tuple(item for item in self.results if isinstance(item, LabelFailure))


def quote(job: Job, bank: LabelBank | None, *, cores: int) -> JobQuote:
    """What is known, what is to be made, and how long that will take. bank: ``None``: none yet"""
    have = frozenset() if bank is None else bank.keys(good=None)
    new = [0] * len(job.systems)
    for key, number in zip(job.keys(), job.of, strict=True):
        new[number] += key not in have
    timings = Timings(bank)
    beside = Capability.SIDE_BY_SIDE in job.labeler.capabilities
    times = []
    for system, n in zip(job.systems, new, strict=True):
        level = job.labeler.level_of_theory(system).fingerprint
        known = timings.seconds(level, system.frame.n_atoms)
        times.append(_seconds(n, cores, known, beside=beside))
    whole = [item for item in times if item is not None]
    return JobQuote(
        structures=len(job.given),
        systems=len(job.systems),
        known=len(job.given) - sum(new),
        new=sum(new),
        seconds=sum(whole) if len(whole) == len(times) else None,
        cores=cores,
    )


def _seconds(n: int, cores: int, known: dict[int, float], *, beside: bool) -> float | None:
    if n == 0:
        return 0.0
    if not known:
        return None
    best = choose(n if beside else 1, cores, known)
    workers = best.workers if beside else 1
    seconds = known.get(best.threads) or min(known.values())
    return -(-n // workers) * seconds


# --------------------------------------------------------------------------- doing it


def run_job(
    job: Job,
    bank: LabelBank,
    folder: Path,
    *,
    cores: int,
    gate: GateConfig,
    stop: Callable[[], bool],
    progress: Progress,
    note: Note,
) -> JobResult:
    """Label every structure; each label is in the bank before the next is told of.

    folder: for scratch; failed calculations leave their files there
    Raises StopRequested (run it again: nothing is paid for twice), InfrastructureError after
    back-off, ProgramFailed when the program itself is broken.
    """
    began = time.monotonic()
    known = quote(job, bank, cores=cores).known
    results: dict[int, Labelled | LabelFailure] = {}

    def work() -> None:
        for result in _label(job, bank, folder, results, cores, stop, note):
            results[result.origin.index] = result
            _tell(result, results, len(job.given), progress)

    with_backoff(
        work, stop=stop, tell=lambda e: note("infrastructure", str(e)), done=lambda: len(results)
    )
    ordered = tuple(results[k] for k in range(len(job.given)))
    passed = pass_gate([item for item in ordered if isinstance(item, Labelled)], gate)
    return JobResult(
        job, ordered, passed.accepted, passed.rejected, known, time.monotonic() - began
    )


def _label(
    job: Job,
    bank: LabelBank,
    folder: Path,
    done: dict[int, Labelled | LabelFailure],
    cores: int,
    stop: Callable[[], bool],
    note: Note,
) -> Iterator[Labelled | LabelFailure]:
    source = label_source(job.labeler, bank, cores=cores, exact=False, note=note, timings=bank)
    context = Context(folder, threads=cores, stop=stop, kept=folder / "kept")
    left = []
    for index, item in enumerate(job.given):
        if index in done:
            continue
        problem = impossible(item.frame)
        if problem is None:
            left.append(index)
        else:
            level = job.labeler.level_of_theory(job.system(index))
            yield LabelFailure(
                item.frame, level, _origin(job, index), Failure.BAD_GEOMETRY, problem
            )
    beside = Capability.SIDE_BY_SIDE in job.labeler.capabilities
    for result in source.label_all(_tasks(job, left, beside=beside), context):
        yield result
        if stop() and len(done) < len(job.given):
            raise StopRequested("stopped among the structures")


def _tasks(job: Job, indices: Sequence[int], *, beside: bool) -> list[SinglePoints]:
    """One a structure; where they cannot run side by side, one for all that follow each other."""
    runs = [
        list(run)
        for _, run in itertools.groupby(indices, key=lambda k: (job.of[k], k if beside else None))
    ]
    return [
        SinglePoints(
            job.system(run[0]),
            tuple(job.given[k].frame for k in run),
            tuple(_origin(job, k) for k in run),
        )
        for run in runs
    ]


def _origin(job: Job, index: int) -> Origin:
    item = job.given[index]
    return Origin(
        Purpose.COMMAND, 0, job.system(index).name, f"label {item.source}", index,
        item.history.time_fs,
    )  # fmt: skip


def _tell(
    result: Labelled | LabelFailure,
    results: dict[int, Labelled | LabelFailure],
    total: int,
    progress: Progress,
) -> None:
    failed = sum(isinstance(item, LabelFailure) for item in results.values())
    told = result.message if isinstance(result, LabelFailure) else result.origin.system
    progress(len(results), total, told, failed=failed, seconds=result.seconds)


def need_any(result: JobResult, bank: LabelBank) -> JobResult:
    """The result itself; NothingLabelled where not one structure got a label.

    Nothing has shown then that the labeler works: the bank forgets the failures, and the same
    command tries again.
    """
    if any(isinstance(item, Labelled) for item in result.results):
        return result
    bank.forget_failures([failure.key for failure in result.failures])
    first = result.failures[0]
    raise NothingLabelled(
        f"not one of {len(result.results)} structures got a label; the first: "
        f"{first.reason.value.replace('_', ' ')}: {first.message}"
        + ("" if first.directory is None else f"; files: {first.directory}"),
        hint="`sis doctor` looks at the programs",
    )

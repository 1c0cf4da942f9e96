"""``sis compare``: every run of a comparison that is not finished yet, then the report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sis_engine.commands.validation import GoodTogether
from sis_engine.comparison import folder as comparison_folder
from sis_engine.comparison.board import Board
from sis_engine.comparison.differences import end_note, phases_of
from sis_engine.comparison.examiner import frames_there_are, frames_to_label
from sis_engine.comparison.finished import finished_runs
from sis_engine.comparison.places import Places
from sis_engine.comparison.plan import Comparison, RunName
from sis_engine.comparison.results import RunResult
from sis_engine.comparison.schedule import Job, JobKind, Progress, Step, work_through
from sis_engine.comparison.starts import is_ready
from sis_engine.comparison.work import Bench
from sis_engine.comparison.worker import arguments_of
from sis_engine.errors import ConfigurationError, SisError, StopRequested
from sis_engine.execution.program import ProgramRun, run_program
from sis_engine.setup.assembly import Parts
from sis_engine.storage.ownership import acquire

GRACE_S = 120.0
"""A worker asked to stop finishes or drops its step; after this it is killed, and resumes."""


@dataclass(frozen=True, eq=False)
class Compared:
    """How far a comparison came. failed: what each failed piece of work said"""

    finished: tuple[RunResult, ...]
    n_runs: int
    failed: dict[str, str]
    stopped: bool

    @property
    def complete(self) -> bool:
        return len(self.finished) == self.n_runs


def check(comparison: Comparison) -> tuple[str, ...]:
    """Everything that can be wrong with any arm or the examiner, before anything starts.

    Notes on what is not wrong but has to be known are given back.
    """
    seed = comparison.config.seeds[0]
    notes: list[str] = []
    known: GoodTogether = set()
    for case in comparison.config.case_names:
        phases = phases_of(comparison, case)
        for phase in phases:
            notes += comparison.validated(phase.parts, f"arms.{phase.arm}", known)
        unlike = end_note(phases)
        notes += [] if unlike is None else [unlike]
        examiner = comparison.examiner_parts(case, seed)
        comparison.validated(examiner, "examiner", known)
        _check_frames(comparison, case, examiner)
    return tuple(dict.fromkeys(notes))


def _check_frames(comparison: Comparison, case: str, examiner: Parts) -> None:
    """The examiner must find the frames that it is to label where every replica lives."""
    config = comparison.config.examiner
    wanted, there = frames_to_label(config, examiner), frames_there_are(config, examiner)
    if there < wanted:
        duration_ps = examiner.base_condition.duration_ps
        named = f" of {case}" if case else ""
        raise ConfigurationError(
            f"the examiner is to label {wanted} frames{named}, but {config.replicas} replicas of "
            f"{duration_ps:g} ps have {there}, {config.decorrelation_fs:g} fs apart after "
            f"{config.burn_in_ps:g} ps",
            file=comparison.file,
            key="examiner.frames",
            allowed=f"{there} or fewer (without it: ten times audit.min_frames)",
            hint="or more replicas, longer MD (examiner.duration_ps), frames nearer to each other "
            "(decorrelation_fs, and explore.sampling.sparse_every_ps)",
        )


def compare(
    comparison: Comparison,
    folder: Path,
    *,
    results: Path | None,
    stop: Callable[[], bool],
    write: Callable[[str], None],
) -> Compared:
    """Compute what is not finished. Raises ConfigurationError, CampaignHeld before any work."""
    notes = check(comparison)
    folder.mkdir(parents=True, exist_ok=True)
    with acquire(folder):
        places = comparison_folder.keep(folder, comparison, results)
        finished, messages = finished_runs(comparison, places)
        pending = [run for run in comparison.runs() if run not in finished]
        board = _board(comparison, places, write, finished, pending)
        for text in (*(f"note: {note}" for note in notes), *messages):
            board.say(text)
        board.say(f"{len(finished)} of {len(finished) + len(pending)} runs are finished")
        progress = _work(comparison, places, pending, board, stop)
        finished, _ = finished_runs(comparison, places)
    return Compared(
        finished=tuple(finished[run] for run in comparison.runs() if run in finished),
        n_runs=len(list(comparison.runs())),
        failed={str(job): message for job, message in progress.failed.items()},
        stopped=progress.stopped,
    )


def steps_of(comparison: Comparison, places: Places, pending: Sequence[RunName]) -> list[Step]:
    """The work that is left, in the order of preference."""
    bench = Bench(comparison, places, lambda: False, lambda _: None)
    steps: list[Step] = []
    references = {run.case: Job(JobKind.REFERENCE, RunName(run.case, "", 0)) for run in pending}
    steps += [Step(job) for job in references.values()]
    starts: dict[Path, Job] = {}
    for run in pending:
        before = {references[run.case]}
        place = bench.start_folder(run)
        if not places.run(run).exists() and not is_ready(place):
            if place not in starts:
                starts[place] = Job(JobKind.START, run)
                steps.append(Step(starts[place]))
            before.add(starts[place])
        steps.append(Step(Job(JobKind.RUN, run), frozenset(before)))
    return steps


def _board(
    comparison: Comparison,
    places: Places,
    write: Callable[[str], None],
    finished: dict[RunName, RunResult],
    pending: list[RunName],
) -> Board:
    known: dict[tuple[str, str], list[float]] = {}
    for run, result in finished.items():
        seconds = result.wall_s + sum(exam.seconds for exam in result.exams)
        known.setdefault((run.case, run.arm), []).append(seconds)
    expected = comparison.config.expected
    return Board(
        places,
        write,
        comparison.config.execution.parallel,
        len(finished),
        known,
        None if expected is None else 60.0 * expected.minutes,
        list(pending),
    )


def _work(
    comparison: Comparison,
    places: Places,
    pending: Sequence[RunName],
    board: Board,
    stop: Callable[[], bool],
) -> Progress:
    parallel = comparison.config.execution.parallel
    steps = steps_of(comparison, places, pending)

    def here(job: Job) -> None:
        job.do(Bench(comparison, places, stop, board.say))

    def elsewhere(job: Job) -> None:
        _in_process(job, places, board, stop)

    do = here if parallel == 1 else elsewhere
    return work_through(steps, do, parallel=parallel, stop=stop, watch=board.watch)


def _in_process(job: Job, places: Places, board: Board, stop: Callable[[], bool]) -> None:
    """One job in a process of its own, which dies with this one; its lines are told at once."""
    directory = places.folder / "log" / str(job).replace(" ", "-")
    directory.mkdir(parents=True, exist_ok=True)
    told = 0

    def relay() -> None:
        nonlocal told
        lines = (directory / "stdout.txt").read_text(encoding="utf-8").split("\n")[:-1]
        for line in lines[told:]:
            board.say(line)
        told = len(lines)

    ended = run_program(
        ProgramRun(
            arguments=(
                sys.executable,
                "-m",
                "sis_engine.comparison.worker",
                str(places.folder),
                *arguments_of(job),
            ),
            directory=directory,
            grace_s=GRACE_S,
            check=False,
        ),
        stop=stop,
        on_poll=relay,
    )
    relay()
    if ended.exit_code == StopRequested.exit_code:
        raise StopRequested(ended.stderr_tail.strip() or f"{job} stopped")
    if ended.exit_code != 0:
        told_by_it = ended.stderr_tail.strip() or f"exit code {ended.exit_code}"
        raise SisError(told_by_it, hint=f"its output is in {directory}")

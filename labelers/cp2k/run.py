"""One run of CP2K in a folder of its own: started, watched, stopped softly, classed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

from labelers.cp2k.failures import ending_of
from labelers.cp2k.launch import INPUT, OUTPUT, Launcher
from labelers.cp2k.output import OutputReader
from labelers.endings import Ending, without_room
from sis_engine.errors import ProgramHung, StopRequested
from sis_engine.execution.program import ProgramOutcome, ProgramRun, polled_program
from sis_engine.interfaces import Context
from sis_engine.records import Failure


@dataclass
class SoftStop:
    """Asked at every poll whether the run is to be ended now.

    When a stop is asked for, CP2K is told by its EXIT file, which it heeds after the step in hand
    (it looks every 20 s). ``limit_s`` later, or as soon as that step is on disk, it is ended.
    """

    asked: Callable[[], bool]
    exit_file: Path | None
    limit_s: float
    _since: float | None = field(default=None, init=False)
    _steps: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False)
    _safe: bool = field(default=False, init=False)

    def recorded(self, n_steps: int, is_safe: Callable[[], bool]) -> None:
        """So many steps are on disk; ``is_safe``: the last of them can be gone on from."""
        self._seen = n_steps
        if self._since is not None and n_steps > self._steps:
            self._safe = is_safe()

    def __call__(self) -> bool:
        if not self.asked():
            return False
        if self.exit_file is None:
            return True
        if self._since is None:
            self._since, self._steps = time.monotonic(), self._seen
            with contextlib.suppress(OSError):
                self.exit_file.touch()
        return self._safe or time.monotonic() - self._since > self.limit_s


@dataclass(frozen=True, eq=False)
class Run:
    """One run in a folder, with what it has said so far. text: its input"""

    launcher: Launcher
    folder: Path
    context: Context
    text: str
    output: OutputReader

    @classmethod
    def of(cls, launcher: Launcher, folder: Path, context: Context, text: str) -> Run:
        return cls(launcher, folder, context, text, OutputReader(folder / OUTPUT))

    def watched(
        self, stop: SoftStop, trouble: Callable[[], Ending | None]
    ) -> Generator[None, None, Ending | None]:
        """Run it; a yield at every poll and once more after its end.

        trouble: asked after every poll: why to end it now, e.g. an SCF that did not converge
        Returns ``None`` after a regular end, else how it ended. Raises StopRequested.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / INPUT).write_text(self.text, encoding="utf-8")
        except OSError as error:
            return Ending(Failure.INFRASTRUCTURE, f"the input cannot be written: {error}")
        run = self.launcher.run(self.folder, self.context.threads, self.context.patience)
        polls = polled_program(run, stop=stop)
        outcome: ProgramOutcome | None = None
        raised: StopRequested | ProgramHung | None = None
        with contextlib.closing(polls):
            while outcome is None and raised is None:
                try:
                    next(polls)
                except StopIteration as ended:
                    outcome = ended.value
                except (StopRequested, ProgramHung) as error:
                    raised = error
                yield
                found = trouble() or self._mixed_up(run) or self._without_room()
                if found is not None:
                    return found
        if isinstance(raised, StopRequested):
            raise raised
        if isinstance(raised, ProgramHung):
            return Ending(Failure.OUT_OF_TIME, raised.message)
        if outcome is not None and outcome.exit_code == 0 and self.output.ended:
            return None
        return ending_of(self.folder, outcome, unconverged=self.output.unconverged)

    def _mixed_up(self, run: ProgramRun) -> Ending | None:
        """So many copies with one rank each, all writing into the same files, are no run."""
        said = self.launcher.config.mpi.mixed_up(
            self.context.threads, self.output.ranks, run.arguments[0], "CP2K"
        )
        return None if said is None else Ending(Failure.PROGRAM, said)

    def _without_room(self) -> Ending | None:
        if os.statvfs(self.folder).f_bavail > 0:
            return None
        return without_room(self.folder)


def to_the_end(run: Run) -> Ending | None:
    """Run it without looking at steps. TERM follows a stop at once: there is nothing to save."""

    def nothing_wrong() -> Ending | None:
        run.output.new_evaluations()
        return None

    watched = run.watched(SoftStop(run.context.stop, None, 0.0), nothing_wrong)
    while True:
        try:
            next(watched)
        except StopIteration as ended:
            ending: Ending | None = ended.value
            return ending

"""One pw.x, kept alive: it is sent frames and answers each with a label, or ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from pathlib import Path

import numpy as np

from labelers.endings import Ending, without_room
from labelers.espresso.channel import Channel, ChannelClosed, Conversation
from labelers.espresso.failures import ending_of
from labelers.espresso.launch import INPUT, OUTPUT, Launcher
from labelers.espresso.output import ranks_of
from sis_engine.errors import ProgramFailed, ProgramHung, SisError
from sis_engine.execution.program import ProgramOutcome, polled_program
from sis_engine.interfaces import Context
from sis_engine.records import Failure, Frame, Label

_HEAD_BYTES = 20_000
_GRACE_S = 2.0
"""For an end in good order after the last frame; there is nothing to save."""
_PAUSE_S = 0.02
_LAST_WORDS_S = 120.0
"""From a closed connection to the end of the process, in which it says why."""


class _Over(Exception):
    """The program ended before it answered."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.message)
        self.ending = ending


class PwProcess:
    """A pw.x in a folder of its own, on the frames of one cell.

    ``ask`` raises StopRequested when a stop is asked for; after any ending nothing is left of it.
    n_k_points: what ranks may share out
    """

    def __init__(
        self, launcher: Launcher, text: str, folder: Path, context: Context, n_k_points: int
    ) -> None:
        self.folder = folder
        self._launcher = launcher
        self._context = context
        self._channel = Channel.open()
        self._conversation: Conversation | None = None
        self._limit: float | None = None
        self._trusted = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / INPUT).write_text(text, encoding="utf-8")
            self._run = launcher.run(
                folder, context.threads, context.patience, self._channel.path, n_k_points
            )
        except BaseException:
            self._channel.close()
            raise
        self._polls: Generator[None, None, ProgramOutcome] = polled_program(
            self._run, stop=context.stop
        )

    def ask(self, frame: Frame) -> Label | Ending:
        """The label of a frame in the cell of the input, or how the program ended."""
        allowed = self._launcher.config.frame_timeout_s
        if allowed is not None:
            self._limit = time.monotonic() + allowed * self._context.patience
        try:
            answer = self._answer(frame)
        except BaseException:
            self.close()
            raise
        if isinstance(answer, Ending):
            self.close()
        return answer

    def close(self) -> None:
        """End it, kindly and then not."""
        if self._conversation is not None:
            self._conversation.end()
            self._conversation.close()
            self._conversation = None
            until = time.monotonic() + _GRACE_S
            with contextlib.suppress(StopIteration, SisError):
                while time.monotonic() < until:
                    time.sleep(_PAUSE_S)
                    next(self._polls)
        self._polls.close()
        self._channel.close()

    def _answer(self, frame: Frame) -> Label | Ending:
        try:
            if self._conversation is None:
                self._conversation = Conversation.accepted(self._channel, self._wait)
            label = self._conversation.label(frame, with_virial=self._launcher.config.virial)
            return self._untrusted() or _not_finite(label) or label
        except _Over as over:
            return over.ending
        except ChannelClosed as closed:
            return self._last_words(str(closed))

    def _wait(self) -> None:
        """Called while there is no answer: let some time pass. Raises _Over, StopRequested."""
        if self._limit is not None and time.monotonic() > self._limit:
            raise _Over(
                Ending(
                    Failure.OUT_OF_TIME,
                    f"no label within {self._launcher.config.frame_timeout_s:g} s: raise "
                    "labeler.frame_timeout_s if it was still working",
                )
            )
        try:
            next(self._polls)
        except StopIteration as ended:
            raise _Over(self._mixed_up() or ending_of(self.folder, ended.value)) from None
        except ProgramHung as error:
            raise _Over(Ending(Failure.OUT_OF_TIME, error.message)) from None
        except ProgramFailed as error:
            raise _Over(Ending(Failure.PROGRAM, error.message)) from None

    def _last_words(self, said: str) -> Ending:
        """It hung up; its output and exit code, there when it has ended, tell why."""
        self._limit = None
        until = time.monotonic() + _LAST_WORDS_S
        try:
            while time.monotonic() < until:
                time.sleep(_PAUSE_S)
                self._wait()
        except _Over as over:
            return over.ending
        return Ending(Failure.PROGRAM, f"{said}, and ran on")

    def _untrusted(self) -> Ending | None:
        """Ranks asked for that are not known to have found each other. Asked once a process.

        The label may be here before mpirun has passed on what was printed before it.
        """
        ranks, _ = self._launcher.config.mpi.shape(self._context.threads)
        if self._trusted or ranks == 1:
            return None
        until = time.monotonic() + _LAST_WORDS_S
        while self._ranks() is None:
            if time.monotonic() > until:
                silent = Ending(Failure.PROGRAM, f"it answers, but {OUTPUT} tells no ranks")
                return without_room(self.folder) or silent
            time.sleep(_PAUSE_S)
            self._wait()
        self._trusted = True
        return self._mixed_up()

    def _ranks(self) -> int | None:
        try:
            with (self.folder / OUTPUT).open("rb") as file:
                return ranks_of(file.read(_HEAD_BYTES).decode(errors="replace"))
        except OSError:
            return None

    def _mixed_up(self) -> Ending | None:
        said = self._launcher.config.mpi.mixed_up(
            self._context.threads, self._ranks(), self._run.arguments[0], "pw.x"
        )
        return None if said is None else Ending(Failure.PROGRAM, said)


def _not_finite(label: Label) -> Ending | None:
    numbers = [np.isfinite(label.energy), np.isfinite(label.forces).all()]
    if label.virial is not None:
        numbers.append(np.isfinite(label.virial).all())
    if all(bool(one) for one in numbers):
        return None
    return Ending(Failure.NON_FINITE, f"the label is not finite (energy {label.energy} eV)")

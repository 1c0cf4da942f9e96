"""A running LAMMPS is held at the ends of rounds: it waits at a named pipe until somebody writes.

A pipe for each round, so that none is opened twice: LAMMPS may still be reading the last one when
the next is looked at. It waits without using a core, and its warden ends it with the engine.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from sis_engine.errors import InfrastructureError
from sis_engine.explorers.lammps.input import GO, STOP
from sis_engine.explorers.lammps.launch import HELD
from sis_engine.explorers.lock_step import LockStep
from sis_engine.records import Exit, Exploration, Replica, Rounds


class Free:
    """Nothing holds it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Whatever it came to."""

    def look(self) -> None:
        """Called now and then while it runs."""

    def ended(self, run: Exploration) -> Exploration:
        """What it came to."""
        return run


class Hold(Free):
    """Of one replica, whose folder it makes the pipes in; as a context around its run."""

    def __init__(
        self,
        lock_step: LockStep,
        rounds: Rounds,
        replica: Replica,
        directory: Path,
        stop: Callable[[], bool],
    ) -> None:
        self._lock_step, self._replica, self._stop = lock_step, replica, stop
        self._directory = directory
        self._left = deque((k, directory / f"{GO}.{k}") for k, _ in rounds.ends(replica))
        self._pipe: int | None = None
        self._has_turn = self._was_stopped = False

    def __enter__(self) -> Self:
        try:
            for _, path in self._left:
                os.mkfifo(path)
        except OSError as error:
            raise InfrastructureError(
                f"cannot make a named pipe in {self._directory}: {error}",
                hint="put the campaign on a local file system",
            ) from error
        self._lock_step.begin(self._replica.id, self._stop)
        self._has_turn = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        if kind is not None:  # its siblings do not wait for it
            self._tell(0.0, failed=False)

    def look(self) -> None:
        if self._pipe is None:
            self._look_whether_it_waits()
            return
        with (self._directory / HELD).open("ab") as file:
            file.write(b".")  # a replica that is held is not silent
        told = self._lock_step.may_go_on(self._replica.id)
        if told is None:
            return
        if told:
            self._has_turn = True
        else:
            self._was_stopped = True
            with contextlib.suppress(BrokenPipeError):
                os.write(self._pipe, STOP.encode())
        os.close(self._pipe)
        self._pipe = None

    def _look_whether_it_waits(self) -> None:
        if not self._left:
            return
        number, path = self._left[0]
        try:
            self._pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads yet
                raise
            return
        self._left.popleft()
        self._has_turn = False
        self._lock_step.arrived(self._replica.id, number)

    def ended(self, run: Exploration) -> Exploration:
        if self._was_stopped:
            run = replace(run, exit=Exit.STOPPED, message="enough of its siblings had failed")
        self._tell(run.md_ps, failed=run.has_failed)
        return run

    def _tell(self, time_ps: float, *, failed: bool) -> None:
        self._lock_step.ended(self._replica.id, time_ps, failed=failed, has_turn=self._has_turn)

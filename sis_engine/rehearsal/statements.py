"""The k-th SQLite statement or program start fails: what can only be met in Python.

In a life of its own (a forked process) the calls are replaced for good.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import sqlite3
import subprocess
from typing import Any

from sis_engine.rehearsal.interposer import Fault, Mode, Operation

_COUNTED = (Operation.STATEMENT, Operation.SPAWN, Operation.WAIT)


class _Trap:
    """Counts calls of each kind; the fault lies in wait for one of them."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.seen = dict.fromkeys(_COUNTED, 0)
        self.fired = 0

    def meet(self, operation: Operation) -> Mode:
        self.seen[operation] += 1
        fault = self.fault
        if fault is None or fault.operation is not operation or fault.mode is Mode.COUNT:
            return Mode.COUNT
        if self.seen[operation] != fault.k:
            return Mode.COUNT
        self.fired += 1
        if fault.mode.is_death:
            os.kill(os.getpid(), signal.SIGKILL)
        return fault.mode


_TRAP = _Trap()


class FaultyConnection(sqlite3.Connection):
    """A connection one of whose statements fails as SQLite says that the disk did."""

    def execute(self, *given: Any) -> sqlite3.Cursor:
        mode = _TRAP.meet(Operation.STATEMENT)
        if mode is not Mode.COUNT:
            raise _as_sqlite_says(mode)
        return super().execute(*given)


def _as_sqlite_says(mode: Mode) -> sqlite3.OperationalError:
    full = mode is Mode.ENOSPC
    error = sqlite3.OperationalError("database or disk is full" if full else "disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL if full else sqlite3.SQLITE_IOERR
    error.sqlite_errorname = "SQLITE_FULL" if full else "SQLITE_IOERR"
    return error


def arm(fault: Fault) -> None:
    """For the rest of this process's life."""
    _TRAP.fault = fault
    sqlite3.connect = functools.partial(  # type: ignore[assignment]
        sqlite3.connect, factory=FaultyConnection
    )
    start, wait = subprocess.Popen.__init__, subprocess.Popen.wait

    def started(self: Any, *given: Any, **named: Any) -> None:
        if _TRAP.meet(Operation.SPAWN) is not Mode.COUNT:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        start(self, *given, **named)

    def waited(self: Any, timeout: float | None = None) -> int:
        if _TRAP.meet(Operation.WAIT) is Mode.LOST:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)  # as a library does that reaps every child
        return wait(self, timeout)

    subprocess.Popen.__init__ = started  # type: ignore[method-assign]
    subprocess.Popen.wait = waited  # type: ignore[method-assign]


def seen() -> dict[str, int]:
    """How many calls of each kind this process has made since it was armed."""
    return {item.value: number for item, number in _TRAP.seen.items()}


def fired() -> int:
    """How many of them failed."""
    return _TRAP.fired

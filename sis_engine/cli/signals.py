"""Signals that ask for a stop. Light to import: what takes time to load comes after it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """SIGTERM, SIGINT and SIGHUP ask for a stop; a second one ends the process at once.

    Yields what says whether a stop was asked for. SIGCHLD is no longer ignored, where whoever
    started us had it ignored: exit codes of programs would be lost, and a crash pass for success.
    """
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    stop = threading.Event()

    def ask(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()
        typer.echo(
            "stopping: the step in hand is finished or dropped; again to end at once", err=True
        )

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, ask) for number in numbers]
    try:
        yield stop.is_set
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

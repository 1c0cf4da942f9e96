"""Faults of the surroundings: wait, try again, and give up only when nothing moves any more."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from sis_engine.errors import InfrastructureError

T = TypeVar("T")

RETRY_AFTER_S = (5.0, 30.0, 120.0)
"""How long is waited after the first, second and third fault in a row."""


def with_backoff(
    work: Callable[[], T],
    *,
    stop: Callable[[], bool],
    tell: Callable[[InfrastructureError], None],
    done: Callable[[], object],
) -> T:
    """What ``work`` returns. Raises the InfrastructureError that outlived the last wait, or the
    one in hand when a stop is asked for.

    tell: told of every fault;  done: something that differs when work got further. Faults with
    progress between them are not in a row: a week's campaign survives a weekly hiccup of the disk
    """
    faults = 0
    before = done()
    while True:
        try:
            return work()
        except InfrastructureError as error:
            with contextlib.suppress(InfrastructureError):  # a full disk takes no note of it either
                tell(error)
            reached = before
            with contextlib.suppress(InfrastructureError):
                reached = done()
            faults = 0 if reached != before else faults
            before = reached
            if faults == len(RETRY_AFTER_S) or not waited(RETRY_AFTER_S[faults], stop):
                raise
            faults += 1


def waited(seconds: float, stop: Callable[[], bool]) -> bool:
    """Sleep, unless a stop is asked for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if stop():
            return False
        time.sleep(0.2)
    return True

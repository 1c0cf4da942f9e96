"""What a campaign takes of the machine over all its runs, also those that were killed."""

from __future__ import annotations

import resource
import time

from sis_engine.storage.ledger import Ledger

WALL_S = "wall_s"
PEAK_MEMORY_MIB = "peak_memory_mib"
"""Ledger keys."""


class WallClock:
    """Starts when it is made; what earlier runs took is in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._before_s = float(ledger.meta(WALL_S) or 0.0)
        self._started = time.monotonic()

    @property
    def total_s(self) -> float:
        return self._before_s + time.monotonic() - self._started

    @property
    def hours(self) -> float:
        return self.total_s / 3600.0

    def save(self) -> None:
        """Write it down: a kill later on loses only what comes after."""
        self._ledger.set_meta(WALL_S, repr(self.total_s))
        before = float(self._ledger.meta(PEAK_MEMORY_MIB) or 0.0)
        self._ledger.set_meta(PEAK_MEMORY_MIB, repr(max(before, peak_memory_mib())))


def peak_memory_mib() -> float:
    """Largest resident size of this process and of any child that has ended (Linux: in KiB)."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(each).ru_maxrss for each in who) / 1024.0

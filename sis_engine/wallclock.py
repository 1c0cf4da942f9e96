"""Wall time of the engine on one campaign, over all its runs, also those that were killed."""

from __future__ import annotations

import time

from sis_engine.storage.ledger import Ledger

WALL_S = "wall_s"


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

"""How many single points go into one task."""

from __future__ import annotations

import math
import statistics
import threading
from collections import deque

from sis_engine.execution.pools import LabelPool

WINDOW = 64
"""So many of the last labels say how long the next will take."""
OPEN_PER_SLOT = 2
"""Tasks that are out for each worker: one in hand and one that waits."""
FIRST_GROUP = 4
"""Most in a task before anything was measured."""
SHORT_S, LEAST_S = 0.25, 0.05
"""A task costs milliseconds to hand out and to take in (benchmarks/parsl_overhead.py): shorter ones
are not made while all workers have enough, and never ones that are much shorter."""


class Pace:
    """Group sizes from measured seconds. Thread safe; no label depends on what it says."""

    def __init__(self, pool: LabelPool, slots: int) -> None:
        self._pool = pool
        self._slots = max(1, slots)
        self._lock = threading.Lock()
        self._seconds: deque[float] = deque(maxlen=WINDOW)

    @property
    def most_open(self) -> int:
        return OPEN_PER_SLOT * self._slots

    def took(self, seconds: float) -> None:
        """One label took so long."""
        with self._lock:
            self._seconds.append(seconds)

    def group(self, n_waiting: int) -> int:
        """Of so many that wait, how many go into the next task."""
        if isinstance(self._pool.group, int):
            return self._pool.group
        fair = max(1, math.ceil(n_waiting / (OPEN_PER_SLOT * self._slots)))
        with self._lock:
            if not self._seconds:
                return min(fair, FIRST_GROUP)
            each = max(statistics.median(self._seconds), 1e-4)
        share = math.ceil(n_waiting / self._slots)
        most = max(1, int(self._pool.group_s / each))
        short, least = math.ceil(SHORT_S / each), math.ceil(LEAST_S / each)
        return min(n_waiting, most, max(fair, min(share, short), least))

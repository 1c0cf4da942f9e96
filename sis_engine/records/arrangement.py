"""How many pieces of work run at once on one machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arrangement:
    """``workers`` labels or replicas at a time with ``threads`` each."""

    workers: int
    threads: int

    def rounds(self, n_tasks: int) -> int:
        """How often a worker's turn comes until all tasks are done."""
        return -(-n_tasks // self.workers)

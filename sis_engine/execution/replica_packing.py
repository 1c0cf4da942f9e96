"""How many replicas at a time, with how many threads each: a rule on measured steps a second.

On cores of their own small systems run best one thread each, large ones may want more; on a GPU one
replica of a small system leaves most of it idle, and how many fill it depends on model and device.
So each arrangement that is worth a thought is run for some seconds, and the best is taken.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from sis_engine.execution.packing import TIE
from sis_engine.records import Arrangement


@dataclass(frozen=True)
class Measured:
    """Steps a second of all replicas of an arrangement together."""

    arrangement: Arrangement
    steps_per_s: float

    def told(self) -> str:
        """In words."""
        how = self.arrangement
        threads = "one thread" if how.threads == 1 else f"{how.threads} threads"
        return f"{how.workers} at once with {threads} each ({self.steps_per_s:.0f} steps/s)"


def arrangements(
    n_replicas: int, cores: int, *, gpu: bool = False, threads: int | None = None
) -> tuple[Arrangement, ...]:
    """Those worth measuring, fewest replicas first; none has more threads than there are cores.

    gpu: replicas share one: one, two, four, … at a time. Without one a core that has no replica
    is idle, so only full machines are looked at, and one replica alone for comparison.
    threads: of each replica, where they may not be chosen
    """
    most = max(1, min(n_replicas, cores // (threads or 1)))
    at_once = _doubled(most) if gpu else sorted({1, -(-most // 2), most})
    found: list[Arrangement] = []
    for workers in at_once:
        each = max(1, cores // workers)
        choice = [threads] if threads else [1] if gpu else sorted({1, each})
        found += [Arrangement(workers, k) for k in choice]
    return tuple(found)


def _doubled(most: int) -> list[int]:
    return sorted({1 << k for k in range(most.bit_length())} | {most})


def best(measured: Sequence[Measured], n_replicas: int) -> Measured:
    """By which so many replicas of equal length end first; of two alike the one with fewer threads.

    Ends are what counts: three at a time are no better than two where there are four.
    """
    chosen = min(measured, key=lambda item: item.arrangement.workers * item.arrangement.threads)
    for item in sorted(measured, key=lambda m: m.arrangement.workers * m.arrangement.threads):
        if time_of(item, n_replicas) < (1.0 - TIE) * time_of(chosen, n_replicas):
            chosen = item
    return chosen


def time_of(item: Measured, n_replicas: int) -> float:
    """Seconds until each of so many replicas has done one step."""
    workers = min(item.arrangement.workers, n_replicas)
    each = item.steps_per_s / item.arrangement.workers
    return -(-n_replicas // workers) / each if each > 0.0 else float("inf")


def has_gpu() -> bool:
    """Whether replicas of this process may share one."""
    return shutil.which("nvidia-smi") is not None and os.environ.get(
        "CUDA_VISIBLE_DEVICES", "all"
    ) not in {"", "-1"}

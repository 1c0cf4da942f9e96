"""Cores and GPUs that campaigns hold while they run, so that they share a machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sis_engine.service.jobs import Job


@dataclass(frozen=True)
class Slots:
    """What may be given away. cores: CPU numbers;  gpus: as CUDA_VISIBLE_DEVICES names them"""

    cores: tuple[int, ...]
    gpus: tuple[str, ...] = ()

    def without(self, held: Iterable[Job]) -> Slots:
        """What is left beside these."""
        jobs = tuple(held)
        cores = {core for job in jobs for core in job.core_ids}
        gpus = {gpu for job in jobs for gpu in job.gpu_ids}
        return Slots(
            tuple(core for core in self.cores if core not in cores),
            tuple(gpu for gpu in self.gpus if gpu not in gpus),
        )

    def fit(self, job: Job) -> bool:
        return job.cores <= len(self.cores) and job.gpus <= len(self.gpus)

    def taken(self, job: Job) -> tuple[Slots, Slots]:
        """(what the job gets, what is left): all there is where it asks for more."""
        return (
            Slots(self.cores[: job.cores], self.gpus[: job.gpus]),
            Slots(self.cores[job.cores :], self.gpus[job.gpus :]),
        )


def next_to_start(waiting: Iterable[Job], free: Slots, now: float) -> tuple[tuple[Job, Slots], ...]:
    """Who starts now and on what; ``waiting`` in the order of their turns.

    What one that does not fit is waiting for is kept for it: a long row of small campaigns never
    starves a large one of higher rank.
    """
    starting = []
    for job in waiting:
        if job.not_before > now:
            continue
        fits = free.fit(job)
        given, free = free.taken(job)
        if fits:
            starting.append((job, given))
    return tuple(starting)

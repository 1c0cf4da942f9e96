"""A campaign as the service sees it: what it is asked to do, and where it stands."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class JobState(enum.Enum):
    """Where a campaign stands in the service."""

    QUEUED = "queued"
    """it waits for its turn, for free slots, or for the end of a back-off"""
    RUNNING = "running"
    """its engine runs"""
    PAUSED = "paused"
    """by a person, for approval, or after faults; the reason says which; ``resume`` goes on"""
    STABLE = "stable"
    """done"""
    EXHAUSTED = "exhausted"
    """done as far as rules and budget allow; an edit and ``resume`` go on"""
    FAILED = "failed"
    """the configuration is refused, or the engine met what it does not understand"""
    STOPPED = "stopped"
    """taken out of the queue by a person"""


class Wanted(enum.Enum):
    """What a person wants of a campaign."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"
    CANCEL = "cancel"


LEAVES = {Wanted.PAUSE: JobState.PAUSED, Wanted.STOP: JobState.STOPPED}
"""Where a campaign stands once it has ended on request; a cancelled one leaves the queue."""


@dataclass(frozen=True)
class Process:
    """A process that a reused number cannot be mistaken for. started: clock ticks since boot."""

    pid: int
    started: int


@dataclass(frozen=True)
class Job:
    """One campaign in the queue.

    priority: higher ones start first;  cores, gpus: slots that it holds while it runs
    core_ids, gpu_ids: those it holds now;  process: its engine; ``None``: none runs
    faults: how often it ended in a fault since it last got further;  not_before: Unix time before
        which it is not tried again;  reached: how far it was when it was last started
    told: how much of its event log was looked at (bytes);  submitted_at: Unix time
    """

    name: str
    priority: int = 0
    cores: int = 1
    gpus: int = 0
    state: JobState = JobState.QUEUED
    wanted: Wanted = Wanted.RUN
    reason: str = ""
    process: Process | None = None
    core_ids: tuple[int, ...] = ()
    gpu_ids: tuple[str, ...] = ()
    faults: int = 0
    not_before: float = 0.0
    reached: str = ""
    approve: bool = False
    told: int = 0
    submitted_at: float = 0.0

"""What the ledger says, as records: stages, generations, evaluations, events."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sis_engine.records import Purpose


class StageState(enum.Enum):
    """How far an attempt at a stage is."""

    STARTED = "started"
    """running, or killed while it ran"""
    DONE = "done"
    """its result is at ``result_path``"""
    FAILED = "failed"
    """it ended with ``message``"""


@dataclass(frozen=True)
class StageRow:
    """One attempt at a stage. result_path: relative to the campaign folder."""

    generation: int
    stage: str
    attempt: int
    state: StageState
    result_path: str | None
    sha256: str | None
    seconds: float | None
    message: str
    started_at: str
    ended_at: str | None


@dataclass(frozen=True)
class GenerationRow:
    """A committed generation. file: relative to the campaign folder;  size: bytes."""

    number: int
    file: str
    sha256: str
    size: int
    parent_sha256: str | None
    digest: str
    committed_at: str


class Outcome(enum.Enum):
    """What one evaluation gave."""

    GOOD = "good"
    FAILED = "failed"
    CACHED = "cached"
    """taken from the bank: not paid for"""


@dataclass(frozen=True)
class EvaluationRow:
    """One reference calculation, or one that the bank saved.

    key: :func:`sis_engine.records.label_key`;  idx: place in its plan
    attempt: counts retries of the same frame, so that each is counted once
    reason: of a failure
    """

    key: str
    generation: int
    purpose: Purpose
    outcome: Outcome
    system: str
    plan: str
    idx: int
    seconds: float
    reason: str | None = None
    attempt: int = 0


@dataclass(frozen=True)
class PurposeCount:
    """Evaluations of one purpose. good + failed were paid for; cached were not."""

    purpose: Purpose
    good: int
    failed: int
    cached: int
    seconds: float

    @property
    def paid(self) -> int:
        return self.good + self.failed


@dataclass(frozen=True)
class EventRow:
    """Something a person may want to know. level: info, warning or error;  data: JSON text."""

    seq: int
    time: str
    level: str
    kind: str
    text: str
    data: str

"""What each stage hands to the next."""

from __future__ import annotations

from dataclasses import dataclass

from sis_engine.records.datasets import DatasetPart
from sis_engine.records.decisions import (
    AuditRequest,
    AuditResult,
    Exhausted,
    Life,
    Requests,
    Stable,
)
from sis_engine.records.labels import LabelFailure, Labelled
from sis_engine.records.md import Exploration, Triage, Verdict
from sis_engine.records.models import Admission, Errors, TrainingResult, TrainingSchedule
from sis_engine.records.requests import PlanOutcome
from sis_engine.records.support import Support


@dataclass(frozen=True, eq=False)
class RejectedFrame:
    """A label that the quality gate kept out of the data, with its reason."""

    item: Labelled
    reason: str
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, eq=False)
class LabelResult:
    """What LABEL made of all plans of a generation."""

    outcomes: tuple[PlanOutcome, ...]


@dataclass(frozen=True, eq=False)
class MergeResult:
    """Parts new in this generation, what the gate rejected, and the support of all data."""

    parts: tuple[DatasetPart, ...]
    rejected: tuple[RejectedFrame, ...]
    support: tuple[Support, ...]


@dataclass(frozen=True, eq=False)
class SuspectOutcome:
    """One evaluation that decided about a suspect.

    relative_error: force RMSE over RMS reference force;  energy_error_per_atom: eV/atom
    """

    verdict: Verdict
    outcome: Labelled | LabelFailure
    agreed: bool
    relative_error: float | None = None
    energy_error_per_atom: float | None = None


@dataclass(frozen=True, eq=False)
class ExploreResult:
    """One generation's MD, as judged. ``verdicts`` are catastrophes; ``lives`` the statistics."""

    explorations: tuple[Exploration, ...]
    verdicts: tuple[Verdict, ...]
    suspects: tuple[SuspectOutcome, ...]
    triages: tuple[Triage, ...]
    lives: tuple[Life, ...]
    support: tuple[Support, ...]


@dataclass(frozen=True, eq=False)
class AuditRound:
    """The labels of an audit and what they say. seconds: wall time until all had been made"""

    outcomes: tuple[PlanOutcome, ...]
    result: AuditResult
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class DecideResult:
    """The decision of a generation and the audits that led to it."""

    decision: Requests | AuditRequest | Stable | Exhausted
    audits: tuple[AuditRound, ...] = ()


@dataclass(frozen=True, eq=False)
class Challenger:
    """One attempt at a model: how it was trained, what came out, and whether it was admitted."""

    kind: str
    schedule: TrainingSchedule
    training: TrainingResult | None
    admission: Admission | None
    problem: str | None = None


@dataclass(frozen=True, eq=False)
class SeatResult:
    """What TRAIN and ADMIT came to for one seat of the committee that only watches."""

    seat: int
    challengers: tuple[Challenger, ...]

    @property
    def admitted(self) -> TrainingResult | None:
        return _admitted(self.challengers)


@dataclass(frozen=True, eq=False)
class ModelResult:
    """What TRAIN and ADMIT came to: the challengers in order; the last one admitted is used.

    seats: of the committee's other members, where there is one
    """

    challengers: tuple[Challenger, ...]
    seats: tuple[SeatResult, ...] = ()

    @property
    def admitted(self) -> TrainingResult | None:
        return _admitted(self.challengers)


def _admitted(challengers: tuple[Challenger, ...]) -> TrainingResult | None:
    if not challengers:  # no new data: the model stays
        return None
    last = challengers[-1]
    passed = last.admission is not None and last.admission.passed
    return last.training if passed else None


@dataclass(frozen=True, eq=False)
class TestResult:
    """Errors on the independent reference trajectory.

    judged: by the limits of the audit; ``None`` in files of older engines
    n_near: frames left out because the training has (nearly) the same one
    """

    __test__ = False

    errors: Errors
    per_system: tuple[tuple[str, Errors], ...] = ()
    judged: AuditResult | None = None
    n_near: int = 0

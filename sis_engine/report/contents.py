"""The shape of ``report.json``: one frozen record for each thing that is told in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sis_engine.records import Admission, Cause, Verdict
from sis_engine.report.citations import Citation
from sis_engine.report.facts import CampaignFacts
from sis_engine.report.structure import PairComparison
from sis_engine.report.summary import AuditSummary, CampaignSummary, ErrorSummary, Survival
from sis_engine.report.traces import NextStart
from sis_engine.report.why import Chapter

FORMAT = 1
"""Version of ``report.json``."""


@dataclass(frozen=True)
class ChallengerNumbers:
    """One training and what became of it. Errors: eV/Å and eV/atom."""

    kind: str
    steps: int
    start_lr: float
    stop_lr: float
    batch_size: int
    seconds: float | None
    model_id: str | None
    claimed_force_rmse: float | None
    claimed_energy_rmse_per_atom: float | None
    admitted: bool | None
    problem: str | None
    admission: Admission | None


@dataclass(frozen=True)
class RejectedNumbers:
    """One label the gate kept out."""

    system: str
    purpose: str
    plan: str
    index: int
    reason: str
    value: float | None
    limit: float | None


@dataclass(frozen=True)
class PlanNumbers:
    """What LABEL made of one request.

    n_without_charges: labels whose charges were asked for and could not be had
    """

    plan_id: str
    system: str
    purpose: str
    rung: str
    start_index: int | None
    n_evaluations: int
    n_labels: int
    n_cached: int
    n_failures: int
    n_without_charges: int
    failures: tuple[tuple[str, str], ...]
    message: str


@dataclass(frozen=True)
class SuspectNumbers:
    """One suspect and the evaluation that decided it."""

    verdict: Verdict
    agreed: bool
    relative_error: float | None
    energy_error_per_atom: float | None


@dataclass(frozen=True)
class TriageNumbers:
    """Where a catastrophe came from."""

    replica: str
    cause: Cause
    evidence: tuple[str, ...]
    mend: str | None


@dataclass(frozen=True)
class RequestNumbers:
    """One request for the next labels."""

    id: str
    system: str
    purpose: str
    reason: str
    n_starts: int
    n_steps: int | None
    timestep_fs: float | None


@dataclass(frozen=True)
class SurvivalNumbers:
    """Kaplan-Meier estimate of one generation, with its 95 % interval."""

    n: int
    n_died: int
    time_ps: tuple[float, ...]
    survival: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    median_ps: float | None


@dataclass(frozen=True)
class GenerationNumbers:
    """One committed generation in numbers."""

    generation: int
    training_frames: int
    validation_frames: int
    evaluations: Mapping[str, int]
    plans: tuple[PlanNumbers, ...]
    rejected: tuple[RejectedNumbers, ...]
    challengers: tuple[ChallengerNumbers, ...]
    errors: Mapping[str, ErrorSummary]
    lives: tuple[Survival, ...]
    survival: SurvivalNumbers | None
    md_ps: Mapping[str, float]
    verdicts: tuple[Verdict, ...]
    next_starts: tuple[NextStart, ...]
    triages: tuple[TriageNumbers, ...]
    suspects: tuple[SuspectNumbers, ...]
    audits: tuple[AuditSummary, ...]
    reference_ps: float | None
    window_k: tuple[float | None, float | None] | None
    decision: str
    decision_reason: str
    requests: tuple[RequestNumbers, ...]
    stage_seconds: Mapping[str, float]
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PoolNumbers:
    """What a pool of workers did over the campaign, as in :class:`PoolFacts`.

    mean_wait_s: of a task in the queue;  efficiency: part of the workers' time that labels took
    """

    pool: str
    tasks: int
    open: int
    lost: int
    labels: int
    mean_wait_s: float | None
    worker_s: float
    efficiency: float | None
    wasted_s: float
    losses: Mapping[str, int]


@dataclass(frozen=True)
class ReportNumbers:
    """``report.json``."""

    format: int
    summary: CampaignSummary
    facts: CampaignFacts
    generations: tuple[GenerationNumbers, ...]
    structure: tuple[PairComparison, ...]
    log: tuple[Chapter, ...]
    citations: tuple[Citation, ...]
    pools: tuple[PoolNumbers, ...] = ()

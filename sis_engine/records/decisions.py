"""Decisions of a sampler, audits, lives, and the history they rest on."""

from __future__ import annotations

from dataclasses import dataclass, field

from sis_engine.records.md import Verdict
from sis_engine.records.models import Errors
from sis_engine.records.requests import LabelPlan


@dataclass(frozen=True, eq=False)
class Requests:
    """Label these, then train again."""

    plans: tuple[LabelPlan, ...]
    reason: str


@dataclass(frozen=True, eq=False)
class AuditRequest:
    """Label these frames of the survivors, then decide again."""

    plans: tuple[LabelPlan, ...]
    reason: str


@dataclass(frozen=True)
class Stable:
    """The MD is stable, and right as far as the audit says."""

    reason: str


@dataclass(frozen=True)
class Exhausted:
    """No more can be done within the rules; the reason says why."""

    reason: str


Decision = Requests | AuditRequest | Stable | Exhausted


@dataclass(frozen=True)
class AuditResult:
    """Errors on frames of surviving MD, with one-sided bootstrap upper limits (over replicas).

    relative_upper: upper 95 % limit of force RMSE / RMS reference force
    element_upper: the same for each element, as (element, limit)
    energy_upper: upper 95 % limit of the energy RMSE, eV/atom
    n_failed: audit frames that got no label (any one fails the audit)
    """

    errors: Errors
    relative_upper: float
    element_upper: tuple[tuple[str, float], ...]
    energy_upper: float
    n_failed: int
    relative_limit: float
    energy_limit: float
    min_frames: int
    passed: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Life:
    """How long one replica lived: an entry of the survival statistics."""

    generation: int
    replica: str
    system: str
    condition: str
    seed: int
    time_ps: float
    censored: bool
    verdict: Verdict | None = None


@dataclass(frozen=True, eq=False)
class GenerationSummary:
    """What a sampler may know of one committed or current generation."""

    generation: int
    lives: tuple[Life, ...]
    model_id: str
    n_evaluations: int
    audit: AuditResult | None = None
    stage_seconds: tuple[tuple[str, float], ...] = field(default=())

"""The state of a campaign in one small record: ``sis status --json`` and the report's headline.

Only figures that are already in the records are read here, no arrays: it is cheap on any campaign.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sis_engine.records import (
    AuditResult,
    AuditRound,
    Errors,
    Life,
    TestResult,
)
from sis_engine.report.facts import CampaignFacts, TemperatureWindow
from sis_engine.report.jsonable import jsonable


class Outlines(Protocol):
    """What :func:`summarise` reads of a committed generation."""

    @property
    def generation(self) -> int: ...
    @property
    def lives(self) -> tuple[Life, ...]: ...
    @property
    def audits(self) -> tuple[AuditRound, ...]: ...
    @property
    def test(self) -> TestResult | None: ...


@dataclass(frozen=True)
class ElementSummary:
    """Force RMSE (eV/Å) of one element, and over its RMS reference force; ``n`` atoms."""

    force_rmse: float
    relative_force_rmse: float | None
    n: int


@dataclass(frozen=True)
class ErrorSummary:
    """Errors on one set of labelled frames. eV/Å and eV/atom; ``None``: not known.

    passed: the audit's judgement, ``None`` for sets that are not judged
    """

    generation: int
    force_rmse: float
    relative_force_rmse: float | None
    per_element: Mapping[str, ElementSummary]
    energy_rmse_per_atom: float
    force_p99: float
    n_frames: int
    passed: bool | None = None


@dataclass(frozen=True)
class AuditSummary(ErrorSummary):
    """An audit: errors, one-sided upper limits (bootstrap over replicas), and the bounds."""

    relative_upper: float | None = None
    energy_upper: float | None = None
    relative_limit: float | None = None
    energy_limit: float | None = None
    min_frames: int | None = None
    n_failed: int = 0
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TestSummary(AuditSummary):
    """The independent test trajectory, judged by the audit's limits.

    n_near: frames left out because the training has (nearly) the same one
    """

    __test__ = False

    n_near: int = 0


@dataclass(frozen=True)
class Survival:
    """One replica's life. verdict: what ended it, ``None`` if it lived to the end (censored)."""

    generation: int
    replica: str
    system: str
    condition: str
    time_ps: float
    censored: bool
    verdict: str | None
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class CampaignSummary:
    """Where a campaign stands and what it cost.

    evaluations: by purpose, kept or failed (what was paid for); cached ones apart
    cost: seconds by stage;  longest_life_ps: over all generations
    audit: the last of ``audits``, which are in the order they were made
    """

    name: str
    state: str
    generation: int
    stage: str | None
    reason: str
    windows: tuple[TemperatureWindow, ...]
    evaluations: Mapping[str, int]
    evaluations_total: int | None
    evaluations_failed: int | None
    evaluations_cached: int | None
    reference_ps: float | None
    md_ps: float | None
    acceleration_ratio: float | None
    acceleration_ratio_paper: float | None
    longest_life_ps: float | None
    survival: tuple[Survival, ...]
    audit: AuditSummary | None
    audits: tuple[AuditSummary, ...]
    test: TestSummary | None
    cost: Mapping[str, float]
    cost_total_s: float | None
    warnings: tuple[str, ...]


def summarise(records: Sequence[Outlines], facts: CampaignFacts) -> CampaignSummary:
    """The summary of committed generations and the ledger's facts.

    records: oldest first; may be empty
    """
    lives = [survival_of(life) for record in records for life in record.lives]
    audits = [_audit(record.generation, item) for record in records for item in record.audits]
    tests = [
        summary_of_test(record.generation, record.test)
        for record in records
        if record.test is not None
    ]
    counts = facts.evaluations
    known = bool(counts)
    return CampaignSummary(
        name=facts.name,
        state=facts.state.value,
        generation=facts.generation,
        stage=facts.stage,
        reason=facts.reason,
        windows=facts.windows,
        evaluations={item.purpose.value: item.paid for item in counts if item.paid},
        evaluations_total=sum(item.paid for item in counts) if known else None,
        evaluations_failed=sum(item.failed for item in counts) if known else None,
        evaluations_cached=sum(item.cached for item in counts) if known else None,
        reference_ps=facts.reference_ps,
        md_ps=facts.md_ps,
        acceleration_ratio=facts.acceleration_ratio,
        acceleration_ratio_paper=facts.acceleration_ratio_paper,
        longest_life_ps=max((life.time_ps for life in lives), default=None),
        survival=tuple(lives),
        audit=audits[-1] if audits else None,
        audits=tuple(audits),
        test=tests[-1] if tests else None,
        cost=dict(facts.stage_seconds),
        cost_total_s=sum(s for _, s in facts.stage_seconds) if facts.stage_seconds else None,
        warnings=facts.warnings,
    )


def summary_json(summary: CampaignSummary) -> dict[str, Any]:
    """The summary as JSON objects, under the keys that ``sis status --json`` promises."""
    converted: dict[str, Any] = jsonable(summary)
    return converted


def error_summary(generation: int, errors: Errors, *, passed: bool | None = None) -> ErrorSummary:
    """Errors of one set as the summary writes them."""
    return ErrorSummary(generation=generation, passed=passed, **_figures(errors))


def _figures(errors: Errors) -> dict[str, Any]:
    return {
        "force_rmse": errors.force_rmse,
        "relative_force_rmse": errors.relative_force_rmse,
        "per_element": {
            item.element: ElementSummary(item.force_rmse, item.relative, item.n)
            for item in errors.elements
        },
        "energy_rmse_per_atom": errors.energy_rmse_per_atom,
        "force_p99": errors.force_p99,
        "n_frames": errors.n_frames,
    }


def audit_summary(generation: int, result: AuditResult) -> AuditSummary:
    """One audit as the summary writes it."""
    return AuditSummary(generation, **_figures(result.errors), **_judgement(result))


def summary_of_test(generation: int, test: TestResult) -> TestSummary:
    """The test as the summary writes it; files of older engines hold no judgement."""
    judgement = {} if test.judged is None else _judgement(test.judged)
    return TestSummary(generation, **_figures(test.errors), **judgement, n_near=test.n_near)


def _judgement(result: AuditResult) -> dict[str, Any]:
    return {
        "passed": result.passed,
        "relative_upper": finite(result.relative_upper),
        "energy_upper": finite(result.energy_upper),
        "relative_limit": result.relative_limit,
        "energy_limit": result.energy_limit,
        "min_frames": result.min_frames,
        "n_failed": result.n_failed,
        "reasons": result.reasons,
        "notes": result.notes,
    }


def _audit(generation: int, item: AuditRound) -> AuditSummary:
    return audit_summary(generation, item.result)


def finite(value: float | None) -> float | None:
    """``None`` for what is missing or not a number."""
    return value if value is not None and math.isfinite(value) else None


def survival_of(life: Life) -> Survival:
    """One life as the summary writes it."""
    verdict = life.verdict
    return Survival(
        generation=life.generation,
        replica=life.replica,
        system=life.system,
        condition=life.condition,
        time_ps=life.time_ps,
        censored=life.censored,
        verdict=None if verdict is None else f"{verdict.monitor}: {verdict.criterion}",
        value=None if verdict is None else finite(verdict.value),
        limit=None if verdict is None else finite(verdict.limit),
    )

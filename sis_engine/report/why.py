"""The campaign as a log of decisions: what was seen, what was decided, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sis_engine.numerals import beside, figure
from sis_engine.records import (
    AuditRequest,
    Decision,
    Exhausted,
    LabelPlan,
    Requests,
    Stable,
)
from sis_engine.report.cost import evaluations_of
from sis_engine.report.facts import CampaignFacts
from sis_engine.report.wording import count, milli, percent, picoseconds, plural

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord


@dataclass(frozen=True)
class Chapter:
    """One generation of the log: its decision in a word, and lines in the order they happened."""

    generation: int
    decision: str
    reason: str
    lines: tuple[str, ...]


def decision_word(decision: Decision | None) -> str:
    """The decision as one word; ``None``: not decided yet."""
    if decision is None:
        return "undecided"
    words = {
        Requests: "label more",
        AuditRequest: "audit",
        Stable: "stable",
        Exhausted: "exhausted",
    }
    return words[type(decision)]


def chapters(records: Sequence[GenerationRecord], facts: CampaignFacts) -> tuple[Chapter, ...]:
    """One chapter for each committed generation."""
    return tuple(
        Chapter(
            record.generation,
            decision_word(record.decision),
            "" if record.decision is None else record.decision.reason,
            (
                *_labels(record, evaluations_of(facts, record.generation)),
                *_models(record),
                *_md(record),
                *_audits(record),
                *_plans(record),
            ),
        )
        for record in records
    )


def _labels(record: GenerationRecord, spent: Mapping[str, int]) -> list[str]:
    lines = []
    if spent:
        parts = ", ".join(f"{count(n)} {name}" for name, n in spent.items())
        lines.append(f"Spent {plural(sum(spent.values()), 'evaluation')}: {parts}.")
    if record.rejected:
        lines.append(f"The quality gate rejected {plural(len(record.rejected), 'label')}.")
    lines += [f"Request {item.plan_id}: {item.message}" for item in record.outcomes if item.message]
    return lines


def _models(record: GenerationRecord) -> list[str]:
    lines = []
    for item in record.challengers:
        verdict = item.admission
        if verdict is not None and verdict.passed:
            lines.append(
                f"Model {verdict.model_id} ({item.kind}) was admitted: training force RMSE "
                f"{figure(verdict.training.force_rmse)} eV/Å."
            )
            continue
        reasons = list(verdict.reasons) if verdict is not None else []
        why = "; ".join([*([item.problem] if item.problem else []), *reasons]) or "no reason given"
        lines.append(f"The challenger “{item.kind}” was refused: {why}.")
    if record.challengers and not any(_passed(item.admission) for item in record.challengers):
        lines.append("No challenger was admitted; nothing was explored with them.")
    return lines


def _passed(admission: object) -> bool:
    return bool(getattr(admission, "passed", False))


def _md(record: GenerationRecord) -> list[str]:
    lines = []
    if record.lives:
        died = [life for life in record.lives if not life.censored]
        best = max(life.time_ps for life in record.lives)
        lines.append(
            f"{plural(len(record.lives), 'replica')} ran; {len(died)} died; longest life "
            f"{picoseconds(best)}."
        )
        if died:
            first = min(died, key=lambda life: life.time_ps)
            if first.verdict is not None:
                lines.append(
                    f"First catastrophe at {picoseconds(first.time_ps)} ({first.replica}): "
                    f"{first.verdict.monitor}, {first.verdict.criterion}, value "
                    f"{', limit '.join(beside(first.verdict.value, first.verdict.limit))}."
                )
    agreed = sum(item.agreed for item in record.suspects)
    if record.suspects:
        lines.append(
            f"{plural(len(record.suspects), 'suspect')}: the reference agreed with {agreed}."
        )
    lines += [
        f"Triage of {item.replica}: {item.cause.value}. {'; '.join(item.evidence)}"
        for item in record.triages
    ]
    return lines


def _audits(record: GenerationRecord) -> list[str]:
    lines = []
    for item in record.audits:
        result = item.result
        head = "passed" if result.passed else "failed"
        lines.append(
            f"Audit {head} on {plural(result.errors.n_frames, 'frame')}: relative force RMSE "
            f"{percent(result.errors.relative_force_rmse)}, upper limit "
            f"{percent(result.relative_upper)} (bound {percent(result.relative_limit)}); "
            f"energy RMSE {milli(result.errors.energy_rmse_per_atom)} meV/atom (bound "
            f"{milli(result.energy_limit)})."
        )
        lines += [f"Audit: {text}" for text in (*result.reasons, *result.notes)]
    return lines


def _plans(record: GenerationRecord) -> list[str]:
    if not isinstance(record.decision, Requests | AuditRequest):
        return []
    return [_plan(plan) for plan in record.decision.plans]


def _plan(plan: LabelPlan) -> str:
    if plan.segment is None:
        work = plural(len(plan.starts), "single point")
    else:
        length = plan.segment.n_steps * plan.segment.timestep_fs / 1000.0
        work = f"a segment of {plan.segment.n_steps} steps ({picoseconds(length)})"
        work += f" from one of {plural(len(plan.starts), 'start')}"
    reason = f": {plan.reason}" if plan.reason else ""
    return f"Requested {plan.id} ({plan.system}, {plan.purpose.value}): {work}{reason}"


__all__ = ["Chapter", "chapters", "decision_word"]

"""``sis why``: where a generation, its model, or a frame came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sis_engine.commands.status import open_ledger
from sis_engine.errors import ConfigurationError
from sis_engine.numerals import beside
from sis_engine.records import LabelFailure, Labelled, LabelPlan, PlanOutcome, Requests, Verdict
from sis_engine.storage.generation import GenerationRecord, GenerationStore

FIELDS = frozenset(
    {
        "number",
        "plans",
        "outcomes",
        "test_outcomes",
        "rejected",
        "parts",
        "challengers",
        "model",
        "lives",
        "verdicts",
        "triages",
        "suspects",
        "audits",
        "decision",
    }
)


@dataclass(frozen=True)
class Lineage:
    """What was asked about, and the steps that led to it, oldest last."""

    title: str
    steps: tuple[str, ...]


def lineage(folder: Path, what: str) -> Lineage:
    """The lineage of a generation (its number) or of a frame (the start of its or its label's key).

    Raises ConfigurationError when nothing of that name is known.
    """
    with open_ledger(folder) as ledger:
        records = tuple(GenerationStore(folder, ledger).load_all(only=FIELDS))
    if what.isdecimal() and int(what) < 10_000:
        return _of_generation(records, int(what))
    for record in records:
        for item in _items(record):
            if item.key.startswith(what) or item.frame.key.startswith(what):
                return _of_frame(records, record, item)
    raise ConfigurationError(
        f"nothing committed is called {what!r}",
        allowed=f"a generation, 0 … {len(records) - 1}, or the start of a frame's or label's key",
        hint="`sis export FOLDER frames.extxyz --format extxyz` writes each frame with its key",
    )


def _ending(verdict: Verdict) -> str:
    value, limit = beside(verdict.value, verdict.limit)
    return (
        f"{verdict.replica} ended at {verdict.time_fs:g} fs: {verdict.monitor}, "
        f"{verdict.criterion}, value {value}, limit {limit}"
    )


def _of_generation(records: tuple[GenerationRecord, ...], number: int) -> Lineage:
    if number >= len(records):
        raise ConfigurationError(
            f"generation {number} is not committed", allowed=f"0 … {len(records) - 1}"
        )
    record = records[number]
    steps = [f"decision: {_reason(record)}"]
    steps += [f"audit: {'passed' if a.result.passed else 'failed'}" for a in record.audits]
    steps += [_ending(item) for item in record.verdicts]
    steps += [
        f"{item.replica}: triage says {item.cause.value}: {'; '.join(item.evidence)}"
        for item in record.triages
    ]
    steps += [f"model {record.model_id}: {_training(record)}"]
    steps += [
        f"data {part.name}: {part.frames.n_frames} {part.split.value} frames"
        for part in record.parts
    ]
    steps += [_plan(plan, record) for plan in record.plans]
    if number > 0:
        steps.append(f"asked for by generation {number - 1}: {_reason(records[number - 1])}")
    return Lineage(f"generation {number}", tuple(steps))


def _training(record: GenerationRecord) -> str:
    if not record.challengers:
        return "kept from before, there was no new data"
    told = []
    for item in record.challengers:
        admitted = item.admission is not None and item.admission.passed
        schedule = item.schedule
        told.append(
            f"{item.kind}, {schedule.steps} steps from learning rate {schedule.start_lr:g}, "
            f"{'admitted' if admitted else 'refused'}"
        )
    return "; ".join(told)


def _reason(record: GenerationRecord) -> str:
    return "none" if record.decision is None else record.decision.reason


def _plan(plan: LabelPlan, record: GenerationRecord) -> str:
    outcome = next((item for item in record.outcomes if item.plan_id == plan.id), None)
    held = (
        "not walked"
        if outcome is None
        else (
            f"{outcome.rung.value}, {len(outcome.labelled)} labels, "
            f"{outcome.n_evaluations} evaluations"
        )
    )
    return f"plan {plan.id} ({plan.purpose.value}): {held}. {plan.reason}"


def _of_frame(
    records: tuple[GenerationRecord, ...], record: GenerationRecord, item: Labelled | LabelFailure
) -> Lineage:
    origin = item.origin
    steps = [
        f"frame {item.frame.key[:16]}…, label {item.key[:16]}…",
        f"level of theory: {item.level.method} by {item.level.program} "
        f"({item.level.fingerprint[:12]}…)",
        f"paid for as {origin.purpose.value} in generation {origin.generation}, "
        f"plan {origin.plan}, number {origin.index}"
        + ("" if origin.time_fs is None else f", at {origin.time_fs:g} fs"),
        _fate(record, item),
        *_charges_of(item),
        *(f"the solver was helped: {change}" for change in item.handlers),
    ]
    plan = _find_plan(records, origin.plan)
    if plan is not None:
        steps.append(f"asked for because: {plan.reason}")
    return Lineage(f"{origin.system}: {item.frame.n_atoms} atoms", tuple(steps))


def _charges_of(item: Labelled | LabelFailure) -> Iterator[str]:
    """Charges of another level of theory than the energy's, or that there are none."""
    if isinstance(item, Labelled) and item.charges_level is not None:
        level = item.charges_level
        had = "charges" if item.label.charges is not None else "no charges could be had"
        yield f"{had}: {level.method} by {level.program} ({level.fingerprint[:12]}…)"


def _fate(record: GenerationRecord, item: Labelled | LabelFailure) -> str:
    if isinstance(item, LabelFailure):
        return f"got no label: {item.reason.value}: {item.message}"
    for rejected in record.rejected:
        if rejected.item.key == item.key:
            return f"kept out of the data by the gate: {rejected.reason}"
    return f"label: {item.label.energy:.6f} eV"


def _find_plan(records: tuple[GenerationRecord, ...], name: str) -> LabelPlan | None:
    for record in records:
        asked = record.decision.plans if isinstance(record.decision, Requests) else ()
        for plan in (*record.plans, *asked):
            if plan.id == name:
                return plan
    return None


def _items(record: GenerationRecord) -> Iterator[Labelled | LabelFailure]:
    audits = [outcome for audit in record.audits for outcome in audit.outcomes]
    outcomes: list[PlanOutcome] = [*record.outcomes, *record.test_outcomes, *audits]
    for outcome in outcomes:
        yield from outcome.labelled
        yield from outcome.failures
    for suspect in record.suspects:
        yield suspect.outcome

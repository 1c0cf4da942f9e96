"""Tables on labels: what became of each request, failures, and what the gate rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sis_engine.numerals import NOTHING, beside
from sis_engine.records import PlanOutcome
from sis_engine.report.blocks import Table, columns
from sis_engine.report.outcomes import all_outcomes
from sis_engine.report.wording import count, plural

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord

MOST_ROWS = 200


def plan_table(records: Sequence[GenerationRecord]) -> Table:
    """Every label request and the rung that held."""
    rows = [
        (
            str(record.generation),
            item.plan_id,
            item.system,
            item.purpose.value,
            item.rung.value.replace("_", " "),
            NOTHING if item.start_index is None else str(item.start_index),
            count(item.n_evaluations),
            count(len(item.labelled)),
            count(sum(label.cached for label in item.labelled)),
            count(len(item.failures)),
            item.message or NOTHING,
        )
        for record, item in _outcomes(records)
    ]
    return Table(
        "plan-table",
        "Label requests",
        "A request is a plan: starts in order of preference, bounds, optimisation, segment. The "
        "rung says which step held; start 0 is the preferred one.",
        columns(
            "generation",
            "request",
            "system",
            "purpose",
            "rung",
            "#start",
            "#evaluations",
            "#labels",
            "#from the bank",
            "#failed",
            "remark",
        ),
        tuple(rows),
        note="Nothing has been labelled yet.",
        newest_first=True,
    )


def _outcomes(
    records: Sequence[GenerationRecord],
) -> list[tuple[GenerationRecord, PlanOutcome]]:
    return [(record, item) for record in reversed(records) for item in all_outcomes(record)]


def failure_table(records: Sequence[GenerationRecord]) -> Table:
    """Reference calculations that gave no label, by reason and message."""
    found: Counter[tuple[str, ...]] = Counter()
    for record, outcome in _outcomes(records):
        for item in outcome.failures:
            where = NOTHING if item.directory is None else str(item.directory)
            purpose = item.origin.purpose.value
            key = (str(record.generation), purpose, item.reason.value, item.message, where)
            found[key] += 1
    rows = [(*key, count(number)) for key, number in found.items()]
    return Table(
        "failure-table",
        "Failed reference calculations",
        f"{plural(sum(found.values()), 'evaluation')} gave no usable label; never trained on. "
        "Audit and test frames that fail count against the model.",
        columns("generation", "purpose", "reason", "message", "files", "#evaluations"),
        tuple(rows[:MOST_ROWS]),
        note="Every reference calculation gave a label.",
        newest_first=True,
    )


def rejected_table(records: Sequence[GenerationRecord]) -> Table:
    """Labels that the quality gate kept out of the data."""
    rows = [
        (
            str(record.generation),
            item.item.origin.system,
            item.item.origin.purpose.value,
            item.item.origin.plan,
            str(item.item.origin.index),
            item.reason,
            *beside(item.value, item.limit),
        )
        for record in reversed(records)
        for item in record.rejected
    ]
    shown = "" if len(rows) <= MOST_ROWS else f" The first {MOST_ROWS} are shown; all are in JSON."
    return Table(
        "rejected-table",
        "Rejected labels",
        f"{plural(len(rows), 'label')} kept out of the data by the quality gate, with the value "
        f"seen and its limit.{shown}",
        columns(
            "generation", "system", "purpose", "request", "#index", "reason", "#value", "#limit"
        ),
        tuple(rows[:MOST_ROWS]),
        note="The quality gate rejected no label.",
        newest_first=True,
    )

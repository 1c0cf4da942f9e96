"""The price of label plans, for the person who pays: evaluations, and seconds by experience."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from sis_engine.labelling.costs import IsKnown, evaluations_of
from sis_engine.records import LabelPlan
from sis_engine.storage.ledger import Ledger, Outcome


@dataclass(frozen=True)
class PlanQuote:
    """One label request. seconds: at the least cost; ``None`` where no label was timed yet."""

    plan: str
    purpose: str
    least: int
    most: int
    seconds: float | None


def priced(
    plans: Iterable[LabelPlan], is_known: IsKnown, per_label_s: float | None
) -> tuple[PlanQuote, ...]:
    """A quote for each plan; labels that the bank knows cost nothing."""
    found = []
    for plan in plans:
        least, most = evaluations_of(plan, is_known)
        seconds = None if per_label_s is None else least * per_label_s
        found.append(PlanQuote(plan.id, plan.purpose.value, least, most, seconds))
    return tuple(found)


def seconds_per_label(ledger: Ledger) -> float | None:
    """Median time of the labels paid for so far."""
    times = [row.seconds for row in ledger.evaluations() if row.outcome is Outcome.GOOD]
    return statistics.median(times) if times else None


def in_words(quotes: Iterable[PlanQuote]) -> str:
    """'400 to 458 evaluations (segment 400 to 458), at least 96 s'"""
    quotes = tuple(quotes)
    by_purpose: dict[str, list[PlanQuote]] = {}
    for item in quotes:
        by_purpose.setdefault(item.purpose, []).append(item)
    each = ", ".join(f"{name} {_span(items)}" for name, items in by_purpose.items())
    times = [item.seconds for item in quotes if item.seconds is not None]
    seconds = f", about {sum(times):.0f} s at least" if times else ""
    return f"{_span(quotes)} evaluations ({each}){seconds}"


def _span(quotes: Iterable[PlanQuote]) -> str:
    quotes = tuple(quotes)
    least, most = sum(item.least for item in quotes), sum(item.most for item in quotes)
    return str(least) if least == most else f"{least} to {most}"

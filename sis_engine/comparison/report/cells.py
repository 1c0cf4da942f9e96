"""Cells of the comparison's tables: a value with its interval, its marks, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sis_engine.analysis.clustered import Interval
from sis_engine.comparison.metrics import Metric, floor_in, rdf_floor, unit_in
from sis_engine.comparison.outcomes import CaseOutcome
from sis_engine.comparison.results import ExamResult
from sis_engine.numerals import NOTHING, figure
from sis_engine.report.blocks import Table
from sis_engine.report.wording import percent

ALIKE, POINTS, BELOW = "†", "‡", "§"

FLOOR = (
    "RDF error: integral of the absolute difference from the reference over r, in Å for g(r), "
    "without a unit (0 to 2) for densities of distances; its floor: the same between the two "
    "halves of the reference."
)

MARKS = {
    ALIKE: "all runs alike: no interval from them",
    POINTS: "labels single points, which are no reference MD: the paper’s form leaves them out and "
    "flatters this arm beside those that label segments; AR counts every evaluation",
    BELOW: "not above the floor: cannot be told from no error",
}


def spread(found: Interval | None, digits: int = 3) -> str:
    """``0.25 [0.21, 0.30]``; the value alone where there is no interval, with why if known."""
    if found is None:
        return NOTHING
    value = figure(found.value, digits)
    if found.lower is None or found.upper is None:
        return value + ALIKE * found.alike
    return f"{value} [{figure(found.lower, digits)}, {figure(found.upper, digits)}]"


def above(value: float | None, floor: float | None, shown: str) -> str:
    """``shown``, marked where the value does not exceed its floor."""
    return shown + BELOW * (value is not None and floor is not None and value <= floor)


def measured(case: CaseOutcome, metric: Metric, found: Interval | None) -> str:
    """A metric's mean with its interval, marked where it does not exceed its floor."""
    value = None if found is None else found.value
    return above(value, floor_in(metric, case.last_exams), spread(found))


def footed(table: Table) -> Table:
    """With a footnote in the caption for each mark that is used."""
    cells = [cell for row in table.rows for cell in row]
    notes = [f" {mark} {text}." for mark, text in MARKS.items() if any(mark in c for c in cells)]
    return replace(table, caption=table.caption + "".join(notes))


def titled(metric: Metric, case: CaseOutcome) -> str:
    """A metric's title with its unit."""
    unit = unit_in(metric, case.last_exams)
    return metric.title + (f" / {unit}" if unit not in {"", "share"} else "")


def rdf_cells(exam: ExamResult | None) -> tuple[str, str]:
    """RDF error and its floor."""
    if exam is None:
        return NOTHING, NOTHING
    floor = rdf_floor(exam)
    return above(exam.rdf_error, floor, figure(exam.rdf_error)), figure(floor)


def lives(times_ps: Sequence[float], censored: Sequence[bool]) -> str:
    """``0.4, 1.25+``; where it is not known which lived on, the times alone."""
    known = censored or [False] * len(times_ps)
    told = [figure(t) + "+" * on for t, on in zip(times_ps, known, strict=True)]
    return ", ".join(told) or NOTHING


def breaks(broken: Sequence[tuple[str, float]]) -> str:
    """``C-O 100 %, C-H 25 %``: kinds of bonds in the order in which they broke."""
    return ", ".join(f"{kind} {percent(share)}" for kind, share in broken) or "none"

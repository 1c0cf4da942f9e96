"""Figures of an examination, and their means over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sis_engine.analysis.clustered import Interval, bootstrap_interval, share_interval
from sis_engine.comparison.results import ExamResult


def species_error(exam: ExamResult) -> float | None:
    """Molecules by which the mean numbers differ, over all systems."""
    return sum(item.error for item in exam.species) if exam.species else None


def order_agreement(exam: ExamResult) -> float | None:
    """Mean over the systems in which there is an order to compare."""
    known = [s.order_agreement for s in exam.species if s.order_agreement is not None]
    return float(np.mean(known)) if known else None


def rdf_floor(exam: ExamResult) -> float | None:
    """What :attr:`ExamResult.rdf_error` is between the halves of the reference."""
    return float(np.mean([pair.floor for pair in exam.pairs])) if exam.pairs else None


@dataclass(frozen=True)
class Metric:
    """A figure of an examination. share: it is yes or no, so that exact limits can be given

    positive: never negative, so that its interval is worked out on the logarithm
    within: what it can be at all
    floor: less than this cannot be told from none;  ``None``: any difference counts
    """

    name: str
    title: str
    unit: str
    of: Callable[[ExamResult], float | None]
    share: bool = False
    positive: bool = False
    within: tuple[float, float] = (-math.inf, math.inf)
    floor: Callable[[ExamResult], float | None] | None = None


RDF_ERROR = Metric(
    "rdf_error", "RDF error", "Å", lambda e: e.rdf_error, positive=True, floor=rdf_floor
)

METRICS = (
    Metric("survival_ps", "mean life", "ps", lambda e: e.survival_ps, within=(0.0, math.inf)),
    Metric("survived", "replicas that lived on", "share", lambda e: e.survived, within=(0.0, 1.0)),
    Metric(
        "force_rmse", "force RMSE, reference", "eV/Å", lambda e: e.test.force_rmse, positive=True
    ),
    Metric(
        "relative", "relative force RMSE, reference", "", lambda e: e.test.relative, positive=True
    ),
    Metric(
        "md_relative",
        "relative force RMSE, survivors",
        "",
        lambda e: None if e.audit is None else e.audit.relative,
        positive=True,
    ),
    RDF_ERROR,
    Metric("species_error", "molecules that differ", "", species_error, within=(0.0, math.inf)),
    Metric(
        "order_agreement",
        "order of bond breaking",
        "Kendall τ",
        order_agreement,
        within=(-1.0, 1.0),
    ),
    Metric("passed", "passed the examiner", "share", lambda e: float(e.passed), share=True),
    Metric(
        "lives_but_wrong",
        "survives but is wrong",
        "share",
        lambda e: float(e.stable and not e.right),
        share=True,
    ),
)


def metric_interval(metric: Metric, exams: Sequence[ExamResult | None]) -> Interval | None:
    """Mean over the seeds that have the figure.

    A share that is nought or one in every seed has no spread to resample: its limits are those of
    the share of seeds in which it is so.
    """
    values = known([None if exam is None else metric.of(exam) for exam in exams])
    if metric.share or (metric.unit == "share" and set(values) in ({0.0}, {1.0})):
        return share_interval(int(sum(values)), len(values))
    return mean_interval(values, positive=metric.positive, within=metric.within)


def unit_in(metric: Metric, exams: Sequence[ExamResult]) -> str:
    """Of a metric in these: errors of g(r) are lengths, of densities of distances bare numbers."""
    densities = any(not pair.kind.startswith("g(r)") for exam in exams for pair in exam.pairs)
    return "" if metric.floor is not None and densities else metric.unit


def floor_in(metric: Metric, exams: Sequence[ExamResult]) -> float | None:
    """Mean floor of a metric; ``None`` where it has none."""
    if metric.floor is None:
        return None
    values = known([metric.floor(exam) for exam in exams])
    return float(np.mean(values)) if values else None


def mean_interval(
    values: Sequence[float],
    *,
    positive: bool = False,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Interval | None:
    """The mean over seeds; ``None`` of nothing."""
    if not values:
        return None
    return bootstrap_interval(
        values, lambda drawn: float(np.mean(drawn)), positive=positive, within=within
    )


def known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]

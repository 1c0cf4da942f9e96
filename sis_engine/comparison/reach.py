"""Evaluations until an event, over seeds, with runs that never met it censored and not dropped.

A run stopped by its budget of evaluations or of wall time is censored at what it had paid: that it
stopped there says nothing of how far it was. One that used up its generations had its chance and
did not get there, and one that ended by its own word (falsely stable, given up, no model admitted)
will never pass: both stay at risk until the horizon, as competing events do (Fine and Gray, J. Am.
Stat. Assoc. 94, 496 (1999)). Censored where they stopped, arms that are cheap a generation would
look better for failing early.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sis_engine.analysis.clustered import Interval, bootstrap_interval
from sis_engine.analysis.survival import KaplanMeier, kaplan_meier, restricted_mean
from sis_engine.comparison.results import RunResult

Timed = tuple[float, bool]
"""Evaluations, and whether the run is censored there."""


@dataclass(frozen=True, eq=False)
class Reach:
    """Evaluations until an event, over seeds. horizon: where all that never met it are censored

    times, censored: of each run
    restricted_mean: of min(evaluations, horizon); ``None``: no run met it, all that is known is
        that it takes more than they paid
    """

    times: tuple[float, ...]
    censored: tuple[bool, ...]
    horizon: float
    curve: KaplanMeier
    restricted_mean: Interval | None

    @property
    def n_reached(self) -> int:
        return sum(not item for item in self.censored)


def stable_and_passed(run: RunResult) -> float | None:
    return float(run.evaluations) if run.reached and run.passed else None


def first_passed(run: RunResult) -> float | None:
    return next((float(exam.evaluations) for exam in run.exams if exam.passed), None)


def reach_of(
    runs: Sequence[RunResult], horizon: float, event: Callable[[RunResult], float | None]
) -> Reach:
    met = [event(item) for item in runs]
    times = [
        value if value is not None else _censoring(run, horizon)
        for value, run in zip(met, runs, strict=True)
    ]
    censored = [value is None for value in met]
    pairs = list(zip(times, censored, strict=True))
    return Reach(
        times=tuple(times),
        censored=tuple(censored),
        horizon=horizon,
        curve=kaplan_meier(times, censored),
        restricted_mean=None
        if all(censored)
        else bootstrap_interval(pairs, restricted(horizon), positive=True, within=(0.0, horizon)),
    )


def _censoring(run: RunResult, horizon: float) -> float:
    """Stopped by evaluations or wall time: what it had paid. Ended otherwise: never to pass."""
    return float(run.evaluations) if run.limit in ("evaluations", "wall_hours") else horizon


def restricted(
    horizon: float,
) -> Callable[[Sequence[Timed]], float | None]:
    def of(pairs: Sequence[Timed]) -> float | None:
        return restricted_mean([t for t, _ in pairs], [c for _, c in pairs], horizon)

    return of

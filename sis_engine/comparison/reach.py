"""Evaluations until an event, over seeds, with runs that never met it censored and not dropped.

A run stopped by its budget of evaluations or of wall time is censored at what it had paid: that it
stopped there says nothing of how far it was. One that used up its generations had its chance and
did not get there, and one that ended by its own word (falsely stable, given up, no model admitted)
will never pass: both stay at risk until the horizon, as competing events do (Fine and Gray, J. Am.
Stat. Assoc. 94, 496 (1999)). Censored where they stopped, arms that are cheap a generation would
look better for failing early.

An interval of such a mean has to know how little n runs say of the share that arrives: where all of
them did, resampling them shows no failure at all, and covers the truth in a fifth to a half of
trials (five seeds, nine of ten arriving). So the share is drawn from Jeffreys' posterior (Brown,
Cai and DasGupta, Stat. Sci. 16, 101 (2001)), the costs of those that arrived are resampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sis_engine.analysis.clustered import LEAST_UNITS, Interval, widening
from sis_engine.analysis.survival import KaplanMeier, kaplan_meier, restricted_mean
from sis_engine.comparison.results import RunResult
from sis_engine.records import FloatArray

N_DRAWS = 4000
_TAILS = (0.025, 0.975)

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
        restricted_mean=None if all(censored) else mean_interval_of(pairs, horizon),
    )


def _censoring(run: RunResult, horizon: float) -> float:
    """Stopped by evaluations or wall time: what it had paid. Ended otherwise: never to pass."""
    return float(run.evaluations) if run.limit in ("evaluations", "wall_hours") else horizon


# --------------------------------------------------------------------------- intervals


def mean_interval_of(pairs: Sequence[Timed], horizon: float) -> Interval:
    """The restricted mean of runs of which some arrived, with its 95 % interval."""
    value, n = _restricted(pairs, horizon), len(pairs)
    if n < LEAST_UNITS or len(set(pairs)) == 1:
        return Interval(value, None, None, n, alike=n >= LEAST_UNITS)
    return _limits(value, _drawn_means([pairs], horizon)[0], n)


def mean_ratio(above: Sequence[Timed], below: Sequence[Timed], horizon: float) -> Interval | None:
    """Restricted mean over restricted mean; runs in one place share their seed and are drawn
    together. ``None`` where one arm never arrived.
    """
    if not above or all(c for _, c in above) or all(c for _, c in below):
        return None
    value, n = _restricted(above, horizon) / _restricted(below, horizon), len(above)
    alike = list(above) == list(below) or len(set(above)) == len(set(below)) == 1
    if n < LEAST_UNITS or alike:
        return Interval(value, None, None, n, alike=n >= LEAST_UNITS)
    first, second = _drawn_means([above, below], horizon)
    return _limits(value, first / second, n)


def price(runs: Sequence[RunResult]) -> Interval | None:
    """Evaluations of all runs over the number that ended stable and passed: what one that does
    costs where campaigns are repeated until one does. It knows no horizon. ``None``: no run did.
    """
    paid = np.array([float(run.evaluations) for run in runs])
    n, n_passed = len(runs), sum(run.reached and run.passed for run in runs)
    if not n_passed:
        return None
    value = float(paid.sum()) / n_passed
    if n < LEAST_UNITS:
        return Interval(value, None, None, n)
    random = np.random.default_rng(0)
    means = paid[random.integers(0, n, size=(N_DRAWS, n))].mean(axis=1)
    drawn = _widened(means, float(paid.mean()), n) / _drawn_shares(n_passed, n, random)
    return _limits(value, drawn, n)


def _restricted(pairs: Sequence[Timed], horizon: float) -> float:
    found = restricted_mean([t for t, _ in pairs], [c for _, c in pairs], horizon)
    if found is None:
        raise ValueError("no run to take a mean of")
    return found


def _drawn_means(arms: Sequence[Sequence[Timed]], horizon: float) -> list[FloatArray]:
    """(N_DRAWS,) restricted means of each arm, the same runs drawn of all."""
    random, n = np.random.default_rng(0), len(arms[0])
    rows = random.integers(0, n, size=(N_DRAWS, n))
    found = []
    for pairs in arms:
        times = np.array([time for time, _ in pairs])
        arrived = np.array([not censored for _, censored in pairs])
        centre, some = float(times[arrived].mean()), arrived[rows].sum(axis=1)
        sums = np.where(arrived, times, 0.0)[rows].sum(axis=1)
        means = np.where(some > 0, sums / np.maximum(some, 1), centre)
        costs = np.minimum(_widened(means, centre, int(arrived.sum())), horizon)
        shares = _drawn_shares(int(arrived.sum()), n, random)
        found.append(shares * costs + (1.0 - shares) * horizon)
    return found


def _drawn_shares(n_true: int, n: int, random: np.random.Generator) -> FloatArray:
    return random.beta(n_true + 0.5, n - n_true + 0.5, size=N_DRAWS)


def _widened(means: FloatArray, centre: float, n: int) -> FloatArray:
    """Resampled means of few values lie too close together: on the logarithm, moved apart."""
    factor = widening(n, _TAILS[0]) if n > 1 else 1.0
    return np.asarray(centre * (means / centre) ** factor, dtype=np.float64)


def _limits(value: float, drawn: FloatArray, n: int) -> Interval:
    lower, upper = np.quantile(drawn, _TAILS)
    return Interval(value, min(float(lower), value), max(float(upper), value), n)

"""Statistics whose independent units are seeds: replicas of one seed share data and model.

Treating every replica as independent makes intervals too narrow and finds differences that are not
there; here whole seeds are resampled, and the log-rank test deals out whole seeds anew.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sis_engine.records import FloatArray

Unit = TypeVar("Unit")

LEAST_UNITS = 3


@dataclass(frozen=True)
class Interval:
    """A value with its two-sided limits; ``None`` where ``n`` units cannot give limits.

    alike: there are units enough, but resampling them gives one value: nothing is known of how
        others would differ, which is not the same as certainty
    """

    value: float
    lower: float | None
    upper: float | None
    n: int
    alike: bool = False


def bootstrap_interval(
    units: Sequence[Unit],
    statistic: Callable[[Sequence[Unit]], float | None],
    *,
    seed: int = 0,
    confidence: float = 0.95,
    n_bootstrap: int = 1000,
    positive: bool = False,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Interval | None:
    """A statistic of whole units with a percentile interval, widened for few of them.

    statistic: of any resample of the units; ``None`` where it is not defined
    positive: the statistic is (ratios, errors), and its interval is worked out on its logarithm
    within: what the statistic can be at all: limits beyond are cut there

    The percentile bootstrap is too narrow for few clusters (Cameron, Gelbach, Miller, Rev. Econ.
    Stat. 90, 414 (2008)): its distances from the value are multiplied by sqrt(G/(G-1)) and by the
    ratio of Student's to the normal quantile at G-1 degrees of freedom: 1.58 for five seeds. Two
    units give no interval (it would be 9 times as wide as their distance), and neither do units
    that are all alike.
    ``None`` where the statistic of the units themselves is not defined.
    """
    value = statistic(units)
    n = len(units)
    if value is None or not math.isfinite(value):
        return None
    if n < LEAST_UNITS or (positive and value <= 0.0):
        return Interval(value, None, None, n)
    random = np.random.default_rng(seed)
    found = []
    for _ in range(n_bootstrap):
        drawn = statistic([units[int(k)] for k in random.integers(0, n, size=n)])
        if drawn is not None and math.isfinite(drawn) and not (positive and drawn <= 0.0):
            found.append(drawn)
    if len(found) < n_bootstrap // 2:  # defined too rarely to say how it is spread
        return Interval(value, None, None, n)
    if math.isclose(min(found), max(found), rel_tol=1e-9):
        return Interval(value, None, None, n, alike=True)
    draws = np.log(found) if positive else np.asarray(found)
    centre = math.log(value) if positive else value
    tail = 0.5 * (1.0 - confidence)
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    wider = widening(n, tail)
    ends = (
        min(centre, centre - (centre - low) * wider),
        max(centre, centre + (high - centre) * wider),
    )
    lower, upper = (math.exp(min(end, 700.0)) if positive else float(end) for end in ends)
    return Interval(value, max(lower, within[0]), min(upper, within[1]), n)


def widening(n: int, tail: float) -> float:
    """By how much distances of resampled means of ``n`` units are too small, at this tail."""
    from scipy.stats import norm, t

    return math.sqrt(n / (n - 1.0)) * float(t.isf(tail, n - 1) / norm.isf(tail))


def share_interval(n_true: int, n: int, confidence: float = 0.95) -> Interval | None:
    """A share with Clopper and Pearson's (1934) exact limits; ``None`` of nothing."""
    if not 0 <= n_true <= n:
        raise ValueError(f"{n_true} of {n}")
    if n == 0:
        return None
    tail = 0.5 * (1.0 - confidence)
    from scipy.stats import beta

    lower = 0.0 if n_true == 0 else float(beta.ppf(tail, n_true, n - n_true + 1))
    upper = 1.0 if n_true == n else float(beta.isf(tail, n_true + 1, n - n_true))
    return Interval(n_true / n, lower, upper, n)


# --------------------------------------------------------------------------- log-rank by seed


@dataclass(frozen=True)
class PermutedLogRank:
    """observed_minus_expected: deaths of the second group beyond what equal hazards give

    statistic: over its hypergeometric deviation, as in the ordinary log-rank test
    p_value: two-sided, share of arrangements at least as far from zero;  n_arrangements: looked at
    """

    observed_minus_expected: float
    statistic: float
    p_value: float
    n_arrangements: int


def log_rank_permuted(
    times: Sequence[float],
    censored: Sequence[bool],
    second: Sequence[bool],
    clusters: Sequence[str | int],
    *,
    seed: int = 0,
) -> PermutedLogRank | None:
    """Do two groups live equally long, when lives of one cluster in one group are alike?

    The log-rank statistic is compared with its values when whole (group, cluster) units are dealt
    out anew, in every way where there are at most MOST_ARRANGEMENTS of them, else in so many drawn
    by ``seed``. Exact for any dependence within a unit; conservative where a cluster's units in
    both groups resemble each other (arms that share a seed's initial labels). ``None`` with no
    death, one group empty, or two units: nothing could be found.
    """
    died = ~np.asarray(censored, dtype=np.bool_)
    names = list(zip(second, clusters, strict=True))
    units = list(dict.fromkeys(names))
    in_second = np.array([bool(group) for group, _ in units])
    if not died.any() or len(units) < 3 or in_second.all() or not in_second.any():
        return None
    at = np.asarray(times, dtype=np.float64)
    when = np.unique(at[died])
    own = np.array([units.index(name) for name in names])
    belongs = (own[:, None] == np.arange(len(units))[None, :]).astype(np.float64)
    at_risk = belongs.T @ (at[:, None] >= when[None, :])
    deaths = belongs.T @ ((at[:, None] == when[None, :]) & died[:, None])
    excess, deviation = _log_rank(in_second[None, :].astype(np.float64), at_risk, deaths)
    if not deviation[0] > 0.0:
        return None
    dealt = _arrangements(len(units), int(in_second.sum()), seed)
    found, spread = _log_rank(dealt, at_risk, deaths)
    size = np.abs(np.divide(found, spread, out=np.zeros_like(found), where=spread > 0.0))
    statistic = float(excess[0] / deviation[0])
    as_far = int(np.sum(size >= abs(statistic) - 1e-9))
    complete = math.comb(len(units), int(in_second.sum())) == len(dealt)
    p = as_far / len(dealt) if complete else (as_far + 1) / (len(dealt) + 1)
    return PermutedLogRank(float(excess[0]), statistic, min(1.0, p), len(dealt))


MOST_ARRANGEMENTS = 20_000
"""All arrangements of seven seeds in each of two groups are 3432; of eight, 12870."""


def _log_rank(
    dealt: FloatArray, at_risk: FloatArray, deaths: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(O - E, its hypergeometric deviation) for each row of ``dealt``: (n, units), 1 in the second.

    at_risk, deaths: (units, death times)
    """
    n, d = at_risk.sum(axis=0), deaths.sum(axis=0)
    n_second, d_second = dealt @ at_risk, dealt @ deaths
    excess = (d_second - d * n_second / n).sum(axis=1)
    left = np.where(n > 1.0, (n - d) / np.maximum(n - 1.0, 1.0), 0.0)
    variance = (d * left * n_second * (n - n_second) / n**2).sum(axis=1)
    return excess, np.sqrt(variance)


def _arrangements(n_units: int, n_second: int, seed: int) -> FloatArray:
    """Rows of 0 and 1 with ``n_second`` ones: all there are, or a seeded sample."""
    total = math.comb(n_units, n_second)
    if total <= MOST_ARRANGEMENTS:
        chosen = np.array(list(itertools.combinations(range(n_units), n_second)))
    else:
        random = np.random.default_rng(seed)
        chosen = np.array(
            [random.permutation(n_units)[:n_second] for _ in range(MOST_ARRANGEMENTS // 2)]
        )
    rows = np.zeros((len(chosen), n_units))
    np.put_along_axis(rows, chosen, 1.0, axis=1)
    return rows


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values adjusted for how many there are (Holm, Scand. J. Stat. 6, 65 (1979)), in order."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    adjusted = [0.0] * len(p_values)
    least = 0.0
    for rank, k in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = least
    return tuple(adjusted)

"""How long replicas live: censored times to failure, and what they bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sis_engine.records import FloatArray, Life

if TYPE_CHECKING:
    from scipy.stats import CensoredData


@dataclass(frozen=True, eq=False)
class KaplanMeier:
    """The product-limit estimate of the share still alive, with pointwise limits.

    time_ps: (n,) distinct times of death or censoring, ascending
    survival, lower, upper: (n,) just after each time; the limits are Greenwood's on the
        log(-log) scale (Kalbfleisch and Prentice 1980), 1 before the first death and carried on
        where they are undefined (nobody left)
    median_ps: first time with survival at or below one half; ``None`` if it stays above
    """

    time_ps: FloatArray
    survival: FloatArray
    lower: FloatArray
    upper: FloatArray
    median_ps: float | None


@dataclass(frozen=True)
class Hazard:
    """Failures per ps of MD with an exact Poisson interval; upper alone where none failed."""

    n_failures: int
    exposure_ps: float
    per_ps: float
    lower_per_ps: float
    upper_per_ps: float


@dataclass(frozen=True)
class LogRank:
    """Log-rank comparison of two groups: statistic (normal) and two-sided p value."""

    statistic: float
    p_value: float


def kaplan_meier(
    times_ps: Sequence[float], censored: Sequence[bool], confidence: float = 0.95
) -> KaplanMeier:
    """Kaplan-Meier estimate of lives. Raises ValueError without lives."""
    if len(times_ps) == 0:
        raise ValueError("no lives to estimate survival from")
    from scipy.stats import ecdf

    estimate = ecdf(_lives(times_ps, censored)).sf
    times = np.asarray(times_ps, dtype=np.float64)
    died = ~np.asarray(censored, dtype=np.bool_)
    at = np.asarray(estimate.quantiles, dtype=np.float64)
    survival = np.asarray(estimate.probabilities, dtype=np.float64)
    at_risk = np.array([np.sum(times >= t) for t in at])
    deaths = np.array([np.sum(died & (times == t)) for t in at])
    lower, upper = _log_log_limits(survival, at_risk, deaths, confidence)
    below = np.flatnonzero(survival <= 0.5 + 1e-12)
    median = float(at[below[0]]) if below.size else None
    return KaplanMeier(at, survival, lower, upper, median)


def restricted_mean(
    times: Sequence[float], censored: Sequence[bool], horizon: float
) -> float | None:
    """Mean of min(time, horizon): the area under the Kaplan-Meier curve up to ``horizon``.

    Where the last of all is censored before the horizon the curve is carried on level (Royston and
    Parmar, BMC Med. Res. Methodol. 13, 152 (2013)). ``None`` without times or horizon.
    """
    if len(times) == 0 or not horizon > 0.0:
        return None
    at = np.asarray(times, dtype=np.float64)
    died = ~np.asarray(censored, dtype=np.bool_)
    area, share, before = 0.0, 1.0, 0.0
    for when in np.unique(at[died]):
        if when >= horizon:
            break
        area += share * (when - before)
        share *= 1.0 - np.sum(died & (at == when)) / np.sum(at >= when)
        before = when
    return float(area + share * (horizon - before))


def hazard(
    times_ps: Sequence[float], censored: Sequence[bool], confidence: float = 0.95
) -> Hazard | None:
    """Failures per ps with Garwood's (1936) exact interval; ``None`` without any MD.

    With d failures in T: [chi2(a/2; 2d), chi2(1-a/2; 2d+2)] / 2T. It assumes a constant hazard.
    """
    exposure = float(sum(times_ps))
    if not exposure > 0.0:
        return None
    n = sum(not item for item in censored)
    tail = 0.5 * (1.0 - confidence)
    from scipy.stats import chi2

    lower = 0.0 if n == 0 else float(chi2.ppf(tail, 2 * n)) / (2.0 * exposure)
    upper = float(chi2.isf(tail, 2 * n + 2)) / (2.0 * exposure)
    return Hazard(n, exposure, n / exposure, lower, upper)


def hazard_of(lives: Sequence[Life], confidence: float = 0.95) -> Hazard | None:
    """:func:`hazard` of lives as the engine records them."""
    return hazard([i.time_ps for i in lives], [i.censored for i in lives], confidence)


def survival_bound(n_survived: int, n: int, confidence: float = 0.95) -> float:
    """Lower limit of P(survive) from ``n_survived`` of ``n`` replicas (Clopper-Pearson, one-sided).

    All of n: (1 - confidence)^(1/n), above 0.8 with 95 % from n = 14 on.
    """
    if not 0 <= n_survived <= n or n == 0:
        raise ValueError(f"{n_survived} survivors of {n} replicas")
    if n_survived == 0:
        return 0.0
    from scipy.stats import beta

    return float(beta.ppf(1.0 - confidence, n_survived, n - n_survived + 1))


def replicas_needed(probability: float, confidence: float = 0.95) -> int:
    """How many replicas must all survive to bound P(survive) by ``probability`` from below."""
    if not 0.0 < probability < 1.0 or not 0.0 < confidence < 1.0:
        raise ValueError(f"probability {probability} and confidence {confidence} must be in (0, 1)")
    return math.ceil(math.log(1.0 - confidence) / math.log(probability))


def log_rank(
    first_ps: Sequence[float],
    first_censored: Sequence[bool],
    second_ps: Sequence[float],
    second_censored: Sequence[bool],
) -> LogRank | None:
    """Do two groups live equally long? ``None`` where neither had a failure."""
    if all(first_censored) and all(second_censored):
        return None
    from scipy.stats import logrank

    result = logrank(_lives(first_ps, first_censored), _lives(second_ps, second_censored))
    return LogRank(float(result.statistic), float(result.pvalue))


def _lives(times_ps: Sequence[float], censored: Sequence[bool]) -> CensoredData:
    from scipy import stats

    return stats.CensoredData.right_censored(
        np.asarray(times_ps, dtype=np.float64), np.asarray(censored, dtype=np.bool_)
    )


def _log_log_limits(
    survival: FloatArray, at_risk: FloatArray, deaths: FloatArray, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Limits S^exp(+-z s) with s^2 = sum d / (n (n - d)) / (log S)^2 (Greenwood)."""
    from scipy.stats import norm

    z = float(norm.isf(0.5 * (1.0 - confidence)))
    lower, upper = np.ones_like(survival), np.ones_like(survival)
    total = 0.0
    for k, (share, n, d) in enumerate(zip(survival, at_risk, deaths, strict=True)):
        if n == d:  # nobody is left: zero, and no upper limit but the last
            lower[k:] = 0.0
            upper[k:] = upper[k - 1] if k else 1.0
            break
        total += d / (n * (n - d))
        if share < 1.0:
            spread = z * math.sqrt(total) / abs(math.log(share))
            lower[k] = share ** math.exp(spread)
            upper[k] = share ** math.exp(-spread)
    return lower, upper

"""Survival statistics against worked, published examples."""

import math

import numpy as np
import pytest
from scipy.stats import poisson

from sis_engine.analysis.survival import (
    hazard,
    kaplan_meier,
    log_rank,
    replicas_needed,
    survival_bound,
)

# Freireich et al., Blood 21, 699 (1963): weeks of remission under 6-MP and placebo, worked through
# in Kleinbaum and Klein, Survival Analysis (2012), chapters 1 and 2. "+": censored.
TREATED = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PLACEBO = "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"


def lives(text):
    times = text.split()
    return [float(t.rstrip("+")) for t in times], [t.endswith("+") for t in times]


def test_kaplan_meier_gives_the_published_table():
    curve = kaplan_meier(*lives(TREATED))
    at_death = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}
    for time, share in at_death.items():
        index = np.flatnonzero(curve.time_ps == time)[0]
        assert curve.survival[index] == pytest.approx(share, abs=6e-5)
    assert curve.median_ps == 23.0
    assert kaplan_meier(*lives(PLACEBO)).median_ps == 8.0


def test_greenwood_limits_on_the_log_log_scale_worked_by_hand():
    # At week 6: S = 18/21, Greenwood sum = 3/(21*18) = 0.0079365
    curve = kaplan_meier(*lives(TREATED))
    spread = 1.959964 * math.sqrt(3 / (21 * 18)) / abs(math.log(18 / 21))
    assert curve.lower[0] == pytest.approx((18 / 21) ** math.exp(spread), rel=1e-6)
    assert curve.upper[0] == pytest.approx((18 / 21) ** math.exp(-spread), rel=1e-6)
    # R survfit(conf.type="log-log") prints 0.620 and 0.952
    assert (round(curve.lower[0], 3), round(curve.upper[0], 3)) == (0.620, 0.952)


def test_limits_enclose_the_estimate_and_are_finite_when_all_or_none_died():
    for text in (TREATED, PLACEBO, "1 2 3", "5+ 5+ 5+", "1", "1+"):
        curve = kaplan_meier(*lives(text))
        assert np.isfinite(curve.lower).all()
        assert (curve.lower <= curve.survival + 1e-12).all()
        assert (curve.survival <= curve.upper + 1e-12).all()
    assert kaplan_meier([5.0, 5.0], [True, True]).median_ps is None


def test_log_rank_gives_the_published_statistic():
    result = log_rank(*lives(TREATED), *lives(PLACEBO))
    assert result.statistic**2 == pytest.approx(16.79, abs=0.01)
    assert result.p_value < 1e-4


def test_log_rank_without_failures_says_nothing():
    assert log_rank([1.0], [True], [2.0], [True]) is None


def test_hazard_of_the_treated_is_the_published_rate():
    # 9 relapses in 359 person-weeks: 0.025
    rate = hazard(*lives(TREATED))
    assert (rate.n_failures, rate.exposure_ps) == (9, 359.0)
    assert rate.per_ps == pytest.approx(0.0251, abs=1e-4)


def test_garwoods_interval_leaves_a_fortieth_in_each_tail():
    rate = hazard([4.0, 6.0, 10.0], [False, False, True])
    assert poisson.sf(1, rate.lower_per_ps * 20.0) == pytest.approx(0.025)
    assert poisson.cdf(2, rate.upper_per_ps * 20.0) == pytest.approx(0.025)


def test_no_failure_bounds_the_hazard_from_above_only():
    rate = hazard([5.0] * 4, [True] * 4)
    assert (rate.per_ps, rate.lower_per_ps) == (0.0, 0.0)
    assert rate.upper_per_ps == pytest.approx(-math.log(0.025) / 20.0)
    assert hazard([], []) is None


def test_fourteen_survivors_of_fourteen_bound_survival_above_0_8():
    assert survival_bound(14, 14) > 0.8 > survival_bound(13, 13)
    assert survival_bound(4, 4) == pytest.approx(0.05**0.25)
    assert replicas_needed(0.8) == 14


def test_the_survival_bound_is_clopper_and_pearsons():
    # Clopper and Pearson (1934): 8 of 10, one-sided 95 %: sum of binomial tail at the bound is 5 %
    p = survival_bound(8, 10)
    tail = sum(math.comb(10, k) * p**k * (1 - p) ** (10 - k) for k in range(8, 11))
    assert tail == pytest.approx(0.05)
    assert survival_bound(0, 5) == 0.0


@pytest.mark.parametrize(("survived", "n"), [(3, 2), (0, 0), (-1, 4)])
def test_impossible_counts_are_refused(survived, n):
    with pytest.raises(ValueError, match="survivors"):
        survival_bound(survived, n)

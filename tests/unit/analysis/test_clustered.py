"""Statistics by seed against published worked examples, and against simulation."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from sis_engine.analysis.clustered import (
    bootstrap_interval,
    holm,
    log_rank_permuted,
    share_interval,
)
from sis_engine.analysis.survival import log_rank, restricted_mean

# Freireich et al., Blood 21, 699 (1963): weeks of remission, as in Gehan 1965 and every textbook.
TREATED = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
TREATED_CENSORED = [False] * 9 + [True] * 12
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def _freireich(clusters):
    times, censored = [*TREATED, *PLACEBO], [*TREATED_CENSORED, *[False] * 21]
    return log_rank_permuted(times, censored, [False] * 21 + [True] * 21, clusters)


def test_the_statistic_is_the_published_one():
    """Kleinbaum and Klein, Survival Analysis, ch. 2: 21 deaths on placebo, 10.75 expected,
    chi square 16.79."""
    found = _freireich(range(42))
    assert found is not None
    assert found.observed_minus_expected == pytest.approx(21.0 - 10.75, abs=0.005)
    assert found.statistic**2 == pytest.approx(16.79, abs=0.005)
    assert found.p_value < 0.001


def test_patients_in_few_clusters_prove_less():
    """Seven hospitals of three: 3432 arrangements, of which only few are as far."""
    found = _freireich([k % 7 for k in range(42)])
    assert found is not None
    assert found.n_arrangements == 3432
    assert 2 / 3432 <= found.p_value < 0.01
    assert found.statistic**2 == pytest.approx(16.79, abs=0.005)


def test_restricted_means_of_the_freireich_trial():
    """R, ``print(survfit(Surv(time, cens) ~ treat, gehan), rmean=35)``: 23.29 and 8.67."""
    assert restricted_mean(TREATED, TREATED_CENSORED, 35.0) == pytest.approx(23.29, abs=0.005)
    assert restricted_mean(PLACEBO, [False] * 21, 35.0) == pytest.approx(sum(PLACEBO) / 21)


def test_a_restricted_mean_of_survivors_is_the_horizon():
    assert restricted_mean([5.0, 5.0], [True, True], 20.0) == 20.0
    assert restricted_mean([], [], 20.0) is None


@pytest.mark.parametrize(
    ("n_true", "n", "lower", "upper"),
    [
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ],
)
def test_exact_limits_are_newcombes(n_true, n, lower, upper):
    """Newcombe, Stat. Med. 17, 857 (1998), table I, method 5 (Clopper-Pearson)."""
    found = share_interval(n_true, n)
    assert found is not None
    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=6e-5)


def test_holms_example():
    """Holm's step-down: 0.01, 0.02, 0.03, 0.005 become 0.03, 0.04, 0.04, 0.02."""
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx((0.03, 0.04, 0.04, 0.02))
    assert holm([]) == ()


def test_equal_values_have_no_interval_and_are_told_from_too_few():
    found = bootstrap_interval([4.5] * 8, np.mean, positive=True)
    assert found is not None
    assert (found.value, found.lower, found.upper, found.alike) == (4.5, None, None, True)
    few = bootstrap_interval([4.5, 4.5], np.mean)
    assert few is not None
    assert (few.lower, few.alike) == (None, False)


# --------------------------------------------------------------------------- simulation


def _lives(random, n_seeds, n_replicas, scale, spread):
    """Exponential lives whose mean differs from seed to seed (a frailty), censored at 3."""
    rows = []
    for seed in range(n_seeds):
        mean = scale * math.exp(spread * random.normal())
        rows += [(min(x, 3.0), x >= 3.0, seed) for x in random.exponential(mean, n_replicas)]
    return rows


def _p_values(n_trials, second_scale, spread, *, n_seeds=6):
    random = np.random.default_rng(11)
    clustered, naive = [], []
    for _ in range(n_trials):
        first = _lives(random, n_seeds, 6, 1.0, spread)
        second = _lives(random, n_seeds, 6, second_scale, spread)
        times, censored, seeds = zip(*first, *second, strict=True)
        group = [False] * len(first) + [True] * len(second)
        found = log_rank_permuted(times, censored, group, seeds)
        plain = log_rank(
            [r[0] for r in first],
            [r[1] for r in first],
            [r[0] for r in second],
            [r[1] for r in second],
        )
        clustered.append(found.p_value)
        naive.append(plain.p_value)
    return np.array(clustered), np.array(naive)


def test_between_copies_of_one_arm_nothing_is_found_though_replicas_are_alike():
    clustered, naive = _p_values(400, 1.0, 0.8)
    assert 0.02 <= np.mean(clustered < 0.05) <= 0.08
    assert np.mean(naive < 0.05) > 0.12  # what ignoring the seeds would have found


def test_a_planted_difference_is_found():
    clustered, _ = _p_values(100, 4.0, 0.3)
    assert np.mean(clustered < 0.05) > 0.85


def test_the_smallest_p_value_is_what_the_seeds_can_show():
    times = [1.0, 2.0] * 4
    seeds = [0, 0, 1, 1, 2, 2, 3, 3]
    found = log_rank_permuted(times, [False] * 8, [True, False] * 4, seeds)
    assert found is not None
    assert found.p_value == pytest.approx(2 / 70)  # one arrangement of C(8, 4), and its mirror


def test_nothing_to_compare_is_none():
    assert log_rank_permuted([1.0, 2.0], [True, True], [True, False], [0, 1]) is None
    assert log_rank_permuted([1.0, 2.0], [False, False], [True, False], [0, 0]) is None
    assert log_rank_permuted([1.0, 2.0], [False, False], [True, True], [0, 1]) is None


@pytest.mark.parametrize("n", [5, 8])
def test_the_interval_of_a_mean_of_few_seeds_covers_as_often_as_it_says(n):
    random = np.random.default_rng(3)
    covered = 0
    for trial in range(300):
        values = random.normal(size=n)
        found = bootstrap_interval(values, lambda v: float(np.mean(v)), seed=trial, n_bootstrap=300)
        covered += found.lower <= 0.0 <= found.upper
    assert covered / 300 > 0.91


def test_the_interval_of_a_ratio_covers_and_is_positive():
    random = np.random.default_rng(4)
    covered = 0
    for trial in range(200):
        pairs = [
            (math.exp(random.normal(0.7, 0.4)), math.exp(random.normal(0, 0.4))) for _ in range(6)
        ]
        found = bootstrap_interval(
            pairs,
            lambda p: sum(a for a, _ in p) / sum(b for _, b in p),
            seed=trial,
            n_bootstrap=300,
            positive=True,
        )
        assert found.lower > 0.0
        covered += found.lower <= math.exp(0.7) <= found.upper
    assert covered / 200 > 0.9


@pytest.mark.parametrize("values", [[3.0], [2.0, 4.0]])
def test_one_seed_or_two_have_a_value_and_no_interval(values):
    found = bootstrap_interval(values, lambda v: float(np.mean(v)))
    assert (found.value, found.lower, found.upper) == (3.0, None, None)


def test_limits_end_where_the_statistic_does():
    found = bootstrap_interval([0.9, 1.0, 0.5], lambda v: float(np.mean(v)), within=(0.0, 1.0))
    assert found.upper == 1.0


def test_a_statistic_that_is_not_defined_is_none():
    assert bootstrap_interval([1.0, 2.0], lambda _: None) is None


def test_widening_is_students_for_the_number_of_seeds():
    """Two-sided 95 % at four degrees of freedom: 2.776 / 1.960 x sqrt(5/4)."""
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    found = bootstrap_interval(values, lambda v: float(np.mean(v)), n_bootstrap=20000)
    spread = values.std() / math.sqrt(5)
    assert found.upper == pytest.approx(
        norm.isf(0.025) * spread * 1.416 * math.sqrt(1.25), rel=0.05
    )

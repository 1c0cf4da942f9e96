"""Trust levels against values worked by hand."""

import numpy as np
import pytest

from sis_engine.records import Foreseen
from sis_engine.samplers.trust import (
    Band,
    Levels,
    Looks,
    Trust,
    adaptive_candidates,
    calibrated,
    judged,
)

LEVELS = Levels(Band(0.1, 0.3))
A, C, F = Trust.ACCURATE, Trust.CANDIDATE, Trust.FAILED


def test_levels_are_half_open_and_what_is_not_finite_has_failed():
    force = np.array([0.0, 0.0999, 0.1, 0.2999, 0.3, 9.0, np.nan, np.inf])
    assert judged(Looks(force), LEVELS).tolist() == [A, A, C, C, F, F, F, F]


def test_each_deviation_can_make_a_candidate_or_a_failure():
    levels = Levels(Band(0.1, 0.3), virial=Band(0.01, 0.03), energy=Band(0.001, 0.003))
    looks = Looks(
        force=np.array([0.05, 0.05, 0.05, 0.20, 0.05, 0.05]),
        virial=np.array([0.0, 0.02, 0.04, 0.0, 0.0, 0.0]),
        energy=np.array([0.0, 0.0, 0.0, 0.0, 0.002, 0.004]),
    )
    assert judged(looks, levels).tolist() == [A, C, F, C, C, F]


def test_a_deviation_that_nobody_measured_is_not_asked_for():
    levels = Levels(Band(0.1, 0.3), virial=Band(0.01, 0.03))
    assert judged(Looks(np.array([0.05])), levels).tolist() == [A]
    assert judged(Looks(np.array([0.05]), np.array([9.0])), LEVELS).tolist() == [A]


def test_adaptive_candidates_are_the_largest_below_the_upper_level():
    force = np.array([0.05, 0.29, 0.5, 0.10, 0.02, 0.28])
    found = adaptive_candidates(Looks(force), LEVELS, 2, 0.0)
    assert np.flatnonzero(found).tolist() == [1, 5]
    assert np.flatnonzero(adaptive_candidates(Looks(force), LEVELS, 9, 0.0)).tolist() == [
        0,
        1,
        3,
        4,
        5,
    ]


def test_adaptive_takes_the_larger_of_number_and_rate_and_the_union_of_force_and_virial():
    force = np.arange(10) / 100.0
    assert adaptive_candidates(Looks(force), LEVELS, 1, 0.3).sum() == 3
    levels = Levels(Band(0.1, 0.3), virial=Band(0.01, 0.03))
    looks = Looks(force, np.arange(10)[::-1] / 1000.0)
    found = adaptive_candidates(looks, levels, 2, 0.0)
    assert np.flatnonzero(found).tolist() == [0, 1, 8, 9]


def test_calibration_worked_by_hand():
    # errors are 1, 2, 3, 4, 5 times the deviation: median 3, quantile 0.75 is 4
    pairs = [Foreseen("s", 0.1, 0.1 * k) for k in (1, 2, 3, 4, 5)]
    band = calibrated(Band(0.4, 3.0), pairs, 0.75)
    assert band.lo == pytest.approx(0.1)
    assert band.hi == pytest.approx(1.0)


def test_calibration_keeps_what_it_promises_on_frames_it_has_not_seen():
    """Of frames called accurate, the share with a larger error is what was asked for."""
    rng = np.random.default_rng(0)

    def pairs(n):
        deviation = rng.lognormal(-2.0, 1.0, n)
        return deviation, deviation * rng.lognormal(1.0, 0.5, n)

    known = [Foreseen("s", d, e) for d, e in zip(*pairs(2000), strict=True)]
    band = calibrated(Band(0.3, 3.0), known, 0.9)
    deviation, error = pairs(20000)
    near = (deviation > 0.9 * band.lo) & (deviation < band.lo)  # those at the edge are the worst
    assert np.mean(error[near] > 0.3) == pytest.approx(0.1, abs=0.05)
    assert np.mean(error[deviation < band.lo] > 0.3) < 0.1


def test_the_upper_level_is_never_below_the_lower_one():
    pairs = [Foreseen("s", 1.0, e) for e in (0.001, 10.0, 10.0)]
    band = calibrated(Band(0.3, 0.31), pairs, 0.05)
    assert band.hi >= band.lo

from __future__ import annotations

import numpy as np
import pytest

from sis_engine.analysis.trend import BLOCKS, trend

TIMES = np.linspace(0.0, 1.0, 200)


def test_the_slope_of_a_line_is_found_with_how_far_it_may_be_off() -> None:
    """Student's t on block means covers the true slope 19 times of 20."""
    rng, hits = np.random.default_rng(3), 0
    for _ in range(400):
        slope, error = trend(TIMES, 2.0 * TIMES + rng.normal(size=200))
        hits += abs(slope - 2.0) <= error
    assert 0.92 <= hits / 400 <= 0.98


def test_a_straight_line_is_certain() -> None:
    slope, error = trend(TIMES[:BLOCKS], 3.0 * TIMES[:BLOCKS] - 1.0)
    assert slope == pytest.approx(3.0)
    assert error == pytest.approx(0.0, abs=1e-6)

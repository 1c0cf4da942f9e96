import math

import numpy as np
import pytest

from sis_engine.report.downsample import min_max
from sis_engine.report.marks import coordinate
from sis_engine.report.scale import Axis, decades, nice_ticks, short, spanning
from sis_engine.report.svg import Panel


def test_a_single_spike_survives_the_thinning():
    x = np.arange(100_000.0)
    y = np.zeros(100_000)
    y[61_803] = 5.0
    y[31_415] = -3.0
    kept_x, kept_y = min_max(x, y, 100)
    assert len(kept_x) <= 302
    assert kept_y.max() == 5.0
    assert kept_y.min() == -3.0
    assert kept_x[np.argmax(kept_y)] == 61_803
    assert (np.diff(kept_x) > 0).all()


def test_thinning_keeps_a_tail_that_is_not_a_number_as_a_gap():
    y = np.ones(10_000)
    y[-3:] = [np.nan, np.inf, np.nan]
    _, kept = min_max(np.arange(10_000.0), y, 50)
    assert np.isnan(kept[-1])
    assert not np.isinf(kept).any()
    assert np.isfinite(kept[:-2]).all()


def test_a_short_series_is_kept_whole():
    x = np.arange(10.0)
    kept, _ = min_max(x, x, 40)
    assert (kept == x).all()


def test_a_value_that_is_not_a_number_breaks_the_curve():
    panel = Panel("t", Axis("x", 0, 3), Axis("y", 0, 1))
    panel.curve([0, 1, 2, 3], [0.1, math.nan, 0.2, 0.3], "c1")
    path = panel.svg().split(' d="')[1].split('"')[0]
    assert path.count("M") == 2
    assert "nan" not in panel.svg().lower()


def test_absurd_values_stay_near_the_panel():
    panel = Panel("t", Axis("x", 0, 1), Axis("y", 0, 1))
    panel.curve([0, 1], [0.5, 1e300], "c1")
    assert "e+" not in panel.svg()


def test_titles_and_tips_are_escaped():
    panel = Panel('<a> & "b"', Axis("<x>", 0, 1), Axis("y", 0, 1))
    panel.dot(0.5, 0.5, "c1", tip="</title><script>")
    panel.legend("<i>", "c1")
    svg = panel.svg()
    assert "<script>" not in svg
    assert "<i>" not in svg
    assert "&lt;x&gt;" in svg


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.0, 10.0, [0, 2, 4, 6, 8, 10]), (-1.0, 1.0, [-1, -0.5, 0, 0.5, 1])],
)
def test_ticks_are_round(low, high, ticks):
    assert nice_ticks(low, high, 5) == ticks


def test_a_logarithmic_axis_has_ticks_within_a_decade_and_over_many():
    assert len(decades(0.2, 0.6)) >= 2
    assert decades(1e-3, 1e3)[0] == pytest.approx(1e-3)


def test_an_axis_without_values_is_still_an_axis():
    assert spanning("y", []).high > spanning("y", [math.nan]).low
    assert spanning("y", [], log=True).low > 0
    flat = spanning("y", [5.0, 5.0])
    assert flat.low < 5.0 < flat.high


def test_coordinates_and_ticks_are_short():
    assert coordinate(12.0) == "12"
    assert coordinate(-0.01) == "0"
    assert short(1e-6) == "1e−6"
    assert short(1500.0) == "1500"

"""Halt rules read off a trace."""

import math

import numpy as np
import pytest

from monitors.rules import first_violation
from sis_engine.records import HaltRule, Quantity, Relation, Trace

T, E = Quantity.TEMPERATURE, Quantity.POTENTIAL_ENERGY


def trace(values, quantity=T, spacing_fs=10.0):
    column = np.asarray(values, dtype=float)[:, None]
    return Trace("r", np.arange(len(column)) * spacing_fs, (quantity,), column)


def rule(relation, limit, quantity=T, **settings):
    return HaltRule("m", quantity, relation, limit, **settings)


def test_the_first_row_beyond_the_limit_counts():
    found = first_violation(rule(Relation.ABOVE, 1000.0), trace([300, 1000, 1001, 300, 2000]))
    assert (found.time_fs, found.value) == (20.0, 1001.0)


def test_a_lower_bound_waits_for_the_burn_in():
    cold = rule(Relation.BELOW, 100.0, after_fs=25.0)
    assert first_violation(cold, trace([50, 50, 50, 50])).time_fs == 30.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_fires_at_once_even_within_the_burn_in(value):
    found = first_violation(rule(Relation.BELOW, 5.0, after_fs=1000.0), trace([300, value, 300]))
    assert found.time_fs == 10.0


def test_nan_in_a_column_not_measured_in_every_row_is_no_finding():
    values = np.array([[300.0, math.nan], [300.0, 0.1], [300.0, math.nan], [300.0, 0.5]])
    mixed = Trace("r", np.arange(4.0), (T, Quantity.MODEL_DEVIATION), values)
    found = first_violation(rule(Relation.ABOVE, 0.35, Quantity.MODEL_DEVIATION), mixed)
    assert found.time_fs == 3.0


def test_nan_in_such_a_column_fires_when_the_row_is_broken():
    values = np.array([[300.0, 1.0], [math.nan, math.nan]])
    mixed = Trace("r", np.arange(2.0), (T, Quantity.MAX_FORCE), values)
    found = first_violation(rule(Relation.ABOVE, 20.0, Quantity.MAX_FORCE), mixed)
    assert found.time_fs == 1.0
    assert math.isnan(found.value)


def test_a_mean_forgives_a_spike_but_not_a_plateau():
    mean = rule(Relation.ABOVE, 500.0, average_fs=50.0)
    assert first_violation(mean, trace([300] * 10 + [1000] + [300] * 10)) is None
    found = first_violation(mean, trace([300] * 10 + [1000] * 10))
    assert 100.0 < found.time_fs <= 150.0
    assert found.value > 500.0


def test_a_mean_is_judged_only_where_its_window_lies_after_the_burn_in():
    hot_start = [2000] * 5 + [300] * 20
    late = rule(Relation.ABOVE, 500.0, average_fs=50.0, after_fs=50.0)
    assert first_violation(late, trace(hot_start)) is None
    early = rule(Relation.ABOVE, 500.0, average_fs=50.0)
    assert first_violation(early, trace(hot_start)).time_fs == 50.0


def test_a_running_mean_is_the_mean_of_the_rows_in_its_window():
    values = np.random.default_rng(0).uniform(0, 1, 50)
    for end in (10, 25, 49):
        want = values[end - 4 : end + 1].mean()
        limit = rule(Relation.ABOVE, want - 1e-9, average_fs=50.0, after_fs=10.0 * end - 50.0)
        found = first_violation(limit, trace(values))
        assert found.time_fs == 10.0 * end
        assert found.value == pytest.approx(want)


def test_an_energy_jump_is_made_from_the_energy_where_it_was_not_measured():
    jump = rule(Relation.ABOVE, 1.0, Quantity.ENERGY_JUMP)
    found = first_violation(jump, trace([-5.0, -5.2, -3.9, -3.9], quantity=E))
    assert (found.time_fs, found.value) == (20.0, pytest.approx(1.3))


def test_a_rule_says_its_unit():
    assert rule(Relation.ABOVE, 1000.0).criterion == "temperature_k above 1000 K"
    assert rule(Relation.BELOW, -1.5, E, average_fs=500.0).criterion == (
        "potential_energy (500 fs mean) below -1.5 eV"
    )

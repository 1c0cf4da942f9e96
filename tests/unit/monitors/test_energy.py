"""Energies against what the labels support."""

from dataclasses import replace

import pytest

from monitors.energy import EnergyConfig, EnergyMonitor
from sis_engine.records import Quantity
from sis_engine.testing.synthetic import example_context, healthy_trace, planted

E = Quantity.POTENTIAL_ENERGY
CONTEXT = example_context()
SUPPORT = CONTEXT.support


def judge(trace, context=CONTEXT, **settings):
    return EnergyMonitor(EnergyConfig(**settings)).judge(trace, (), context)


def test_without_labels_there_are_no_limits():
    assert EnergyMonitor(EnergyConfig()).halt_rules(replace(CONTEXT, support=None)) == ()


def test_healthy_runs_are_no_finding():
    assert [s for s in range(40) if judge(healthy_trace(CONTEXT, seed=s))] == []


def test_a_little_outside_the_labelled_range_is_suspect_only():
    trace = planted(healthy_trace(CONTEXT), E, 4000.0, SUPPORT.energy_max + 2.0)
    verdicts = judge(trace)
    assert verdicts[0].time_fs == 4000.0
    assert all(verdict.suspect for verdict in verdicts)
    assert not judge(trace, suspect=False)[0].suspect


@pytest.mark.parametrize("sign", [1, -1])
def test_far_outside_is_a_catastrophe_at_once(sign):
    edge = SUPPORT.energy_max if sign > 0 else SUPPORT.energy_min
    trace = planted(healthy_trace(CONTEXT), E, 4000.0, edge + sign * 12.0)
    first = judge(trace)[0]
    assert (first.time_fs, first.suspect) == (4000.0, False)


def test_an_extended_range_silences_the_suspect():
    low = SUPPORT.energy_min - 3.0
    trace = planted(healthy_trace(CONTEXT), E, 4000.0, low)
    assert judge(trace)
    wider = replace(CONTEXT, support=replace(SUPPORT, energy_min=low - 0.5))
    kept = [v for v in judge(trace, wider) if "jump" not in v.criterion]
    assert kept == []


def test_a_spike_between_two_checks_is_found_within_the_range():
    trace = planted(healthy_trace(CONTEXT), E, 4000.0, SUPPORT.energy_min)
    trace = planted(trace, E, 4010.0, SUPPORT.energy_min + 2.0)
    assert "energy_jump" in judge(trace, upper_margin_sigma=50.0)[0].criterion


def test_a_slow_drift_inside_the_margin_is_found_by_its_mean():
    trace = planted(healthy_trace(CONTEXT), E, 3000.0, SUPPORT.energy_min - 0.2)
    verdicts = judge(trace)
    assert verdicts
    assert "mean" in verdicts[0].criterion
    assert 3000.0 < verdicts[0].time_fs <= 4100.0


def test_the_models_own_minimum_is_where_md_starts_and_no_finding():
    # 240 atoms: the minimum lies (N_f / 2) kT = 9 eV below the mean, far more than six sigma
    context = example_context(240)
    trace = healthy_trace(context)
    values = trace.values.copy()
    values[:19, trace.quantities.index(E)] = 0.0
    assert judge(replace(trace, values=values), context) == ()


def test_a_fall_through_the_minimum_is_found_before_the_burn_in_is_over():
    trace = planted(healthy_trace(CONTEXT), E, 50.0, -1.5)
    first = judge(trace)[0]
    assert (first.time_fs, first.suspect) == (50.0, True)

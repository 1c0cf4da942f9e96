"""Heat to the thermostat, and a wrong survivor that a temperature window believes."""

from dataclasses import replace

import numpy as np
import pytest

from monitors.energy import EnergyConfig, EnergyMonitor
from monitors.heat import HeatConfig, HeatMonitor
from monitors.temperature import TemperatureConfig, TemperatureMonitor
from sis_engine.records import Quantity
from sis_engine.testing.synthetic import example_context, healthy_trace, planted

CONTEXT = example_context(32)


def judge(trace, context=CONTEXT, **settings):
    return HeatMonitor(HeatConfig(**settings)).judge(trace, (), context)


def stable_but_wrong():
    """As was met: 32 atoms, 10 ps at 305 K on average, 20 eV flow into the heat bath."""
    healthy = healthy_trace(CONTEXT, seed=3)
    values = np.array(healthy.values)
    fall = 20.0 * healthy.time_fs / healthy.time_fs[-1]
    values[:, healthy.quantities.index(Quantity.POTENTIAL_ENERGY)] -= fall
    values[:, healthy.quantities.index(Quantity.HEAT)] += fall
    values[:, healthy.quantities.index(Quantity.TEMPERATURE)] *= 305.0 / 300.0
    return replace(healthy, values=values)


def test_a_wrong_survivor_fools_the_temperature_window():
    trace = stable_but_wrong()
    temperature = trace.series(Quantity.TEMPERATURE)
    assert temperature.mean() == pytest.approx(305.0, abs=5.0)
    for config in (TemperatureConfig(published=True), TemperatureConfig()):
        assert TemperatureMonitor(config).judge(trace, (), CONTEXT) == ()


def test_a_wrong_survivor_is_caught_by_energy_and_by_heat():
    trace = stable_but_wrong()
    for monitor in (EnergyMonitor(EnergyConfig()), HeatMonitor(HeatConfig())):
        verdicts = monitor.judge(trace, (), CONTEXT)
        assert verdicts[0].suspect
        assert verdicts[0].time_fs < 5000.0
        assert any(not verdict.suspect for verdict in verdicts), monitor.name


def test_heat_alone_catches_it_without_any_label():
    verdicts = judge(stable_but_wrong(), replace(CONTEXT, support=None))
    assert any(not verdict.suspect for verdict in verdicts)


def test_healthy_runs_are_no_finding():
    assert [s for s in range(40) if judge(healthy_trace(CONTEXT, seed=s))] == []


def test_a_run_that_keeps_taking_up_heat_is_found():
    trace = planted(healthy_trace(CONTEXT), Quantity.HEAT, 4000.0, -10.0)
    assert judge(trace)[0].time_fs == 4000.0


def test_the_heat_of_a_reaction_that_was_labelled_is_explained():
    trace = planted(healthy_trace(CONTEXT), Quantity.HEAT, 4000.0, 7.0)
    assert judge(trace)
    support = replace(CONTEXT.support, energy_min=CONTEXT.support.energy_min - 5.0)
    assert judge(trace, replace(CONTEXT, support=support)) == ()

"""A local blow-up that the global temperature does not show."""

from dataclasses import replace

import numpy as np
import pytest

from monitors.blow_up import BlowUpConfig, BlowUpMonitor
from monitors.temperature import TemperatureConfig, TemperatureMonitor
from sis_engine.records import MdFrame, Quantity
from sis_engine.testing.synthetic import example_context, healthy_trace, planted
from sis_engine.units import BOLTZMANN_EV_PER_K

MONITOR = BlowUpMonitor(BlowUpConfig())
HOT_H = 1.5 * BOLTZMANN_EV_PER_K * 20_000.0


def test_one_hydrogen_at_20000_k_among_240_atoms_is_seen_here_and_not_by_temperature():
    context = example_context(240)
    rise_k = HOT_H / (1.5 * BOLTZMANN_EV_PER_K * 239)
    assert rise_k == pytest.approx(84.0, abs=1.0)
    trace = planted(healthy_trace(context), Quantity.MAX_KINETIC, 4000.0, HOT_H)
    trace = planted(trace, Quantity.TEMPERATURE, 4000.0, 300.0 + rise_k)
    assert TemperatureMonitor(TemperatureConfig()).judge(trace, (), context) == ()
    assert MONITOR.judge(trace, (), context)[0].time_fs == 4000.0


@pytest.mark.parametrize(("n_atoms", "duration_ps"), [(21, 5.0), (240, 10.0), (240, 1000.0)])
def test_the_kinetic_limit_stays_below_a_hydrogen_at_20000_k(n_atoms, duration_ps):
    rules = MONITOR.halt_rules(example_context(n_atoms, duration_ps=duration_ps))
    assert rules[0].quantity is Quantity.MAX_KINETIC
    assert rules[0].limit < HOT_H


def test_healthy_runs_and_hot_starts_are_no_finding():
    context = example_context(32)
    for seed in range(20):
        assert MONITOR.judge(healthy_trace(context, seed=seed), (), context) == ()
    hot = example_context(32, temperature_k=600.0)
    for seed in range(20):
        assert MONITOR.judge(healthy_trace(hot, seed=seed), (), context) == ()


def test_the_force_limit_follows_the_labels_between_its_bounds():
    context = example_context()

    def limit(max_force):
        support = replace(context.support, max_force=max_force)
        return MONITOR.halt_rules(replace(context, support=support))[1].limit

    assert [limit(force) for force in (2.0, 10.0, 1000.0)] == [20.0, 25.0, 60.0]
    assert MONITOR.halt_rules(replace(context, support=None))[1].limit == 60.0


def test_the_guilty_atom_is_named_for_force_and_for_kinetic_energy():
    context = example_context()
    forces = np.zeros((32, 3))
    forces[5] = (0.0, 90.0, 0.0)
    velocities = np.zeros((32, 3))
    velocities[3] = (0.3, 0.0, 0.0)
    frame = MdFrame(context.system.frame, 4000.0, velocities, forces=forces)
    trace = planted(healthy_trace(context), Quantity.MAX_FORCE, 4000.0, 90.0)
    trace = planted(trace, Quantity.MAX_KINETIC, 4000.0, 4.7)
    verdicts = MONITOR.judge(trace, (frame,), context)
    by_criterion = {verdict.criterion.split()[0]: verdict.atoms for verdict in verdicts}
    assert by_criterion == {"max_force": (5,), "max_kinetic": (3,)}

import math
from dataclasses import replace

import numpy as np
import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.explorers.watch import Moment, RuleWatch
from sis_engine.records import (
    Condition,
    Ensemble,
    Frame,
    HaltRule,
    Quantity,
    Relation,
    Replica,
    System,
)

FRAME = Frame(("Li", "H"), [[0.0, 0, 0], [1.6, 0, 0]])
CONDITION = Condition("c", Ensemble.NVT, 300.0, 0.5, 1.0)
REPLICA = Replica("r", System("s", FRAME), FRAME, CONDITION, seed=1)
MOMENT = Moment(0, FRAME, np.zeros((2, 3)), np.zeros((2, 3)), -1.0, 0.1, 300.0, 0.0, 0.0)


def watch(*rules, replica=REPLICA, cutoff=None):
    return RuleWatch(rules, replica, np.array([6.94, 1.008]), np.ones(2, bool), cutoff)


def hot(limit=500.0, **more):
    return HaltRule("t", Quantity.TEMPERATURE, Relation.ABOVE, limit, 10, **more)


def at(step, **more):
    return replace(MOMENT, step=step, **more)


def test_a_rule_is_asked_at_its_interval_only():
    watching = watch(hot())
    assert watching.fired(at(5, temperature_k=900.0)) is None
    assert watching.fired(at(10, temperature_k=900.0)) == (hot(), 900.0)


def test_nan_fires_whatever_the_relation_and_comes_first():
    cold = HaltRule("t", Quantity.HEAT, Relation.BELOW, -1e9, 10)
    fired = watch(hot(), cold).fired(at(10, temperature_k=900.0, heat=math.nan))
    assert fired is not None
    assert fired[0] == cold
    assert math.isnan(fired[1])


def test_burn_in_counts_the_time_before_this_run():
    rule = hot(after_fs=100.0)
    assert watch(rule).fired(at(190, temperature_k=900.0)) is None
    assert watch(rule).fired(at(200, temperature_k=900.0)) is not None
    later = replace(REPLICA, time_offset_fs=60.0)
    assert watch(rule, replica=later).fired(at(80, temperature_k=900.0)) is not None


def test_a_mean_waits_for_its_window_and_forgets():
    watching = watch(hot(average_fs=15.0))  # three samples, 5 fs apart
    temperatures = [900.0, 900.0, 300.0, 200.0, 900.0, 900.0]
    fired = [watching.fired(at(10 * k, temperature_k=t)) for k, t in enumerate(temperatures)]
    values = [None if item is None else item[1] for item in fired]
    assert values == [None, None, 700.0, None, None, pytest.approx(2000.0 / 3)]


def test_an_energy_jump_is_between_two_checks_and_not_at_the_start():
    rule = HaltRule("e", Quantity.ENERGY_JUMP, Relation.ABOVE, 1.0, 10)
    watching = watch(rule)
    energies = [-1e5, -1e5 + 0.5, -1e5 - 0.4, -1e5 + 1.0]
    fired = [watching.fired(at(10 * k, potential_energy=e)) for k, e in enumerate(energies)]
    assert fired[:3] == [None, None, None]
    assert fired[3] is not None
    assert fired[3][1] == pytest.approx(1.4)


def test_a_quantity_of_one_element_looks_at_that_element():
    velocities = np.array([[0.0, 0, 0], [0.02, 0, 0]])
    light = HaltRule("k", Quantity.MAX_KINETIC, Relation.ABOVE, 0.01, 10, pair=("H", "H"))
    heavy = replace(light, pair=("Li", "Li"))
    assert watch(heavy).fired(at(10, velocities=velocities)) is None
    fired = watch(light).fired(at(10, velocities=velocities))
    assert fired is not None
    # 0.5 * 1.008 amu * (0.02 Å/fs)² * 103.6427
    assert fired[1] == pytest.approx(0.5 * 1.008 * 4e-4 * 103.642697, rel=1e-6)


def test_rules_on_elements_that_are_not_there_are_left_out():
    rule = HaltRule("d", Quantity.SHORTEST_DISTANCE, Relation.BELOW, 9.0, 10, pair=("O", "H"))
    assert watch(rule).rules == []


def test_rules_that_have_no_meaning_here_are_refused():
    neighbours = HaltRule("n", Quantity.NEIGHBOURS, Relation.ABOVE, 40, 10)
    with pytest.raises(ConfigurationError, match="cutoff"):
        watch(neighbours)
    watch(neighbours, cutoff=6.0)
    with pytest.raises(ConfigurationError, match="not periodic"):
        watch(HaltRule("v", Quantity.VOLUME, Relation.ABOVE, 40, 10))

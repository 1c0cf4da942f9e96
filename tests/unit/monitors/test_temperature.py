"""The temperature catastrophe and its windows."""

from dataclasses import replace

import numpy as np
import pytest

from monitors.temperature import TemperatureConfig, TemperatureMonitor, Window
from sis_engine.errors import ConfigurationError
from sis_engine.records import MdFrame, Quantity, Relation
from sis_engine.testing.synthetic import example_context, healthy_trace, planted

T = Quantity.TEMPERATURE


def monitor(**settings):
    return TemperatureMonitor(TemperatureConfig(**settings))


def at(generation, **settings):
    return replace(example_context(**settings), generation=generation)


def limits(rules, relation):
    return [rule.limit for rule in rules if rule.relation is relation]


def test_windows_go_from_coarse_to_fine_as_in_the_paper():
    coarse, fine = (monitor().window(at(g)) for g in (0, 3))
    assert (coarse.lower_k, coarse.upper_k) == (5.0, 1000.0)
    assert (fine.lower_k, fine.upper_k) == (200.0, 500.0)


def test_windows_follow_the_target_temperature():
    fine = monitor().window(at(5, temperature_k=900.0))
    assert (fine.lower_k, fine.upper_k) == (600.0, 1500.0)


def test_the_hard_upper_limit_holds_from_step_0_and_the_lower_after_the_burn_in():
    rules = monitor().halt_rules(at(0))
    assert [(r.limit, r.after_fs) for r in rules if r.relation is Relation.ABOVE] == [(1000.0, 0.0)]
    assert [r.after_fs for r in rules if r.relation is Relation.BELOW] == [500.0]


def test_a_start_at_twice_the_target_passes_the_fine_window():
    hot = planted(healthy_trace(at(3)), T, 0.0, 300.0)
    values = np.array(hot.values)
    values[:3, 0] = (600.0, 450.0, 350.0)
    assert monitor().judge(replace(hot, values=values), (), at(3)) == ()


@pytest.mark.parametrize("n_atoms", [21, 32, 240])
def test_healthy_cells_of_any_size_stay_in_the_fine_window(n_atoms):
    context = at(3, n_atoms=n_atoms)
    n_seeds = 40 if n_atoms < 100 else 8
    failed = [
        seed
        for seed in range(n_seeds)
        if monitor().judge(healthy_trace(context, seed=seed), (), context)
    ]
    assert failed == []


def test_the_published_fine_window_kills_healthy_small_cells():
    context = at(3)
    paper = monitor(published=True)
    dead = sum(bool(paper.judge(healthy_trace(context, seed=s), (), context)) for s in range(20))
    assert dead >= 12


def test_a_large_cell_needs_no_average_and_a_small_one_a_short_one():
    assert monitor().average_fs(monitor().window(at(3)), at(3, n_atoms=2000)) == 0.0
    assert 0.0 < monitor().average_fs(monitor().window(at(3)), at(3)) <= 1000.0


@pytest.mark.parametrize("level", [150.0, 560.0])
def test_a_lasting_excursion_is_found_in_the_fine_window(level):
    trace = planted(healthy_trace(at(3)), T, 4000.0, level)
    verdicts = monitor().judge(trace, (), at(3))
    assert 4000.0 < verdicts[0].time_fs < 5000.0


def test_an_explosion_is_found_at_its_first_row():
    trace = planted(healthy_trace(at(3)), T, 4000.0, 5000.0)
    verdicts = monitor().judge(trace, (), at(3))
    assert (verdicts[0].time_fs, verdicts[0].value) == (4000.0, 5000.0)


def test_the_guilty_atom_is_the_one_at_20000_k():
    context = at(0)
    velocities = np.zeros((32, 3))
    hydrogen = context.system.frame.species.index("H")
    velocities[hydrogen] = (0.22, 0.0, 0.0)  # 2.5 eV
    frame = MdFrame(context.system.frame, 4000.0, velocities=velocities)
    trace = planted(healthy_trace(context), T, 4000.0, 1200.0)
    assert monitor().judge(trace, (frame,), context)[0].atoms == (hydrogen,)


def test_a_fine_window_that_healthy_fluctuations_leave_is_refused_with_figures():
    tight = monitor(windows=[Window(lower_k=200.0, upper_k=500.0, average_fs=0.0)])
    with pytest.raises(ConfigurationError, match=r"93 degrees of freedom.*width of 44 K") as error:
        tight.check(at(0))
    assert "average_fs" in str(error.value)
    assert "widen the window" in str(error.value)


def test_the_average_the_refusal_suggests_is_accepted():
    context = at(0)
    window = Window(lower_k=200.0, upper_k=500.0)
    enough = monitor().average_fs(window, context)
    monitor(windows=[window.model_copy(update={"average_fs": enough})]).check(context)


def test_no_average_saves_a_window_that_is_too_narrow():
    with pytest.raises(ConfigurationError, match="healthy fluctuations"):
        monitor(windows=[Window(lower_k=299.0, upper_k=301.0)]).check(at(0))


def test_a_target_outside_the_window_is_refused():
    with pytest.raises(ConfigurationError, match=r"300 K is not inside the window \[400, 900\]"):
        monitor(windows=[Window(lower_k=400.0, upper_k=900.0)]).check(at(0))


def test_start_velocities_above_the_hard_limit_are_refused():
    context = at(0)
    context = replace(context, condition=replace(context.condition, velocity_factor=4.0))
    with pytest.raises(ConfigurationError, match="1200 K"):
        monitor().check(context)


def test_a_window_upside_down_and_windows_out_of_order_are_refused():
    with pytest.raises(ValueError, match="not below"):
        Window(lower_k=500.0, upper_k=200.0)
    with pytest.raises(ValueError, match="ascend from generation 0"):
        monitor(windows=[Window(from_generation=2, lower_k=5.0, upper_k=1000.0)])


def test_default_windows_suit_the_quickstart_and_the_lithium_campaign():
    for n_atoms, temperature in ((21, 300.0), (32, 300.0), (128, 50.0), (128, 900.0)):
        monitor().check(at(0, n_atoms=n_atoms, temperature_k=temperature))

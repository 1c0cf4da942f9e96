import dataclasses

import numpy as np

from sis_engine.records import Quantity, Trace
from sis_engine.report.facts import TemperatureWindow
from sis_engine.report.traces import judged_mean, next_starts, trace_figures, window_text
from tests.unit.report import synthetic


def test_each_generation_has_a_temperature_and_an_energy_panel_for_its_system():
    found = trace_figures(synthetic.records(), synthetic.facts().windows)
    assert [figure.id for figure in found] == ["traces-0", "traces-1", "traces-2"]
    assert all(len(figure.panels) == 2 for figure in found)
    assert "limit 1000" in found[0].panels[0]


def test_every_death_is_marked_in_both_panels():
    figure = trace_figures(synthetic.records()[:1], ())[0]
    for panel in figure.panels:
        assert panel.count("t_cp:") == 2
        assert panel.count("t_next of") == 1


def test_a_replica_continued_from_an_earlier_frame_is_drawn_with_a_gap():
    record = synthetic.generation_two()
    run = record.explorations[0]
    time_fs = np.array([0.0, 10.0, 20.0, 30.0, 20.0, 30.0, 40.0])
    values = np.full((7, 2), 300.0)
    trace = Trace(run.trace.replica, time_fs, run.trace.quantities, values)
    one = dataclasses.replace(
        record, explorations=(dataclasses.replace(run, trace=trace, md_ps=0.04),)
    )
    panel = trace_figures((one,), ())[0].panels[0]
    path = panel.split(' d="')[1].split('"')[0]
    assert path.count("M") == 2


def test_single_points_have_no_t_next():
    record = synthetic.generation_zero()
    plan = dataclasses.replace(record.decision.plans[0], segment=None)
    decided = dataclasses.replace(record.decision, plans=(plan,))
    assert next_starts((dataclasses.replace(record, decision=decided),)) == ()


def test_a_window_may_have_one_end_only():
    assert window_text(TemperatureWindow(0, 5.0, 1000.0)) == "5 to 1000\u00a0K"
    assert window_text(TemperatureWindow(0, None, 1000.0)) == "below 1000\u00a0K"
    assert window_text(TemperatureWindow(0, 5.0, None)) == "above 5\u00a0K"
    averaged = TemperatureWindow(0, 200.0, 500.0, average_fs=286.102)
    assert window_text(averaged) == "200 to 500\u00a0K for the mean over 286 fs"


def test_where_the_mean_is_judged_the_mean_is_drawn_and_the_values_are_faint():
    found = trace_figures(synthetic.records(), synthetic.facts().windows)
    coarse, fine = found[1], found[2]
    assert "line faint" not in coarse.panels[0]
    assert fine.panels[0].count("line faint") == fine.panels[0].count("mean, as judged") == 4
    assert "limit 560\u00a0K, 286 fs mean" in fine.panels[0]
    assert "the mean (full line)" in fine.caption
    assert "mean" not in coarse.caption.replace("the mean of the labels", "")


def test_the_mean_begins_after_the_burn_in_and_again_where_a_replica_was_continued():
    rule = dataclasses.replace(synthetic.RULES[1], after_fs=20.0, average_fs=20.0)
    time_fs = np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 30.0, 40.0, 50.0])
    values = np.array([900.0, 900.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0])
    trace = Trace("r", time_fs, (Quantity.TEMPERATURE,), values[:, None])
    _, mean = judged_mean(trace, rule)
    nan = np.nan
    np.testing.assert_allclose(mean, [nan, nan, nan, nan, 250.0, 350.0, nan, nan, 650.0])


def test_each_system_has_panels_of_its_own():
    record = synthetic.generation_zero()
    run = record.explorations[0]
    other = dataclasses.replace(run.replica.system, name="bulk-li")
    moved = dataclasses.replace(
        run, replica=dataclasses.replace(run.replica, system=other, id="g0000-bulk-li-300K-r00")
    )
    both = dataclasses.replace(record, explorations=(run, moved))
    figure = trace_figures((both,), ())[0]
    assert len(figure.panels) == 4
    assert "bulk-li: temperature" in figure.panels[0]


def test_one_absurd_energy_does_not_flatten_the_panel():
    record = synthetic.generation_zero()
    run = record.explorations[0]
    values = run.trace.values.copy()
    values[-1, 1] = -1e6
    trace = Trace(run.trace.replica, run.trace.time_fs, run.trace.quantities, values)
    one = dataclasses.replace(record, explorations=(dataclasses.replace(run, trace=trace),))
    panel = trace_figures((one,), ())[0].panels[1]
    assert "e5" not in panel
    assert "00000" not in panel

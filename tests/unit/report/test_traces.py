import dataclasses

import numpy as np

from sis_engine.records import Trace
from sis_engine.report.facts import TemperatureWindow
from sis_engine.report.traces import next_starts, trace_figures, window_text
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

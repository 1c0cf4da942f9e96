"""MD that runs now, as who watches sees it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sis_engine.bookkeeping import live as live_module
from sis_engine.bookkeeping.live import MOST_POINTS, LiveCurve, LiveTraces, read_live
from sis_engine.report.live_figure import live_figure


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "WRITE_EVERY_S", 0.0)


def told(time_ps: float, temperature_k: float = 300.0, **more: float) -> dict[str, float | str]:
    return {"replica": "g0-r1", "time_ps": time_ps, "temperature_k": temperature_k, **more}


def test_what_the_explorer_says_is_what_the_watcher_reads(tmp_path: Path) -> None:
    traces = LiveTraces(tmp_path)
    traces.begin(2, "explore")
    traces.take({"window_low_k": 5.0, "window_high_k": 1000.0})
    traces.take(told(0.1, 310.0, potential_energy=-80.5))
    traces.take(told(0.2, 320.0))
    found = read_live(tmp_path)
    assert found is not None
    assert (found.generation, found.window_k) == (2, (5.0, 1000.0))
    curve = found.curves["g0-r1"]
    assert curve.times_ps == [0.1, 0.2]
    assert curve.temperatures_k == [310.0, 320.0]
    assert curve.energies == [-80.5, None]


def test_other_progress_is_no_md_and_a_new_stage_keeps_the_curves(tmp_path: Path) -> None:
    traces = LiveTraces(tmp_path)
    traces.begin(0, "explore")
    traces.take(told(0.1))
    traces.begin(0, "decide")
    traces.take({"loss": 0.1})
    traces.take(told(0.2, math.nan))
    found = read_live(tmp_path)
    assert found is not None
    assert found.curves["g0-r1"].times_ps == [0.1]
    traces.begin(1, "explore")
    again = read_live(tmp_path)
    assert again is not None
    assert not again.curves


def test_a_long_curve_is_thinned_and_reaches_to_its_end() -> None:
    curve = LiveCurve()
    for step in range(10_000):
        curve.add(float(step), 300.0, None)
    assert MOST_POINTS // 2 <= len(curve.times_ps) <= MOST_POINTS
    assert curve.times_ps[0] == 0.0
    assert curve.times_ps[-1] >= 10_000 - 2 * curve.stride
    steps = {b - a for a, b in zip(curve.times_ps, curve.times_ps[1:], strict=False)}
    assert steps == {float(curve.stride)}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"generation": 1}', '{"replicas": 3}', "null"])
def test_a_torn_file_is_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "live.json").write_text(text)
    assert read_live(tmp_path) is None


def test_a_full_disk_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    traces = LiveTraces(tmp_path)
    traces.begin(0, "explore")
    traces.take(told(0.1))


def test_the_figure_has_both_panels_with_the_window(tmp_path: Path) -> None:
    traces = LiveTraces(tmp_path)
    traces.begin(0, "explore")
    assert live_figure(read_live(tmp_path)).panels == ()
    traces.take({"window_low_k": 5.0, "window_high_k": 600.0})
    for step in range(5):
        traces.take(told(0.1 * step, 300.0 + step, potential_energy=-80.0 - step))
    temperature, energy = live_figure(read_live(tmp_path)).panels
    assert "limit 600" in temperature
    assert "<path" in temperature
    assert "<path" in energy


def test_without_energies_the_panel_says_so(tmp_path: Path) -> None:
    traces = LiveTraces(tmp_path)
    traces.begin(0, "explore")
    traces.take(told(0.1))
    traces.take(told(0.2))
    assert "not told" in live_figure(read_live(tmp_path)).panels[1]

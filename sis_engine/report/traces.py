"""T(t) and E(t) of every replica, with the window, t_cp and t_next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sis_engine.analysis.running_mean import running_mean
from sis_engine.records import (
    Exploration,
    FloatArray,
    HaltRule,
    LabelPlan,
    Life,
    PlanOutcome,
    Quantity,
    Requests,
    Support,
    Trace,
)
from sis_engine.report.blocks import Figure
from sis_engine.report.downsample import min_max
from sis_engine.report.facts import TemperatureWindow
from sis_engine.report.limits import rules_of, temperature_rules
from sis_engine.report.scale import Axis, spanning
from sis_engine.report.svg import Panel, colour
from sis_engine.report.wording import kelvin, picoseconds, plural

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord

WIDTH = 460.0
FAR_EV = 40.0
"""How far from the median energies are drawn where no labels set the scale."""

POINTS = 1200
"""Points drawn in one panel, shared by its replicas: a panel is about 400 pixels wide."""


@dataclass(frozen=True)
class NextStart:
    """Where the next labels start: t_next of a replica that ended in a catastrophe.

    rung: which rung of the plan held, ``None`` while its labels are not committed
    """

    generation: int
    replica: str
    time_fs: float
    rung: str | None


def next_starts(records: Sequence[GenerationRecord]) -> tuple[NextStart, ...]:
    """t_next of every requested segment that answers a replica's catastrophe."""
    found: list[NextStart] = []
    for index, record in enumerate(records):
        if not isinstance(record.decision, Requests):
            continue
        later = records[index + 1].outcomes if index + 1 < len(records) else ()
        outcomes = {item.plan_id: item for item in later}
        owners = _owners(record)
        for plan in record.decision.plans:
            start = _next_start(record.generation, plan, outcomes.get(plan.id), owners)
            if start is not None:
                found.append(start)
    return tuple(found)


def _owners(record: GenerationRecord) -> dict[str, str]:
    """Replica by frame key: a plan does not name its replica, but starts from its frames."""
    owners: dict[str, str] = {}
    for run in record.explorations:
        for item in run.frames:
            owners[item.frame.key] = run.replica.id
    for run in record.explorations:
        owners.setdefault(run.replica.start.key, run.replica.id)
    return owners


def _next_start(
    generation: int, plan: LabelPlan, outcome: PlanOutcome | None, owners: dict[str, str]
) -> NextStart | None:
    chosen = 0 if outcome is None or outcome.start_index is None else outcome.start_index
    if plan.segment is None or chosen >= len(plan.starts):
        return None
    start = plan.starts[chosen]
    known = (owners.get(item.frame.key) for item in plan.starts)
    replica = next((item for item in known if item is not None), None)
    if replica is None or start.time_fs is None:
        return None
    rung = None if outcome is None else outcome.rung.value
    return NextStart(generation, replica, start.time_fs, rung)


def trace_figures(
    records: Sequence[GenerationRecord], windows: Sequence[TemperatureWindow]
) -> tuple[Figure, ...]:
    """One figure a generation: a temperature and an energy panel for each system."""
    starts = next_starts(records)
    return tuple(
        _generation_figure(
            record,
            [w for w in windows if w.generation == record.generation],
            [s for s in starts if s.generation == record.generation],
        )
        for record in records
        if record.explorations
    )


def _generation_figure(
    record: GenerationRecord, windows: list[TemperatureWindow], starts: list[NextStart]
) -> Figure:
    lives = {life.replica: life for life in record.lives}
    panels: list[str] = []
    for system in sorted({run.replica.system.name for run in record.explorations}):
        runs = [run for run in record.explorations if run.replica.system.name == system]
        support = next((item for item in record.support if item.system == system), None)
        drawing = _Drawing(runs, lives, starts, windows, support, rules_of(record, system))
        panels += [drawing.temperature(system), drawing.energy(system)]
    died = sum(not life.censored for life in record.lives)
    caption = (
        f"Generation {record.generation}: temperature and potential energy along "
        f"{plural(len(record.explorations), 'replica')} of the model’s MD, of which {died} ended "
        f"in a catastrophe. Crosses mark t_cp, triangles t_next (where the next labels start). "
        f"{_window_words(windows)} Energies are relative to the mean of the labels; the band "
        f"is the range that labels cover. Values beyond a panel are drawn at its edge. "
        f"Peaks and dips survive the thinning of the curves."
    )
    title = f"MD of generation {record.generation}"
    return Figure(f"traces-{record.generation}", title, caption, tuple(panels), layout="pairs")


def _window_words(windows: Sequence[TemperatureWindow]) -> str:
    if not windows:
        return "The temperature window is not recorded."
    words = f"Temperature window: {'; '.join(map(window_text, windows))} (unshaded)."
    if any(window.average_fs for window in windows):
        words += (
            " It is the mean (full line) that has to stay inside; the values themselves (faint) may"
            " leave it and are held to the other limits only."
        )
    return words


def window_text(window: TemperatureWindow) -> str:
    """5 to 1000 K, below 1000 K, 200 to 500 K for the mean over 286 fs, …"""
    mean = f" for the mean over {window.average_fs:.0f} fs" if window.average_fs else ""
    return f"{_ends_text(window)}{mean}"


def _ends_text(window: TemperatureWindow) -> str:
    if window.low_k is not None and window.high_k is not None:
        return f"{window.low_k:g} to {kelvin(window.high_k)}"
    if window.high_k is not None:
        return f"below {kelvin(window.high_k)}"
    return "none" if window.low_k is None else f"above {kelvin(window.low_k)}"


@dataclass(frozen=True)
class _Drawing:
    """The replicas of one system in one generation."""

    runs: Sequence[Exploration]
    lives: dict[str, Life]
    starts: Sequence[NextStart]
    windows: Sequence[TemperatureWindow]
    support: Support | None
    rules: Sequence[HaltRule]

    def temperature(self, system: str) -> str:
        series = [self._series(run, Quantity.TEMPERATURE, 0.0) for run in self.runs]
        axis = self._temperature_axis(series)
        panel = Panel(f"{system}: temperature", self._time_axis(), axis, width=WIDTH)
        for window in self.windows:
            mean = f", {window.average_fs:.0f} fs mean" if window.average_fs else ""
            if window.high_k is not None:
                panel.strip(window.high_k, 2.0 * axis.high, "outside")
                panel.level(window.high_k, "warn", f"limit {kelvin(window.high_k)}{mean}")
            if window.low_k is not None:
                panel.strip(axis.low - axis.high, window.low_k, "outside")
                panel.level(window.low_k, "warn", f"limit {kelvin(window.low_k)}{mean}")
        means = self._means()
        self._draw(panel, series, faint=bool(means))
        for index, (run, (x, y)) in enumerate(means):
            tip = f"{self._tip(run)}; mean, as judged"
            panel.curve(x.tolist(), y.tolist(), colour(index), tip=tip)
        return panel.svg()

    def _means(self) -> list[tuple[Exploration, tuple[FloatArray, FloatArray]]]:
        """Of each replica the temperature's mean where a rule judges it; empty: none does."""
        rule = next((item for item in temperature_rules(self.rules) if item.average_fs), None)
        if rule is None:
            return []
        return [(run, self._thinned(*judged_mean(run.trace, rule), 0.0)) for run in self.runs]

    def energy(self, system: str) -> str:
        zero = 0.0 if self.support is None else self.support.energy_mean
        series = [self._series(run, Quantity.POTENTIAL_ENERGY, zero) for run in self.runs]
        axis = self._energy_axis(series)
        panel = Panel(f"{system}: potential energy", self._time_axis(), axis, width=WIDTH)
        if self.support is not None:
            panel.strip(
                self.support.energy_min - zero,
                self.support.energy_max - zero,
                "inside",
                tip="range of the labelled energies",
            )
        self._draw(panel, series)
        if not any(np.isfinite(y).any() for _, y in series):
            panel.note(panel.inner_width / 2, panel.inner_height / 2, "not measured", "middle")
        return panel.svg()

    def _series(
        self, run: Exploration, quantity: Quantity, zero: float
    ) -> tuple[FloatArray, FloatArray]:
        """Thinned (time in ps, value minus zero)."""
        values = run.trace.series(quantity)
        if values is None:
            return run.trace.time_fs[:0], run.trace.time_fs[:0]
        return self._thinned(run.trace.time_fs, values, zero)

    def _thinned(
        self, time_fs: FloatArray, values: FloatArray, zero: float
    ) -> tuple[FloatArray, FloatArray]:
        time_ps = time_fs / 1000.0
        buckets = max(40, POINTS // (2 * len(self.runs)))
        return min_max(*_broken_where_time_goes_back(time_ps, values - zero), buckets)

    def _time_axis(self) -> Axis:
        ends = [run.trace.time_fs[-1] / 1000.0 for run in self.runs if len(run.trace.time_fs)]
        ends += [run.md_ps for run in self.runs]
        longest = max((end for end in ends if math.isfinite(end)), default=1.0) or 1.0
        return Axis("time / ps", 0.0, longest * 1.02)

    def _temperature_axis(self, series: Sequence[tuple[FloatArray, FloatArray]]) -> Axis:
        highs = [w.high_k for w in self.windows if w.high_k is not None]
        target = max(run.replica.condition.temperature_k for run in self.runs)
        seen = np.concatenate([y[np.isfinite(y)] for _, y in series] or [np.zeros(0)])
        most = float(seen.max()) if len(seen) else 2.0 * target
        ceiling = 1.35 * max(highs) if highs else 5.0 * target
        top = min(most * 1.08, ceiling) if most > max(highs, default=0.0) else most * 1.15
        if highs and max(highs) < 2.5 * top:
            top = max(top, max(highs) * 1.12)
        return Axis("temperature / K", 0.0, max(top, 1.2 * target))

    def _energy_axis(self, series: Sequence[tuple[FloatArray, FloatArray]]) -> Axis:
        """Around the labels and nearly all of the MD, but no farther than a reader can use."""
        seen = np.concatenate([y[np.isfinite(y)] for _, y in series] or [np.zeros(0)])
        edges: list[float] = []
        reach = FAR_EV
        if self.support is not None:
            zero = self.support.energy_mean
            edges = [self.support.energy_min - zero, self.support.energy_max - zero]
            reach = max(10.0 * (edges[1] - edges[0]), 5.0)
        if len(seen):
            middle = float(np.median(seen))
            edges += [
                max(float(seen.min()), middle - reach),
                min(float(seen.max()), middle + reach),
            ]
        return spanning("potential energy / eV", edges)

    def _draw(
        self,
        panel: Panel,
        series: Sequence[tuple[FloatArray, FloatArray]],
        *,
        faint: bool = False,
    ) -> None:
        for index, (run, (x, y)) in enumerate(zip(self.runs, series, strict=True)):
            css = colour(index)
            line = f"{'faint' if faint else 'thin'} {css}"
            panel.curve(x.tolist(), y.tolist(), line, tip=self._tip(run))
            self._marks(panel, run, x, y, css)
            name = run.replica.id.rsplit("-", 1)[-1]
            panel.legend(name, css)

    def _marks(
        self, panel: Panel, run: Exploration, x: FloatArray, y: FloatArray, css: str
    ) -> None:
        life = self.lives.get(run.replica.id)
        if life is not None and life.verdict is not None:
            t = life.verdict.time_fs / 1000.0
            panel.dot(
                t, _near(x, y, t), css, shape="cross", size=5.0, tip=f"t_cp: {self._tip(run)}"
            )
        for start in self.starts:
            if start.replica == run.replica.id:
                t = start.time_fs / 1000.0
                how = "" if start.rung is None else f" ({start.rung.replace('_', ' ')})"
                tip = f"t_next of {run.replica.id}: {picoseconds(t)}{how}"
                panel.dot(t, _near(x, y, t), css, shape="triangle", size=5.0, tip=tip)

    def _tip(self, run: Exploration) -> str:
        life = self.lives.get(run.replica.id)
        if life is None:
            return run.replica.id
        if life.verdict is None:
            return f"{run.replica.id}: lived to the end, {picoseconds(life.time_ps)}"
        return (
            f"{run.replica.id}: {life.verdict.monitor}, {life.verdict.criterion}, "
            f"at {picoseconds(life.time_ps)}"
        )


def judged_mean(trace: Trace, rule: HaltRule) -> tuple[FloatArray, FloatArray]:
    """(time in fs, mean) at every row of a trace; NaN where the rule does not judge yet.

    A replica that was continued is judged from there on anew.
    """
    values = trace.series(rule.quantity)
    average_fs = rule.average_fs or 0.0
    if values is None:
        return trace.time_fs[:0], trace.time_fs[:0]
    back = _where_time_goes_back(trace.time_fs)
    means = []
    for time_fs, piece in zip(np.split(trace.time_fs, back), np.split(values, back), strict=True):
        mean, ready = running_mean(
            piece, ~np.isnan(piece), time_fs, average_fs=average_fs, after_fs=rule.after_fs
        )
        means.append(np.where(ready, mean, np.nan))
    return trace.time_fs, np.concatenate(means)


def _where_time_goes_back(x: FloatArray) -> npt.NDArray[np.intp]:
    """Where a replica was continued from an earlier frame (a suspect that was cleared)."""
    return np.flatnonzero(np.diff(x) < 0.0) + 1


def _broken_where_time_goes_back(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    back = _where_time_goes_back(x)
    return np.insert(x, back, x[back]), np.insert(y, back, np.nan)


def _near(x: FloatArray, y: FloatArray, at: float) -> float:
    """The finite value of the curve nearest to ``at``, for placing a mark."""
    good = np.flatnonzero(np.isfinite(y))
    if not len(good):
        return 0.0
    return float(y[good[np.argmin(np.abs(x[good] - at))]])


__all__ = ["NextStart", "next_starts", "trace_figures"]

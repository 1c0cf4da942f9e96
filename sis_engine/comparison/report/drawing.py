"""A drawing before it has a medium: the same marks for the page (SVG) and the paper (SVG, PDF)."""

from __future__ import annotations

from dataclasses import dataclass

from sis_engine.report.scale import Axis
from sis_engine.report.svg import SHAPES, Panel, colour

REFERENCE = -1
"""The series that all others are compared with: no arm's colour, and dashed."""


@dataclass(frozen=True)
class Line:
    """A curve, or stairs: ``ys[i]`` holds from ``xs[i]`` on. series: which colour and shape"""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    series: int
    steps: bool = False
    dashed: bool = False
    tip: str = ""


@dataclass(frozen=True)
class Area:
    """The band between two curves (or stairs)."""

    xs: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    series: int
    steps: bool = False


@dataclass(frozen=True)
class Mark:
    """A point with its interval, upright or lying; hollow: censored."""

    x: float
    y: float
    series: int
    low: float | None = None
    high: float | None = None
    lying: bool = False
    hollow: bool = False
    tip: str = ""


@dataclass(frozen=True)
class Bar:
    """A lying bar at height ``y`` from ``low`` to ``high``."""

    y: float
    half: float
    low: float
    high: float
    series: int
    tip: str = ""


@dataclass(frozen=True)
class Rule:
    """A line across the whole drawing, upright or level. text: at the left of a level one"""

    value: float
    upright: bool = False
    text: str = ""


@dataclass(frozen=True)
class Drawing:
    """One set of axes. legend: (text, series)"""

    id: str
    title: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...] = ()
    areas: tuple[Area, ...] = ()
    marks: tuple[Mark, ...] = ()
    bars: tuple[Bar, ...] = ()
    rules: tuple[Rule, ...] = ()
    legend: tuple[tuple[str, int], ...] = ()
    left: float = 52.0


@dataclass(frozen=True)
class Plate:
    """Drawings under one caption. note: shown in place of drawings when there are none"""

    id: str
    title: str
    caption: str
    drawings: tuple[Drawing, ...]
    note: str = ""


def css_of(series: int) -> str:
    """Colour of a series on the page."""
    return "ink" if series == REFERENCE else colour(series)


def shape(series: int) -> str:
    """Shapes repeat what colours say."""
    return SHAPES[series % len(SHAPES)]


def stepped(
    xs: tuple[float, ...], *values: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """The corners of stairs, for each of several heights."""
    across: list[float] = []
    up: list[list[float]] = [[] for _ in values]
    for index, x in enumerate(xs):
        if index:
            across.append(x)
            for heights in up:
                heights.append(heights[-1])
        across.append(x)
        for heights, given in zip(up, values, strict=True):
            heights.append(given[index])
    return tuple(across), tuple(tuple(heights) for heights in up)


def on_screen(drawing: Drawing, *, width: float = 380.0, height: float = 250.0) -> str:
    """Inline SVG in the report's own style."""
    panel = Panel(
        drawing.title, drawing.x, drawing.y, width=width, height=height, left=drawing.left
    )
    for area in drawing.areas:
        xs, (low, high) = area.xs, (area.low, area.high)
        if area.steps:
            xs, (low, high) = stepped(area.xs, area.low, area.high)
        panel.band(xs, low, high, css_of(area.series))
    for rule in drawing.rules:
        if rule.upright:
            panel.upright(rule.value, "ink")
        else:
            panel.level(rule.value, "ink")
        if rule.text:
            panel.note(3.0, panel.py(rule.value) - 4.0, rule.text)
    for bar in drawing.bars:
        panel.bar(bar.y, bar.half, bar.low, bar.high, css_of(bar.series), bar.tip, lying=True)
    for line in drawing.lines:
        css = f"dashed {css_of(line.series)}" if line.dashed else css_of(line.series)
        draw = panel.stairs if line.steps else panel.curve
        draw(line.xs, line.ys, css, tip=line.tip)
    for mark in drawing.marks:
        _mark(panel, mark)
    for text, series in drawing.legend:
        css = "dashed ink" if series == REFERENCE else css_of(series)
        panel.legend(text, css, "area" if drawing.bars else "line")
    return panel.svg()


def _mark(panel: Panel, mark: Mark) -> None:
    css = css_of(mark.series)
    if mark.low is not None and mark.high is not None:
        if mark.lying:
            panel.curve([mark.low, mark.high], [mark.y, mark.y], css)
        else:
            panel.whisker(mark.x, mark.low, mark.high, css)
    panel.dot(
        mark.x, mark.y, css, shape=shape(mark.series), hollow=mark.hollow, tip=mark.tip, size=3.6
    )

"""Drawings as figures for a paper: vector SVG and PDF, a column wide, the same bytes each time."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sis_engine.comparison.report.drawing import REFERENCE, Area, Bar, Drawing, Line, Mark, Rule
from sis_engine.report.scale import Axis
from sis_engine.storage.atomic import write_bytes

WIDTH_IN, HEIGHT_IN = 3.35, 2.5
"""One column of a journal page, 85 mm; a legend stands below and makes it higher."""

LEGEND_ROW_IN, LEGEND_KEY_IN, LEGEND_LETTER_IN = 0.14, 0.42, 0.05
"""What a row of the legend takes, a key with the space around it, and a letter beside it."""

COLOURS = ("#0b6aa8", "#c8500a", "#00805c", "#9a6700", "#8a4a9e", "#4aa3d8", "#b0306a", "#6b6f73")
"""Those of the report (``report.css``), told apart by people with any common colour blindness."""

SHAPES = ("o", "s", "^", "D")

DASHES = (0, (4, 2))

STYLE: dict[str, Any] = {
    "font.size": 8.0,
    "axes.linewidth": 0.6,
    "axes.titlesize": 8.0,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "sis-engine",
    "xtick.direction": "in",
    "ytick.direction": "in",
}


def write_figures(drawings: Iterable[Drawing], folder: Path) -> tuple[Path, ...]:
    """``<id>.svg`` and ``<id>.pdf`` of each drawing; their paths."""
    import matplotlib as mpl

    written: list[Path] = []
    with mpl.rc_context(STYLE):
        for drawing in drawings:
            figure = _figure(drawing)
            for form, dated in (("svg", "Date"), ("pdf", "CreationDate")):
                stream = io.BytesIO()
                figure.savefig(stream, format=form, metadata={dated: None})
                path = folder / f"{drawing.id}.{form}"
                write_bytes(path, stream.getvalue())
                written.append(path)
    return tuple(written)


def _figure(drawing: Drawing) -> Any:
    from matplotlib.figure import Figure

    n_columns = _legend_columns(drawing)
    n_rows = -(-len(drawing.legend) // n_columns)
    size = (WIDTH_IN, HEIGHT_IN + LEGEND_ROW_IN * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(drawing.title)
    _axis(axes, "x", drawing.x)
    _axis(axes, "y", drawing.y)
    for rule in drawing.rules:
        _rule(axes, rule)
    for area in drawing.areas:
        _area(axes, area)
    for bar in drawing.bars:
        _bar(axes, bar)
    for line in drawing.lines:
        _line(axes, line)
    for mark in drawing.marks:
        _mark(axes, mark)
    if drawing.legend:
        figure.legend(
            handles=[_key(drawing, text, series) for text, series in drawing.legend],
            loc="outside lower center",
            ncols=n_columns,
            handlelength=1.8,
            columnspacing=1.2,
            borderpad=0.0,
        )
    return figure


def _legend_columns(drawing: Drawing) -> int:
    """As many entries side by side as the width holds, by an estimate of the longest one's."""
    longest = max((len(text) for text, _ in drawing.legend), default=0)
    fitting = int(WIDTH_IN / (LEGEND_KEY_IN + LEGEND_LETTER_IN * longest))
    return max(1, min(fitting, len(drawing.legend)))


def _key(drawing: Drawing, text: str, series: int) -> Any:
    """The sample of a series in the legend."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if drawing.bars:
        return Patch(color=colour(series), label=text)
    style = DASHES if series == REFERENCE else "solid"
    shape = marker(drawing, series)
    return Line2D(
        [], [], color=colour(series), linestyle=style, label=text, marker=shape, markersize=3
    )


def colour(series: int) -> str:
    return "black" if series == REFERENCE else COLOURS[series % len(COLOURS)]


def marker(drawing: Drawing, series: int) -> str:
    """The shape of a series where it has marks."""
    has_marks = any(mark.series == series for mark in drawing.marks)
    return SHAPES[series % len(SHAPES)] if has_marks else ""


def _axis(axes: Any, which: str, axis: Axis) -> None:
    set_of = {name: getattr(axes, f"set_{which}{name}") for name in ("label", "lim", "scale")}
    set_of["label"](axis.label)
    if axis.log:
        set_of["scale"]("log")
    set_of["lim"](axis.low, axis.high)
    if axis.marks is not None:
        ticks = getattr(axes, f"set_{which}ticks")
        ticks([value for value, _ in axis.marks], [text for _, text in axis.marks])


def _rule(axes: Any, rule: Rule) -> None:
    draw = axes.axvline if rule.upright else axes.axhline
    draw(rule.value, color="0.5", linewidth=0.6, linestyle=(0, (4, 3)))
    if rule.text:
        across = axes.get_yaxis_transform()
        axes.text(
            0.03, rule.value, rule.text, transform=across, va="bottom", fontsize=6.0, color="0.35"
        )


def _area(axes: Any, area: Area) -> None:
    axes.fill_between(
        area.xs,
        area.low,
        area.high,
        step="post" if area.steps else None,
        color=colour(area.series),
        alpha=0.14,
        linewidth=0.0,
    )


def _bar(axes: Any, bar: Bar) -> None:
    axes.barh(
        bar.y,
        bar.high - bar.low,
        height=2.0 * bar.half,
        left=bar.low,
        color=colour(bar.series),
        edgecolor="white",
        linewidth=0.4,
    )


def _line(axes: Any, line: Line) -> None:
    axes.plot(
        line.xs,
        line.ys,
        color=colour(line.series),
        drawstyle="steps-post" if line.steps else "default",
        linestyle=DASHES if line.dashed else "solid",
    )


def _mark(axes: Any, mark: Mark) -> None:
    if mark.low is not None and mark.high is not None:
        ends = ([mark.low, mark.high], [mark.y, mark.y])
        if not mark.lying:
            ends = ([mark.x, mark.x], [mark.low, mark.high])
        axes.plot(*ends, color=colour(mark.series), linewidth=0.8)
    if math.isfinite(mark.x) and math.isfinite(mark.y):
        axes.plot(
            mark.x,
            mark.y,
            marker=SHAPES[mark.series % len(SHAPES)],
            color=colour(mark.series),
            markerfacecolor="white" if mark.hollow else colour(mark.series),
            markersize=3.5,
            linestyle="none",
        )

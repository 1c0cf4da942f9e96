"""Kaplan-Meier estimates of several arms in one drawing: stairs, and how well they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sis_engine.analysis.survival import KaplanMeier
from sis_engine.comparison.report.drawing import Area, Line, Mark

FEW_ARMS = 3
"""The bands of more hide each other."""


@dataclass
class Stairs:
    """What is drawn of some curves, a series each. rising: the share that met the event by then"""

    end: float
    rising: bool
    lines: list[Line] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


def stairs(curves: Sequence[tuple[str, KaplanMeier | None]], end: float, *, rising: bool) -> Stairs:
    """Each arm's curve to ``end``, with a band where arms are few, else limits at one step.

    A band ends with the last that was observed: beyond, nobody is at risk, and nothing bounds it.
    """
    drawn = Stairs(end, rising)
    for series, (name, curve) in enumerate(curves):
        if curve is None:
            continue
        drawn.lines.append(_line(drawn, curve, series, name))
        if len(curves) <= FEW_ARMS:
            drawn.areas.append(_band(drawn, curve, series))
        else:
            drawn.marks += _limits(drawn, curve, series, name)
    return drawn


def limits_told(n_arms: int) -> str:
    """For the caption."""
    if n_arms <= FEW_ARMS:
        return "bands: pointwise 95 % limits, as long as any are at risk"
    return "upright bars: pointwise 95 % limits, for each arm at its step nearest to one half"


def height(line: Line, x: float) -> float:
    """Of stairs at ``x``."""
    at = zip(reversed(line.xs), reversed(line.ys), strict=True)
    return next((y for before, y in at if before <= x), line.ys[0])


def _line(drawn: Stairs, curve: KaplanMeier, series: int, name: str) -> Line:
    xs = (0.0, *map(float, curve.time_ps))
    ys = (_turned(drawn, 1.0), *(_turned(drawn, float(s)) for s in curve.survival))
    if xs[-1] < drawn.end:
        xs, ys = (*xs, drawn.end), (*ys, ys[-1])
    return Line(xs, ys, series, steps=True, tip=name)


def _band(drawn: Stairs, curve: KaplanMeier, series: int) -> Area:
    xs = (0.0, *map(float, curve.time_ps))
    low, high = (
        (_turned(drawn, 1.0), *(_turned(drawn, float(s)) for s in limit))
        for limit in (curve.lower, curve.upper)
    )
    return Area(xs, low, high, series, steps=True)


def _limits(drawn: Stairs, curve: KaplanMeier, series: int, name: str) -> list[Mark]:
    """At the step nearest to one half; none where all met it at once."""
    steps = [k for k, share in enumerate(curve.survival) if 0.0 < share < 1.0]
    return [
        Mark(
            float(curve.time_ps[k]),
            _turned(drawn, float(curve.survival[k])),
            series,
            _turned(drawn, float(curve.lower[k])),
            _turned(drawn, float(curve.upper[k])),
            tip=f"{name}: 95 % limits here",
        )
        for k in sorted(steps, key=lambda k: abs(float(curve.survival[k]) - 0.5))[:1]
    ]


def _turned(drawn: Stairs, survival: float) -> float:
    return 1.0 - survival if drawn.rising else survival

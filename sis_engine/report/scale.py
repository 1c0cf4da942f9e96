"""Linear and logarithmic axes: where a value lies, and which values deserve a tick."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """The range of one axis, in data units.

    low, high: ends (positive when ``log``);  marks: ticks by hand as (value, text)
    ticks: about how many to draw
    """

    label: str
    low: float
    high: float
    log: bool = False
    marks: tuple[tuple[float, str], ...] | None = None
    ticks: int = 5

    def fraction(self, value: float) -> float:
        """0 at ``low``, 1 at ``high``; clamped to one range beyond either end; NaN stays NaN."""
        if math.isnan(value):
            return math.nan
        if self.log:
            value = max(value, 1e-300)
            span = math.log10(self.high) - math.log10(self.low)
            share = (math.log10(value) - math.log10(self.low)) / span
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(max(share, -1.0), 2.0)

    def tick_marks(self) -> tuple[tuple[float, str], ...]:
        """(value, text) of each tick."""
        if self.marks is not None:
            return self.marks
        values = (
            decades(self.low, self.high)
            if self.log
            else nice_ticks(self.low, self.high, self.ticks)
        )
        return tuple((value, short(value)) for value in values)


def spanning(
    label: str,
    values: Iterable[float],
    *,
    floor: float | None = None,
    log: bool = False,
    margin: float = 0.06,
    ticks: int = 5,
) -> Axis:
    """An axis around all finite ``values``; ``floor``: a linear axis that starts no higher."""
    finite = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    if not finite:
        return Axis(label, 1.0 if log else 0.0, 10.0 if log else 1.0, log=log, ticks=ticks)
    low, high = min(finite), max(finite)
    if log:
        grow = max((high / low) ** margin, 1.12)
        return Axis(label, low / grow, high * grow, log=True, ticks=ticks)
    if floor is not None:
        low = min(low, floor)
    span = (high - low) or abs(high) or 1.0
    bottom = low if floor is not None and low == floor else low - margin * span
    return Axis(label, bottom, high + margin * span, ticks=ticks)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """About ``count`` round numbers (1, 2, 5 times a power of ten) within [low, high]."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    rough = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1.0, 2.0, 5.0, 10.0) if s * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high]; more between them where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ladders = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
    kept: list[float] = []
    for steps in ladders:
        found = [s * 10.0**power for power in range(first, last + 1) for s in steps]
        kept = [tick for tick in found if low * 0.999 <= tick <= high * 1.001]
        if len(kept) >= 3:
            return kept[:: max(1, math.ceil(len(kept) / 7))]
    linear = [tick for tick in nice_ticks(low, high, 4) if tick > 0]
    return max(linear, kept, key=len)


def short(value: float) -> str:
    """A tick's text: 0.05, 20, 1500, 2e5."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        text = f"{value:.6g}"
        return text.replace("-", "−")
    mantissa, exponent = f"{value:.2e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")

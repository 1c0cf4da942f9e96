"""Numbers, times and counts as a reader wants them; missing is "–"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sis_engine.numerals import NOTHING, figure


def percent(value: float | None, digits: int = 3) -> str:
    return NOTHING if value is None else f"{figure(100.0 * value, digits)}\u00a0%"


def minute(when: datetime | None) -> str:
    """A time of day to the minute, as everywhere: UTC."""
    return "" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def milli(value: float | None, digits: int = 3) -> str:
    """A thousand times the value: eV as meV."""
    return NOTHING if value is None else figure(1000.0 * value, digits)


def kelvin(value: float) -> str:
    """5 K, 1000 K: limits are round numbers."""
    return f"{value:g}\u00a0K"


def count(value: int | None) -> str:
    """3 442, with thin spaces between the thousands."""
    return NOTHING if value is None else f"{value:,}".replace(",", "\u202f")


def picoseconds(value: float | None) -> str:
    """Under 1 ps in fs, from 1000 ps in ns."""
    if value is None:
        return NOTHING
    if value < 1.0:
        return figure(value * 1000.0, 3, "fs")
    return figure(value, 3, "ps") if value < 1000.0 else figure(value / 1000.0, 3, "ns")


def duration(seconds: float | None) -> str:
    """41 s, 12 min 5 s, 3 h 20 min."""
    if seconds is None:
        return NOTHING
    if seconds < 59.95:
        return figure(seconds, 3, "s") if seconds >= 1 else figure(seconds, 2, "s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def plural(number: int, noun: str) -> str:
    """1 frame, 2 frames, 3 catastrophes."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def listed(items: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(part for part in (", ".join(items[:-1]), *items[-1:]) if part)


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    if number % 100 in {11, 12, 13}:
        return f"{number}th"
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def yes_no(value: object) -> str:
    """yes, no, or nothing for ``None``."""
    return NOTHING if value is None else ("yes" if value else "no")

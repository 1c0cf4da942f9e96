"""A number as a reader wants it, alone or beside its limit; missing is "–"."""

from __future__ import annotations

import math

NOTHING = "–"
"""What is missing, as it is shown: never a zero."""


def figure(value: float | None, digits: int = 3, unit: str = "") -> str:
    """``digits`` significant figures, with the unit: ``0.251 eV/Å``."""
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return "not finite"
    text = _plain(value, digits).replace("-", "−")
    return f"{text}\u00a0{unit}" if unit else text


def _plain(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)))
    if -4 < power < 6:
        return f"{value:.{max(digits - 1 - power, 0)}f}"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def beside(value: float | None, limit: float | None) -> tuple[str, str]:
    """A value and its limit, so that two figures of what lies between them are seen."""
    decimals = _decimals_between(value, limit)
    return figure(value, _digits(value, decimals)), figure(limit, _digits(limit, decimals))


def _decimals_between(value: float | None, limit: float | None) -> int:
    """Decimals that show two figures of the difference; as many as 12, beyond which is noise."""
    if value is None or limit is None or not math.isfinite(value - limit) or value == limit:
        return 0
    return min(1 - math.floor(math.log10(abs(value - limit))), 12)


def _digits(value: float | None, decimals: int) -> int:
    """Significant figures, at least three, that reach so many decimals."""
    if not value or not math.isfinite(value):
        return 3
    return max(3, math.floor(math.log10(abs(value))) + 1 + decimals)

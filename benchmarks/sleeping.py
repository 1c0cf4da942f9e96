"""A calculator whose calculation takes a set time and no core: workers may outnumber cores."""

from __future__ import annotations

import time
from typing import Any

from ase.calculators.morse import MorsePotential


class Sleeping(MorsePotential):  # type: ignore[misc]
    """seconds: of every calculation"""

    def __init__(self, seconds: float, **settings: Any) -> None:
        super().__init__(**settings)
        self._seconds = seconds

    def calculate(self, *given: Any, **named: Any) -> None:
        time.sleep(self._seconds)
        super().calculate(*given, **named)

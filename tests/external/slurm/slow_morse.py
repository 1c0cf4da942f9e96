"""A teacher that takes its time, so that a campaign can be disturbed while it runs."""

from __future__ import annotations

import os
import time
from typing import Any

from ase.calculators.morse import MorsePotential


class SlowMorse(MorsePotential):  # type: ignore[misc]
    """The seconds of a label are no part of the level of theory: they come from outside."""

    def calculate(self, *given: Any, **named: Any) -> None:
        time.sleep(float(os.environ.get("SIS_TEST_LABEL_S", "0")))
        super().calculate(*given, **named)

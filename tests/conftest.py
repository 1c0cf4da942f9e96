"""The figures of accuracy that tests keep beside their verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike

Figure = Callable[[str, str, float, str], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Keep: program, what was compared, the largest deviation seen, its unit.

    ``benchmarks/label_accuracy.py`` runs the tests that do, and prints them in one table.
    """

    def keep(program: str, what: str, value: float, unit: str) -> None:
        record_property("figure", (program, what, float(value), unit))

    return keep


def largest(mine: ArrayLike, theirs: ArrayLike) -> float:
    """The largest deviation of one from the other."""
    return float(np.abs(np.asarray(mine) - np.asarray(theirs)).max())

"""Two workers share the suite (`make test`): a file stays whole, the longest go first.

And the figures of accuracy that tests keep beside their verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

HERE = Path(__file__).parent
Figure = Callable[[str, str, float, str], None]
FIRST = ("external", "integration", "contract")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A file is one worker's: its fixtures are made once. So is the one Slurm of its folder."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        place = item.path.relative_to(HERE)
        whole = place.parent if place.parent.name == "slurm" else place
        item.add_marker(pytest.mark.xdist_group(whole.as_posix()))
    items.sort(key=lambda item: _turn(item.path.relative_to(HERE)))


def _turn(place: Path) -> int:
    return FIRST.index(place.parts[0]) if place.parts[0] in FIRST else len(FIRST)


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

"""Two workers share the suite (`make test`): a file stays whole, the longest go first."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
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

"""One finished small campaign for all tests that only look at one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.small_campaigns import run, write_campaign


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stable campaign, with its report. Not to be written to."""
    place = tmp_path_factory.mktemp("finished")
    config = write_campaign(place / "given")
    ended = run(place / "run", config, report=True)
    assert ended.state.value == "stable", ended
    return place / "run"


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished campaign, to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "copied"))

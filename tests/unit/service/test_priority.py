from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TELL = """
import os
from sis_engine.service.web.__main__ import give_way
give_way(7)
print(os.nice(0), open("/proc/self/autogroup").read().strip())
"""


def _told(*, session: bool) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", TELL],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        start_new_session=session,
    )
    return run.stdout.split()


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="this kernel does not group sessions"
)
def test_the_web_server_gives_way_to_other_sessions_too() -> None:
    nice, *group = _told(session=True)
    assert int(nice) >= 7
    if group and not group[0].startswith("/autogroup-0"):
        assert group[-2:] == ["nice", "7"]


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="this kernel does not group sessions"
)
def test_a_session_that_it_shares_is_left_as_it_is() -> None:
    before = Path("/proc/self/autogroup").read_text()
    _told(session=False)
    assert Path("/proc/self/autogroup").read_text() == before

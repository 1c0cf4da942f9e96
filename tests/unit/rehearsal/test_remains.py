"""What a life left running is told from what ran before it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sis_engine.rehearsal import remains


def test_children_from_before_are_let_live_and_those_of_a_life_are_named_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "PATIENCE_S", 0.1)
    monkeypatch.setattr(remains, "_OURS", set())
    with subprocess.Popen(["sleep", "60"]) as before:
        remains.adopt_orphans()
        assert remains.orphans(tmp_path) == ()
        subprocess.run(["sh", "-c", "sleep 60 & "], check=True)
        (left,) = remains.orphans(tmp_path)
        assert left.endswith((": sleep", ": sh"))
        assert remains.orphans(tmp_path) == ()
        assert before.poll() is None
        before.kill()

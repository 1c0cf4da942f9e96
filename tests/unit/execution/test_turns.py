"""GPUs that campaigns take turns on: one at a time, all or none, given back by a death too."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sis_engine.errors import StopRequested
from sis_engine.execution.turns import VISIBLE, GpuTurns, NoTurns, turns_for, turns_of

HOLDER = """
import sys, time
from pathlib import Path
from sis_engine.execution.turns import GpuTurns
turns = GpuTurns(Path(sys.argv[1]), ("0", "1"), 1, lambda kind, text: None)
turns.take(lambda: False)
print("taken", flush=True)
time.sleep(600)
"""


def never() -> bool:
    return False


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VISIBLE, "")


def made(folder: Path, *, wanted: int = 1, gpus: tuple[str, ...] = ("0", "1")) -> GpuTurns:
    return GpuTurns(folder, gpus, wanted, lambda kind, text: None)


def test_a_turn_shows_its_gpu_and_only_that(tmp_path: Path) -> None:
    first, second = made(tmp_path), made(tmp_path)
    assert first.take(never)
    assert os.environ[VISIBLE] == "0"
    assert second.take(never)
    assert os.environ[VISIBLE] == "1"
    assert not first.take(never)  # it has one
    second.give_back()
    assert os.environ[VISIBLE] == ""
    assert (first.held, second.held) == (True, False)


def test_who_finds_none_waits_says_so_and_stops_when_asked(tmp_path: Path) -> None:
    told: list[str] = []
    first = made(tmp_path, gpus=("7",))
    second = GpuTurns(tmp_path, ("7",), 1, lambda kind, _: told.append(kind))
    first.take(never)
    asked = iter([False, True])
    with pytest.raises(StopRequested):
        second.take(lambda: next(asked))
    assert told == ["gpu_wait"]
    waiting = threading.Thread(target=second.take, args=(never,))
    waiting.start()
    while len(told) < 2:
        time.sleep(0.01)
    first.give_back()
    waiting.join(30.0)
    assert second.held
    assert told == ["gpu_wait", "gpu_wait", "gpu_taken"]


def test_all_or_none(tmp_path: Path) -> None:
    one, two = made(tmp_path), made(tmp_path, wanted=2)
    one.take(never)
    asked = iter([False, True])
    with pytest.raises(StopRequested):
        two.take(lambda: next(asked))
    other = made(tmp_path)
    assert other.take(never)  # the one that was free is not kept by who waits for two


def test_a_death_gives_back(tmp_path: Path) -> None:
    held = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert held.stdout is not None
    assert held.stdout.readline() == "taken\n"
    both = made(tmp_path, wanted=2)
    asked = iter([False, True])
    with pytest.raises(StopRequested):
        both.take(lambda: next(asked))
    held.kill()
    held.communicate()
    assert both.take(never)


def test_a_service_hands_turns_to_its_engines(tmp_path: Path) -> None:
    said = turns_for(tmp_path, ("0", "1"), 2)
    assert said[VISIBLE] == ""
    turns = turns_of(said, lambda kind, text: None)
    assert isinstance(turns, GpuTurns)
    assert (turns.folder, turns.gpus, turns.wanted) == (tmp_path, ("0", "1"), 2)
    assert isinstance(turns_of({}, lambda kind, text: None), NoTurns)

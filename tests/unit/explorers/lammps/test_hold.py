"""A program that waits at a pipe is held there, and told to go on or to end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sis_engine.explorers.lammps.hold import Hold
from sis_engine.explorers.lammps.input import GO, STOP
from sis_engine.explorers.lammps.launch import HELD
from sis_engine.explorers.lock_step import LockStep
from sis_engine.records import Exit, Exploration, Replica, Rounds, Trace
from tests.unit.explorers.test_lock_step import replica


class Waiting:
    """What LAMMPS does at ``include go.1``: it waits for a writer, and reads to the end."""

    def __init__(self, pipe: Path) -> None:
        self.read: str | None = None
        self._pipe = pipe
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.read = self._pipe.read_text()


def until_arrived(hold: Hold, place: Path) -> None:
    """Looks, as at every poll, until the first look that finds it held."""
    while not (place / HELD).exists():
        hold.look()


def ended(given: Replica) -> Exploration:
    trace = Trace(given.id, [0.0], (), [[]])  # type: ignore[arg-type]
    return Exploration(given, trace, (), Exit.COMPLETED, 1.0, 1.0)


@pytest.mark.parametrize("enough", [False, True])
def test_it_is_held_until_its_sibling_has_come_or_ended(tmp_path: Path, enough: bool) -> None:
    rounds, (a, b) = Rounds(1.0, 1), (replica("a"), replica("b"))
    lock_step = LockStep(rounds, (a, b), 2)
    lock_step.begin("b", lambda: False)
    with Hold(lock_step, rounds, a, tmp_path, lambda: False) as hold:
        hold.look()  # nobody waits yet
        lammps = Waiting(tmp_path / f"{GO}.1")
        until_arrived(hold, tmp_path)
        hold.look()
        assert lammps.thread.is_alive()
        lock_step.ended("b", 0.5, failed=enough, has_turn=True)
        hold.look()
        lammps.thread.join(60.0)
        assert lammps.read == (STOP if enough else "")
        run = hold.ended(ended(a))
    assert run.exit is (Exit.STOPPED if enough else Exit.COMPLETED)


def test_who_fails_by_its_surroundings_is_not_waited_for(tmp_path: Path) -> None:
    rounds, (a, b) = Rounds(1.0, 1), (replica("a"), replica("b"))
    lock_step = LockStep(rounds, (a, b), 2)
    lock_step.begin("b", lambda: False)
    lock_step.arrived("b", 1)
    hold = Hold(lock_step, rounds, a, tmp_path, lambda: False)
    hold.__enter__()
    assert lock_step.may_go_on("b") is None
    hold.__exit__(OSError, OSError("disk full"), None)
    assert lock_step.may_go_on("b") is True

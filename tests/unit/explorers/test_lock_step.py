"""Rounds of MD time: who waits for whom, and when enough have failed."""

from __future__ import annotations

import threading

import pytest

from sis_engine.errors import StopRequested
from sis_engine.explorers.lock_step import LockStep
from sis_engine.records import Condition, Ensemble, Frame, Replica, Rounds, System

FRAME = Frame(("H",), [[0.0, 0.0, 0.0]])  # type: ignore[arg-type]
CONDITION = Condition("md", Ensemble.NVT, 300.0, 0.5, 10.0)


def replica(name: str, offset_fs: float = 0.0, duration_ps: float = 10.0) -> Replica:
    condition = Condition("md", Ensemble.NVT, 300.0, 0.5, duration_ps)
    return Replica(name, System("s", FRAME), FRAME, condition, 1, time_offset_fs=offset_fs)


def test_rounds_end_at_the_same_md_time_wherever_a_replica_began() -> None:
    rounds = Rounds(2.5, 1)
    assert rounds.ends(replica("a")) == ((1, 5000), (2, 10000), (3, 15000))
    assert rounds.ends(replica("a", offset_fs=2600.0)) == ((2, 4800), (3, 9800))
    assert rounds.ends(replica("a", offset_fs=5000.0)) == ((3, 5000),)
    assert rounds.ends(replica("a", duration_ps=2.0)) == ()


def test_only_failures_of_rounds_that_are_over_count() -> None:
    rounds = Rounds(1.0, 2)
    ended = [(0.5, True), (0.7, False), (1.0 + 1e-9, True), (1.4, True)]
    assert rounds.is_enough(ended, 1)
    assert not rounds.is_enough(ended[:2], 1)
    assert not rounds.is_enough([(0.5, True), (1.4, True)], 1)


def lock_step(rounds: Rounds, at_once: int = 3) -> LockStep:
    made = LockStep(rounds, [replica(name) for name in "abc"], at_once)
    for name in "abc"[:at_once]:
        made.begin(name, lambda: False)
    return made


def test_all_wait_for_the_slowest_and_then_go_on() -> None:
    step = lock_step(Rounds(1.0, 1))
    step.arrived("a", 1)
    step.arrived("b", 1)
    assert (step.may_go_on("a"), step.may_go_on("b")) == (None, None)
    step.arrived("c", 1)
    assert [step.may_go_on(name) for name in "abc"] == [True, True, True]


def test_after_a_round_with_enough_failures_the_others_are_stopped() -> None:
    step = lock_step(Rounds(1.0, 1))
    step.arrived("a", 1)
    step.ended("c", 0.3, failed=True, has_turn=True)
    assert step.may_go_on("a") is None  # b might still fail earlier
    step.arrived("b", 1)
    assert [step.may_go_on(name) for name in "ab"] == [False, False]


def test_a_failure_that_was_kept_from_before_a_kill_counts() -> None:
    step = lock_step(Rounds(1.0, 1, ended=((0.4, True), (7.0, True))))
    for name in "abc":
        step.arrived(name, 1)
    assert step.may_go_on("a") is False


def test_who_is_held_gives_the_turn_to_another() -> None:
    step = lock_step(Rounds(1.0, 1), at_once=1)
    for first, second in ("ab", "bc"):
        with pytest.raises(StopRequested):
            step.begin(second, lambda: True)
        step.arrived(first, 1)
        step.begin(second, lambda: False)
    step.arrived("c", 1)
    assert step.may_go_on("b") is True
    assert step.may_go_on("a") is None  # one at a time
    step.ended("b", 1.5, failed=False, has_turn=True)
    assert step.may_go_on("a") is True


def test_who_waits_for_a_turn_is_woken() -> None:
    step = lock_step(Rounds(1.0, 1), at_once=2)
    waiting = threading.Thread(target=step.begin, args=("c", lambda: False))
    waiting.start()
    step.arrived("a", 1)
    waiting.join(60.0)
    assert not waiting.is_alive()

from __future__ import annotations

import pytest

from sis_engine.bookkeeping import backoff
from sis_engine.bookkeeping.backoff import RETRY_AFTER_S, with_backoff
from sis_engine.errors import InfrastructureError


class Work:
    """Fails so many times; ``progress`` counts where it got further between two faults."""

    def __init__(self, faults: int, *, progress: bool = False) -> None:
        self.left, self.progress, self.done = faults, progress, 0

    def __call__(self) -> str:
        self.done += self.progress
        if self.left:
            self.left -= 1
            raise InfrastructureError(f"fault, {self.left} to come")
        return "finished"


def run(work: Work, monkeypatch: pytest.MonkeyPatch, *, stopped: bool = False):
    waits: list[float] = []
    told: list[str] = []

    def waited(seconds: float, _stop: object) -> bool:
        waits.append(seconds)
        return not stopped

    monkeypatch.setattr(backoff, "waited", waited)
    try:
        end = with_backoff(
            work, stop=lambda: False, tell=lambda e: told.append(str(e)), done=lambda: work.done
        )
    except InfrastructureError as error:
        end = str(error)
    return end, waits, told


def test_work_is_tried_again_after_longer_and_longer_waits(monkeypatch) -> None:
    end, waits, told = run(Work(3), monkeypatch)
    assert (end, tuple(waits)) == ("finished", RETRY_AFTER_S)
    assert len(told) == 3


def test_a_fault_that_outlives_every_wait_is_raised(monkeypatch) -> None:
    end, waits, _ = run(Work(9), monkeypatch)
    assert end == "fault, 5 to come"
    assert tuple(waits) == RETRY_AFTER_S


def test_faults_with_progress_between_them_are_not_in_a_row(monkeypatch) -> None:
    end, waits, told = run(Work(9, progress=True), monkeypatch)
    assert end == "finished"
    assert waits == [RETRY_AFTER_S[0]] * 9
    assert len(told) == 9


def test_a_stop_ends_the_waiting(monkeypatch) -> None:
    end, waits, _ = run(Work(9), monkeypatch, stopped=True)
    assert (end, len(waits)) == ("fault, 8 to come", 1)


def test_waiting_hears_a_stop() -> None:
    assert not backoff.waited(60.0, lambda: True)
    assert backoff.waited(0.0, lambda: True)


def test_a_fault_that_cannot_be_noted_because_of_itself_is_waited_for_all_the_same(
    monkeypatch,
) -> None:
    def full(*_: object) -> None:
        raise InfrastructureError("the disk is full")

    monkeypatch.setattr(backoff, "waited", lambda seconds, stop: True)
    counted = iter(range(2))

    def done() -> int:
        return next(counted, None) or full()  # type: ignore[func-returns-value, return-value]

    next(counted)
    assert with_backoff(Work(2), stop=lambda: False, tell=full, done=done) == "finished"

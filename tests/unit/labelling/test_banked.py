"""One label, one payment: whatever threads ask for it side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from sis_engine.errors import ProgramFailed, StopRequested
from sis_engine.interfaces import Context, LabelTask, SinglePoints
from sis_engine.labelling.banked import BankedLabeler, Result
from sis_engine.records import Failure, Frame, LabelFailure, Labelled, Origin, Purpose, System
from sis_engine.testing.fakes import FakeBank, FakeLabeler

WAIT_S = 30.0
"""Far beyond what any step here takes: a deadlock fails, a slow machine does not."""

DIMER = System("dimer", Frame(("Ar", "Ar"), [[0, 0, 0], [2.6, 0, 0]]))


def task(plan: str, *distances: float) -> SinglePoints:
    frames = tuple(Frame(("Ar", "Ar"), [[0, 0, 0], [d, 0, 0]]) for d in distances)
    origins = tuple(Origin(Purpose.SINGLE, 1, "dimer", plan, k) for k in range(len(frames)))
    return SinglePoints(DIMER, frames, origins)


class Slow(FakeLabeler):
    """Makes a label only once somebody waits for it (or at once, when ``hurry``)."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.made: list[float] = []
        self.trouble: Callable[[Result], Result] = lambda result: result

    def label(self, task: LabelTask, context: Context) -> Iterator[Result]:
        for item in super().label(task, context):
            self.begun.set()
            assert self.go_on.wait(WAIT_S)
            self.made.append(float(item.frame.positions[1, 0]))
            yield self.trouble(item)


class Two:
    """Two plans on one labeler; the second asks while the first is in the middle of its label."""

    def __init__(self, tmp_path: Path) -> None:
        self.labeler, self.bank = Slow(), FakeBank()
        self.source = BankedLabeler(self.labeler, self.bank)
        self.workdir = tmp_path

    def run(
        self, first: SinglePoints, second: SinglePoints, *, stop_second: bool = False
    ) -> tuple[Future[list[Result]], Future[list[Result]]]:
        def waits() -> bool:  # asked by whoever waits for a label in flight
            self.labeler.go_on.set()
            return stop_second

        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(self._labelled, first, lambda: False)
            assert self.labeler.begun.wait(WAIT_S)
            other = pool.submit(self._labelled, second, waits)
        return one, other

    def _labelled(self, given: SinglePoints, stop: Callable[[], bool]) -> list[Result]:
        return list(self.source.label(given, Context(self.workdir, stop=stop)))


@pytest.fixture
def two(tmp_path: Path) -> Two:
    return Two(tmp_path)


def test_a_frame_that_two_plans_want_at_once_is_paid_for_once(two: Two) -> None:
    one, other = two.run(task("a", 2.6), task("b", 2.6))
    (paid,), (shared,) = one.result(), other.result()
    assert two.labeler.made == [2.6]
    assert isinstance(paid, Labelled)
    assert isinstance(shared, Labelled)
    assert (paid.cached, shared.cached) == (False, True)
    assert shared.origin.plan == "b"
    assert shared.label.energy == paid.label.energy


def test_two_plans_that_want_the_same_frames_in_opposite_order_do_not_block_each_other(
    two: Two,
) -> None:
    one, other = two.run(task("a", 2.6, 2.8, 3.0), task("b", 3.0, 2.8, 2.6, 3.2))
    assert sorted(two.labeler.made) == [2.6, 2.8, 3.0, 3.2]
    assert len(one.result()) == 3
    assert sorted(item.origin.index for item in other.result()) == [0, 1, 2, 3]


def test_a_frame_that_is_twice_in_one_task_is_paid_for_once(two: Two) -> None:
    two.labeler.go_on.set()
    one, _ = two.run(task("a", 2.6, 2.6), task("b"))
    assert two.labeler.made == [2.6]
    assert [item.cached for item in one.result()] == [False, True]


def test_who_waited_makes_the_label_that_the_other_could_not(two: Two) -> None:
    def lost(result: Result) -> Result:
        if result.origin.plan == "b":
            return result
        return LabelFailure(
            result.frame, result.level, result.origin, Failure.INFRASTRUCTURE, "node lost"
        )

    two.labeler.trouble = lost
    one, other = two.run(task("a", 2.6), task("b", 2.6))
    assert isinstance(one.result()[0], LabelFailure)
    assert isinstance(other.result()[0], Labelled)
    assert two.labeler.made == [2.6, 2.6]


def test_a_labeler_that_breaks_holds_up_nobody(two: Two) -> None:
    def breaks(result: Result) -> Result:
        if result.origin.plan == "a":
            raise ProgramFailed("died")
        return result

    two.labeler.trouble = breaks
    one, other = two.run(task("a", 2.6, 2.8), task("b", 2.8, 2.6))
    with pytest.raises(ProgramFailed):
        one.result()
    assert all(isinstance(item, Labelled) for item in other.result())
    assert len(other.result()) == 2


def test_who_waits_can_be_stopped(two: Two) -> None:
    one, other = two.run(task("a", 2.6), task("b", 2.6), stop_second=True)
    with pytest.raises(StopRequested):
        other.result()
    assert len(one.result()) == 1


def test_results_that_nobody_took_are_free_for_others(two: Two, tmp_path: Path) -> None:
    two.labeler.go_on.set()
    begun = two.source.label(task("a", 2.6, 2.8), Context(tmp_path))
    next(begun)
    begun.close()
    found = list(two.source.label(task("b", 2.8, 2.6), Context(tmp_path)))
    assert {item.cached for item in found} == {False, True}
    assert two.labeler.made == [2.6, 2.8]

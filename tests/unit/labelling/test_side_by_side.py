from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from sis_engine.errors import InfrastructureError
from sis_engine.execution.cores import FreeCores
from sis_engine.interfaces import Context
from sis_engine.records import Failure, Frame, Labelled, System
from sis_engine.testing.fakes import FakeLabeler
from tests.unit.faulty_labelers import Bench, FaultyLabeler, dimers


def good(_labeler, _index, _context) -> None:
    return None


def meeting(n: int):
    """The first labels wait until ``n`` of them are at work together; broken if they never are."""
    barrier = threading.Barrier(n, timeout=30.0)
    left = list(range(n))

    def answer(_labeler, _index, _context) -> None:
        if left:
            left.pop()
            barrier.wait()

    return answer


@pytest.fixture(autouse=True)
def _four_free_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FreeCores, "__call__", lambda self: self._cores)


def test_single_points_of_one_task_run_side_by_side_and_each_comes_once(tmp_path) -> None:
    bench = Bench(FaultyLabeler(meeting(4)), tmp_path, cores=4)
    results = bench.label(dimers(40))
    assert sorted(r.origin.index for r in results) == list(range(40))
    assert bench.labeler.most_at_work == 4
    folders = {context.workdir for _, context in bench.labeler.asked}
    assert folders == {tmp_path / f"worker-{k}" for k in range(4)}


def test_labels_side_by_side_are_those_of_one_after_the_other(tmp_path) -> None:
    one = {r.key: r for r in Bench(FakeLabeler(), tmp_path).label(dimers(20))}
    four = {r.key: r for r in Bench(FakeLabeler(), tmp_path, cores=4).label(dimers(20))}
    assert one.keys() == four.keys()
    assert all(one[key].label.energy == four[key].label.energy for key in one)


def test_a_labeler_that_does_not_allow_it_has_one_task_at_a_time(tmp_path) -> None:
    bench = Bench(FaultyLabeler(good, side_by_side=False), tmp_path, cores=4)
    assert len(bench.label(dimers(10))) == 10
    assert {context.threads for _, context in bench.labeler.asked} == {4}
    threads = [threading.Thread(target=bench.label, args=(dimers(40),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.labeler.most_at_work == 1


def test_the_exact_setting_gives_threads_by_the_task_alone(tmp_path) -> None:
    """Also when most of the task is known already: a resumed run has the same threads."""
    bench = Bench(FaultyLabeler(good), tmp_path, cores=4, exact=True)
    bench.label(dimers(2))
    assert {context.threads for _, context in bench.labeler.asked} == {2}
    bench.labeler.asked.clear()
    bench.label(dimers(3))
    assert [context.threads for _, context in bench.labeler.asked] == [1]
    bench.labeler.asked.clear()
    bench.label(dimers(4))
    bench.label(dimers(5))
    assert {context.threads for _, context in bench.labeler.asked} == {1}


def test_what_is_known_holds_no_core(tmp_path) -> None:
    bench = Bench(FaultyLabeler(good), tmp_path, cores=4)
    bench.label(dimers(10))
    bench.labeler.asked.clear()
    assert len(bench.label(dimers(12))) == 12
    assert {index for index, _ in bench.labeler.asked} == {10, 11}


def test_a_stop_among_many_keeps_all_that_was_finished(tmp_path) -> None:
    bench = Bench(FaultyLabeler(good), tmp_path, cores=4)
    context = Context(tmp_path, threads=4, stop=lambda: len(bench.bank.items) >= 8)
    for _ in bench.source.label(dimers(60), context):
        if context.stop():  # as a walk does, which then leaves the rest
            break
    assert 8 <= len(bench.bank.items) < 20
    assert bench.source.demand() == 1
    resumed = Bench(FaultyLabeler(good), tmp_path, cores=4)
    resumed.bank.items.update(bench.bank.items)
    assert len(resumed.label(dimers(60))) == 60
    assert len(resumed.labeler.asked) == 60 - len(bench.bank.items)


def test_an_error_lets_the_others_finish_what_they_have_in_hand(tmp_path) -> None:
    """A DFT label of hours beside a full disk is kept."""
    failed = threading.Event()

    def answer(_labeler, index, _context) -> Failure | None:
        if index == 1:
            failed.set()
            return Failure.INFRASTRUCTURE
        if index == 0:
            assert failed.wait(10.0)
            threading.Event().wait(0.05)
        return None

    bench = Bench(FaultyLabeler(answer), tmp_path, cores=2)
    with pytest.raises(InfrastructureError):
        bench.label(dimers(30))
    indices = {item.origin.index for item in bench.bank.items.values()}
    assert 0 in indices
    assert len(bench.labeler.asked) < 30


def test_tasks_of_different_systems_share_the_cores(tmp_path) -> None:
    bench = Bench(FaultyLabeler(meeting(4)), tmp_path, cores=4)
    systems = [System(f"s{k}", Frame(("Ar", "Ar"), [[0, 0, 0], [2 + k, 0, 0]])) for k in range(12)]
    context = Context(tmp_path, threads=4)
    results = list(
        bench.source.label_all([dimers(k + 1, s) for k, s in enumerate(systems)], context)
    )
    assert all(isinstance(r, Labelled) for r in results)
    assert {r.origin.system for r in results} == {s.name for s in systems}
    assert bench.labeler.most_at_work == 4


def test_a_stream_counts_between_its_labels_too(tmp_path) -> None:
    """Two segments on four cores: two threads each, not four for whoever comes first."""
    bench = Bench(FaultyLabeler(good), tmp_path, cores=4)
    with bench.source.stream(), bench.source.stream():
        bench.label(dimers(1))
        assert bench.source.demand() == 2
    assert [context.threads for _, context in bench.labeler.asked] == [2]
    assert bench.source.demand() == 1


def test_threads_follow_what_was_measured(tmp_path) -> None:
    """Threads that slow a label down are given up after a few labels."""

    class Slowed(FaultyLabeler):
        def _one(self, system, frame, origin, context):
            result = super()._one(system, frame, origin, context)
            return type(result)(**{**vars(result), "seconds": 0.1 * context.threads})

    bench = Bench(Slowed(good), tmp_path, cores=4)
    for k in range(20):
        one = dimers(20)
        bench.label(type(one)(one.system, one.frames[k : k + 1], one.origins[k : k + 1]))
    given = [context.threads for _, context in bench.labeler.asked]
    assert given[0] == 4
    assert set(given[-5:]) == {1}
    assert all(later <= earlier for earlier, later in pairwise(given))

"""Labels made in a pool: every one once, whatever becomes of workers, pools and engines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sis_engine.errors import ConfigurationError, InfrastructureError, StopRequested
from sis_engine.execution import job_folder, job_worker
from sis_engine.execution.job_folder import JobFolder, beating
from sis_engine.execution.job_records import Bench, LabelJob
from sis_engine.execution.job_worker import TAKEN, run_job
from sis_engine.interfaces import Context, Segment, SinglePoints
from sis_engine.labelling.side_by_side import SideBySide
from sis_engine.records import (
    Failure,
    Frame,
    LabelFailure,
    Labelled,
    Origin,
    Purpose,
    SegmentSpec,
    Start,
    System,
)
from sis_engine.reference_md import ReferenceMD
from sis_engine.remote.account import Account
from sis_engine.remote.book import DONE, made_more_than_once
from sis_engine.setup.label_source import Elsewhere, label_source, pooled_label_source
from sis_engine.storage.codec import save_record
from sis_engine.storage.label_stream import End, LabelStream, read_from
from sis_engine.testing.fakes import FakeBank, FakeLabeler
from tests.unit.remote.threads import ManagerLost, ThreadPool, WorkerLost, never

DIMER = Frame(("H", "H"), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.5]]), None, (False,) * 3)
SYSTEM = System("dimer", DIMER)


@pytest.fixture(autouse=True)
def _short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is dead is found dead soon; one that lives beats."""
    monkeypatch.setattr(job_folder, "BEAT_S", 0.05)
    monkeypatch.setattr(job_folder, "STALE_S", 1.0)
    monkeypatch.setattr(job_folder, "LOOK_S", 0.0)
    job_worker.part.cache_clear()


def points(n: int, plan: str = "p") -> SinglePoints:
    frames = tuple(
        Frame(
            DIMER.species, np.add(DIMER.positions, [[0, 0, 0], [0, 0, 0.01 * k]]), None, DIMER.pbc
        )
        for k in range(n)
    )
    origins = tuple(Origin(Purpose.SINGLE, 0, "dimer", plan, k) for k in range(n))
    return SinglePoints(SYSTEM, frames, origins)


def source(
    tmp_path: Path, pool: ThreadPool, bank: FakeBank, notes: list[str] | None = None
) -> tuple[SideBySide, Account]:
    told = [] if notes is None else notes
    account = Account("label")
    place = Elsewhere(pool, {"type": "fake"}, tmp_path, tmp_path / "spool", account)  # type: ignore[arg-type]
    labels = pooled_label_source(
        FakeLabeler(),
        bank,
        place,
        cores=1,
        exact=True,
        note=lambda kind, text: told.append(f"{kind}: {text}"),
    )
    return labels, account


def context(tmp_path: Path, stop: Callable[[], bool] = lambda: False) -> Context:
    return Context(tmp_path, stop=stop)


def half_way(folder: Path, n: int, *, beat: bool = False) -> None:
    """A worker that takes the job and dies after ``n`` labels, without a word."""
    job = JobFolder(folder)
    assert job.claim({"who": "worker", "host": "node1", "batch_job": None})
    task = job_worker.load_record(job.task, LabelJob)
    stream = LabelStream(job.results)
    made = FakeLabeler().label(task.task, Context(folder))
    for _, result in zip(range(n), made, strict=False):
        stream.append(result)
    stream.close()


def test_single_points_come_in_groups_and_each_once(tmp_path: Path) -> None:
    pool = ThreadPool(group=4)
    labels, account = source(tmp_path, pool, FakeBank())
    found = list(labels.label(points(10), context(tmp_path)))
    assert sorted(item.origin.index for item in found) == list(range(10))
    assert len(pool.folders) == 3  # 4, 4, 2
    assert made_more_than_once(tmp_path / "spool") == {}
    facts = account.facts
    assert (facts.tasks, facts.ended, facts.lost, facts.open, facts.labels) == (3, 3, 0, 0, 10)
    assert not list((tmp_path / "spool").glob("label-*"))
    assert len(list((tmp_path / "spool" / DONE).iterdir())) == 3


class AtOnce(ThreadPool):
    """A task has ended when it has been handed out: all its labels come together."""

    def submit(self, task: Any, *, cores: int = 1) -> Any:
        future = super().submit(task, cores=cores)
        future.result()
        return future


def test_labels_that_came_together_are_kept_when_whoever_asked_goes_away(tmp_path: Path) -> None:
    pool, bank = AtOnce(group=8), FakeBank()
    labels, _ = source(tmp_path, pool, bank)
    running = labels.label(points(8), context(tmp_path))
    next(running)
    running.close()
    assert len(bank.items) == 8
    found = list(labels.label(points(8), context(tmp_path)))
    assert sum(isinstance(item, Labelled) for item in found) == 8
    assert len(pool.folders) == 1


def test_a_label_is_the_same_as_one_made_here(tmp_path: Path) -> None:
    labels, _ = source(tmp_path, ThreadPool(), FakeBank())
    here = {i.key: i for i in FakeLabeler().label(points(3), context(tmp_path))}
    for item in labels.label(points(3), context(tmp_path)):
        assert isinstance(item, Labelled)
        mine = here[item.key]
        assert isinstance(mine, Labelled)
        assert item.label.energy == mine.label.energy
        assert np.array_equal(item.label.forces, mine.label.forces)
        assert (item.level, item.origin, item.program_version) == (
            mine.level, mine.origin, mine.program_version,
        )  # fmt: skip


def test_what_a_dead_worker_had_finished_is_not_made_again(tmp_path: Path) -> None:
    def fate(number: int, folder: Path, task: Callable[[], Any]) -> Any:
        if number == 0:
            half_way(folder, 2)
            raise WorkerLost
        return task()

    notes: list[str] = []
    pool = ThreadPool(fate=fate, group=5)
    labels, account = source(tmp_path, pool, FakeBank(), notes)
    found = list(labels.label(points(5), context(tmp_path)))
    assert all(isinstance(item, Labelled) for item in found)
    assert len(found) == 5
    assert made_more_than_once(tmp_path / "spool") == {}
    assert account.facts.losses == (("worker died", 1),)
    assert any("worker died on node1; 2 finished labels of it are kept" in note for note in notes)


def test_a_label_that_kills_every_worker_fails_and_its_siblings_do_not(tmp_path: Path) -> None:
    def fate(number: int, folder: Path, task: Callable[[], Any]) -> Any:
        asked = job_worker.load_record(JobFolder(folder).task, LabelJob).task
        places = [origin.index for origin in asked.origins]
        if 1 not in places:
            return task()
        half_way(folder, places.index(1))
        raise WorkerLost

    labels, _ = source(tmp_path, ThreadPool(fate=fate, group=4), FakeBank())
    found = {item.origin.index: item for item in labels.label(points(4), context(tmp_path))}
    failed = found.pop(1)
    assert isinstance(failed, LabelFailure)
    assert failed.reason is Failure.PROGRAM
    assert "worker died, 3 times in a row with this label in hand" in failed.message
    assert all(isinstance(item, Labelled) for item in found.values())
    assert len(found) == 3


def test_a_lost_node_whose_worker_still_beats_is_waited_for(tmp_path: Path) -> None:
    """The network was cut, the worker was not: what it finishes is taken, nothing is made anew."""

    def fate(number: int, folder: Path, task: Callable[[], Any]) -> Any:
        thread = threading.Thread(target=task)
        thread.start()
        while JobFolder(folder).sign() is None:
            thread.join(0.01)
        threads.append(thread)
        raise ManagerLost

    threads: list[threading.Thread] = []
    pool = ThreadPool(fate=fate, group=3)
    labels, account = source(tmp_path, pool, FakeBank())
    found = list(labels.label(points(3), context(tmp_path)))
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(pool.folders) == 1
    assert account.facts.lost == 0


@pytest.mark.slow
def test_a_lost_node_costs_only_the_label_in_hand(tmp_path: Path) -> None:
    def fate(number: int, folder: Path, task: Callable[[], Any]) -> Any:
        if number > 1:
            return task()
        half_way(folder, 1)
        raise ManagerLost

    labels, account = source(tmp_path, ThreadPool(fate=fate, group=3), FakeBank())
    assert len(list(labels.label(points(3), context(tmp_path)))) == 3
    assert account.facts.losses == (("node lost", 2),)
    assert made_more_than_once(tmp_path / "spool") == {}


def test_a_pool_that_always_breaks_is_a_fault_of_the_surroundings(tmp_path: Path) -> None:
    def fate(number: int, folder: Path, task: Callable[[], Any]) -> Any:
        raise ManagerLost

    labels, _ = source(tmp_path, ThreadPool(fate=fate), FakeBank())
    with pytest.raises(InfrastructureError, match="unknown, 6 times in a row"):
        list(labels.label(points(1), context(tmp_path)))


# --------------------------------------------------------------------------- a killed engine


def left_behind(tmp_path: Path, task: SinglePoints | Segment) -> JobFolder:
    """A job as an engine that was killed leaves it."""
    job = JobFolder.new(tmp_path / "spool", "label")
    asked = LabelJob(Bench(tmp_path, tmp_path, None, 1, 1.0), '{"type": "fake"}', task)
    save_record(job.task, asked)
    return job


def test_finished_labels_of_a_killed_engine_are_taken_in(tmp_path: Path) -> None:
    job = left_behind(tmp_path, points(3))
    run_job(str(job.path))
    bank, notes = FakeBank(), []  # type: ignore[var-annotated]
    pool = ThreadPool()
    labels, _ = source(tmp_path, pool, bank, notes)
    assert len(bank.items) == 3
    assert notes == ["taken_in: 3 labels that workers finished without an engine are taken in"]
    assert len(list(labels.label(points(3), context(tmp_path)))) == 3
    assert pool.folders == []


def test_a_job_that_still_runs_is_found_again(tmp_path: Path) -> None:
    job = left_behind(tmp_path, points(3))
    go_on = threading.Event()

    def orphan() -> None:
        assert job.claim({"who": "worker", "host": "node1"})
        stream = LabelStream(job.results)
        with beating(job):
            for result in FakeLabeler().label(points(3), context(tmp_path)):
                stream.append(result)
                if result.origin.index == 0:
                    begun.set()
                    go_on.wait()
            stream.append(End("done", 0.0, 1.0, "node1"))
        stream.close()

    begun = threading.Event()
    worker = threading.Thread(target=orphan)
    worker.start()
    begun.wait()
    bank, pool = FakeBank(), ThreadPool()
    labels, _ = source(tmp_path, pool, bank)
    assert len(bank.items) == 1  # what it had finished when the engine came back
    found: list[Any] = []
    for item in labels.label(points(3), context(tmp_path)):
        found.append(item)
        go_on.set()
    worker.join()
    assert len(found) == 3
    assert pool.folders == []  # nothing was handed out again
    assert made_more_than_once(tmp_path / "spool") == {}


def test_a_dead_orphan_is_given_up_and_the_rest_is_handed_out(tmp_path: Path) -> None:
    job = left_behind(tmp_path, points(3))
    half_way(job.path, 2)
    bank, pool = FakeBank(), ThreadPool(group=5)
    labels, _ = source(tmp_path, pool, bank)
    assert len(bank.items) == 2
    assert len(list(labels.label(points(3), context(tmp_path)))) == 3
    assert len(pool.folders) == 1
    assert made_more_than_once(tmp_path / "spool") == {}


def test_work_that_nobody_had_begun_cannot_begin_later(tmp_path: Path) -> None:
    job = left_behind(tmp_path, points(3))
    path = job.path
    labels, _ = source(tmp_path, ThreadPool(), FakeBank())
    assert not path.exists()
    other = left_behind(tmp_path, points(1))
    assert other.revoke()
    assert run_job(str(other.path)) == TAKEN
    assert len(list(labels.label(points(3), context(tmp_path)))) == 3


def test_only_one_of_two_workers_gets_a_job(tmp_path: Path) -> None:
    job = left_behind(tmp_path, points(2))
    assert run_job(str(job.path)) == "done"
    assert run_job(str(job.path)) == TAKEN


def test_a_torn_last_label_is_not_taken(tmp_path: Path) -> None:
    job = left_behind(tmp_path, points(3))
    half_way(job.path, 2)
    whole, end = read_from(job.results, 0)
    with job.results.open("r+b") as file:
        file.truncate(end - 5)
    torn, offset = read_from(job.results, 0)
    assert len(whole) == 2
    assert len(torn) == 1
    assert 0 < offset < end


# --------------------------------------------------------------------------- stops and errors


def test_a_stop_keeps_what_workers_have_in_hand(tmp_path: Path) -> None:
    stop = threading.Event()

    def fate(number: int, folder: Path, task: Callable[[], Any]) -> Any:
        stop.set()
        return task()

    bank = FakeBank()
    labels, _ = source(tmp_path, ThreadPool(fate=fate, group=1, slots=1), bank)
    with pytest.raises(StopRequested):
        list(labels.label(points(50), context(tmp_path, stop.is_set)))
    assert len(bank.items) < 50
    assert not any(job.is_cancelled() is False for job in _left(tmp_path))


def _left(tmp_path: Path) -> list[JobFolder]:
    return [JobFolder(path) for path in (tmp_path / "spool").glob("label-*")]


class Refusing(FakeLabeler):
    """Raises at a certain frame."""

    def __init__(self, error: Exception, index: int) -> None:
        super().__init__()
        self._error = error
        self._index = index

    def label(self, task: Any, context: Context) -> Iterator[Any]:
        for item in super().label(task, context):
            if item.origin.index == self._index:
                raise self._error
            yield item


@pytest.mark.parametrize(
    ("error", "reason"),
    [(RuntimeError("boom"), Failure.PROGRAM), (MemoryError("no"), Failure.OUT_OF_MEMORY)],
)
def test_what_a_labeler_raises_is_one_frames_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: Failure
) -> None:
    monkeypatch.setattr(job_worker, "part", lambda *_: Refusing(error, 1))
    labels, _ = source(tmp_path, ThreadPool(group=4), FakeBank())
    found = {item.origin.index: item for item in labels.label(points(4), context(tmp_path))}
    assert isinstance(found[1], LabelFailure)
    assert found[1].reason is reason
    assert all(isinstance(found[k], Labelled) for k in (0, 2, 3))


def test_an_error_about_more_than_one_frame_is_raised_after_the_siblings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ConfigurationError("no such basis set", key="labeler.basis")
    monkeypatch.setattr(job_worker, "part", lambda *_: Refusing(error, 0))
    bank = FakeBank()
    labels, _ = source(tmp_path, ThreadPool(group=1), bank)
    with pytest.raises(ConfigurationError, match="no such basis set"):
        list(labels.label(points(4), context(tmp_path)))
    assert bank.items


# --------------------------------------------------------------------------- trajectories


def segment(n_steps: int = 20) -> Segment:
    spec = SegmentSpec(n_steps, 2.0, 300.0, 1, "csvr", 50.0, 7)
    return Segment(SYSTEM, Start(DIMER), spec, Origin(Purpose.SEGMENT, 0, "dimer", "s", 0, 0.0))


def along(found: Any) -> list[tuple[Any, ...]]:
    return [
        (item.origin, item.frame.positions.tobytes(), item.label.energy, item.temperature_k)
        for item in found
    ]


def here(tmp_path: Path) -> list[tuple[Any, ...]]:
    bank = FakeBank()
    labels = label_source(FakeLabeler(), bank, cores=1, exact=True, note=lambda *_: None)
    return along(ReferenceMD(labels).label(segment(), context(tmp_path)))


def test_a_segment_is_one_task_and_bit_by_bit_the_one_made_here(tmp_path: Path) -> None:
    pool = ThreadPool()
    labels, _ = source(tmp_path, pool, FakeBank())
    made = along(ReferenceMD(labels).label(segment(), context(tmp_path)))
    assert made == here(tmp_path)
    assert len(pool.folders) == 1


@pytest.mark.slow
def test_a_segment_goes_on_behind_its_last_durable_step(tmp_path: Path) -> None:
    def fate(number: int, folder: Path, task: Callable[[], Any]) -> Any:
        if number > 2:
            return task()
        job = JobFolder(folder)
        stops = [0]

        class Dies(FakeLabeler):
            def label(self, task: Any, context: Context) -> Iterator[Any]:
                stops[0] += 1
                if stops[0] > 5:
                    raise _Killed
                yield from super().label(task, context)

        assert job.claim({"who": "worker", "host": "node1"})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(job_worker, "part", lambda *_: Dies())
            stream = LabelStream(job.results)
            with pytest.raises(_Killed):
                job_worker._label(job, stream)
            stream.close()
        raise ManagerLost

    pool = ThreadPool(slots=1, fate=fate)
    labels, account = source(tmp_path, pool, FakeBank())
    made = along(ReferenceMD(labels).label(segment(), context(tmp_path)))
    assert made == here(tmp_path)
    assert len(pool.folders) == 4
    assert account.facts.losses == (("node lost", 3),)
    assert made_more_than_once(tmp_path / "spool") == {}


class _Killed(BaseException):
    """Not an Exception: nobody catches it on its way."""


def test_the_known_head_of_a_segment_costs_nothing(tmp_path: Path) -> None:
    bank, pool = FakeBank(), ThreadPool()
    labels, _ = source(tmp_path, pool, bank)
    list(ReferenceMD(labels).label(segment(12), context(tmp_path)))
    made = along(ReferenceMD(labels).label(segment(20), context(tmp_path)))
    assert made == here(tmp_path)
    assert len(pool.folders) == 2
    assert made_more_than_once(tmp_path / "spool") == {}
    again = list(ReferenceMD(labels).label(segment(20), context(tmp_path)))
    assert len(again) == 20
    assert len(pool.folders) == 2


def test_a_segment_that_is_ended_early_is_cancelled(tmp_path: Path) -> None:
    pool = ThreadPool()
    labels, _ = source(tmp_path, pool, FakeBank())
    running = ReferenceMD(labels).label(segment(100_000), context(tmp_path))
    next(running)
    running.close()
    assert JobFolder(pool.folders[0]).is_cancelled()
    pool.shutdown()  # returns: the worker saw it


def test_futures_that_nobody_answers_are_unknown_not_lost(tmp_path: Path) -> None:
    from sis_engine.remote.job import FollowedJob

    job = FollowedJob(left_behind(tmp_path, points(1)), points(1), ("k",), never())
    assert job.results() == []
    assert job.lost() is None
    assert partial(job.is_claimed)() is False

"""Work with one answer, over the death of an engine: what it left is found by what it asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sis_engine.errors import ProgramFailed
from sis_engine.execution import job_worker
from sis_engine.execution.job_folder import ANSWERED, JobFolder
from sis_engine.execution.job_records import Bench
from sis_engine.execution.job_worker import run_job
from sis_engine.interfaces import Context
from sis_engine.records import Model, ModelFile, ModelForm
from sis_engine.remote.account import Account
from sis_engine.remote.calls import Calls
from sis_engine.storage.codec import load_record, save_record
from tests.unit.remote.threads import ThreadPool, never


@dataclass(frozen=True)
class Asked:
    bench: Bench
    number: int
    model: Model | None = None


HALF_DONE = -2
"""Of this there is an answer, and then an error."""


@dataclass(frozen=True)
class Doubled:
    number: int


class Worker:
    """What is done there. may_end: the work waits for it"""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.may_end = threading.Event()
        self.may_end.set()
        self.begun = threading.Event()

    def double(self, job: JobFolder, _stream: Any) -> None:
        asked = load_record(job.task, Asked)
        self.begun.set()
        self.may_end.wait(30.0)
        if asked.number == HALF_DONE:
            save_record(job.answer, Doubled(0))
        if asked.number < 0:
            raise ProgramFailed("negative")
        self.done.append(asked.number)
        save_record(job.answer, Doubled(2 * asked.number))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    made = Worker()
    monkeypatch.setitem(job_worker.KINDS, "double", made.double)
    return made


@pytest.fixture
def engine(tmp_path: Path) -> Callable[..., Calls]:
    """One of several, after each other, on the same spool. fate: of its tasks"""

    def make(fate: Any = None) -> Calls:
        pool: Any = ThreadPool(fate=fate)
        return Calls(pool, tmp_path / "spool", lambda *_: None, Account("train"))

    return make


def asked(place: Path, number: int) -> Asked:
    """Its scratch folder is another one at every attempt."""
    return Asked(Bench(None, place, None, 1, 1.0), number)


def doubled(calls: Calls, place: Path, number: int) -> int:
    return calls.one("double", asked(place, number), Doubled, Context(place)).number


def killed_over(calls: Calls, place: Path, number: int) -> JobFolder:
    """An engine handed it out and was never seen again."""
    return calls._submit("double", asked(place, number)).folder


def test_an_answer_that_came_after_the_engines_death_is_taken(
    worker: Worker, engine: Callable[..., Calls], tmp_path: Path
) -> None:
    left = killed_over(engine(lambda *_: never()), tmp_path / "1", 4)
    run_job(str(left.path))
    assert doubled(engine(), tmp_path / "2", 4) == 8
    assert worker.done == [4]
    assert not left.path.exists()


def test_work_that_still_runs_is_waited_for(
    worker: Worker, engine: Callable[..., Calls], tmp_path: Path
) -> None:
    left = killed_over(engine(lambda *_: never()), tmp_path / "1", 4)
    worker.may_end.clear()
    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(run_job, str(left.path))
        assert worker.begun.wait(30.0)
        answer = threads.submit(doubled, engine(), tmp_path / "2", 4)
        worker.may_end.set()
        assert (answer.result(60.0), running.result(60.0)) == (8, "done")
    assert worker.done == [4]


def test_work_that_nobody_had_begun_is_revoked_and_done_anew(
    worker: Worker, engine: Callable[..., Calls], tmp_path: Path
) -> None:
    left = killed_over(engine(lambda *_: never()), tmp_path / "1", 4)
    assert doubled(engine(), tmp_path / "2", 4) == 8
    assert run_job(str(left.path)) == "taken"
    assert worker.done == [4]


def test_other_work_and_failed_work_are_no_answer(
    worker: Worker, engine: Callable[..., Calls], tmp_path: Path
) -> None:
    for number in (5, -1):
        run_job(str(killed_over(engine(lambda *_: never()), tmp_path / "1", number).path))
    assert doubled(engine(), tmp_path / "2", 4) == 8
    assert worker.done == [5, 4]
    with pytest.raises(ProgramFailed, match="negative"):
        doubled(engine(), tmp_path / "2", -1)


def test_what_was_stopped_is_done_anew(
    worker: Worker, engine: Callable[..., Calls], tmp_path: Path
) -> None:
    left = killed_over(engine(lambda *_: never()), tmp_path / "1", 4)
    run_job(str(left.path))
    left.cancel()
    assert doubled(engine(), tmp_path / "2", 4) == 8
    assert worker.done == [4, 4]


def test_the_same_asked_twice_by_one_engine_is_done_twice(
    worker: Worker, engine: Callable[..., Calls], tmp_path: Path
) -> None:
    found = engine().each("double", [asked(tmp_path, 4)] * 2, Doubled, Context(tmp_path))
    assert sorted((place, item.number) for place, item in found) == [(0, 8), (1, 8)]
    assert worker.done == [4, 4]


def test_a_model_is_the_same_wherever_its_files_lie(
    worker: Worker, engine: Callable[..., Calls], tmp_path: Path
) -> None:
    def of(place: str, sha256: str) -> Asked:
        files = (ModelFile(ModelForm.FROZEN, Path(place), sha256),)
        model = Model("m", "fake", ("H",), files, ModelForm.FROZEN)
        return Asked(Bench(None, tmp_path, None, 1, 1.0), 4, model)

    left = engine(lambda *_: never())._submit("double", of("work/0001/model.pth", "aa")).folder
    run_job(str(left.path))
    calls, context = engine(), Context(tmp_path)
    assert calls.one("double", of("/run/work/models/m.pth", "aa"), Doubled, context).number == 8
    assert worker.done == [4]
    assert calls.one("double", of("/run/work/models/m.pth", "bb"), Doubled, context).number == 8
    assert worker.done == [4, 4]


def test_work_that_is_begun_while_it_is_revoked_is_not_followed(
    worker: Worker, engine: Callable[..., Calls], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = killed_over(engine(lambda *_: never()), tmp_path / "1", 4)
    revoke = JobFolder.revoke

    def too_late(folder: JobFolder) -> bool:
        folder.claim({"who": "worker"})
        return revoke(folder)

    monkeypatch.setattr(JobFolder, "revoke", too_late)
    assert doubled(engine(), tmp_path / "2", 4) == 8
    assert left.is_cancelled()
    assert worker.done == [4]


def test_a_torn_answer_is_none(
    worker: Worker, engine: Callable[..., Calls], tmp_path: Path
) -> None:
    left = killed_over(engine(lambda *_: never()), tmp_path / "1", 4)
    run_job(str(left.path))
    left.answer.write_bytes(left.answer.read_bytes()[:-40])
    assert doubled(engine(), tmp_path / "2", 4) == 8
    assert worker.done == [4, 4]
    assert left.is_cancelled()


def test_work_that_raised_gives_what_it_had_done_before(
    worker: Worker, engine: Callable[..., Calls], tmp_path: Path
) -> None:
    asks = [asked(tmp_path, HALF_DONE), asked(tmp_path, 4)]
    found = engine().each("double", asks, Doubled, Context(tmp_path))
    assert sorted([next(found), next(found)], key=lambda item: item[0]) == [
        (0, Doubled(0)),
        (1, Doubled(8)),
    ]
    with pytest.raises(ProgramFailed, match="negative"):
        next(found)
    assert worker.done == [4]


def test_every_kind_of_work_but_labels_has_one_answer() -> None:
    assert {"label", *ANSWERED} == set(job_worker.KINDS)

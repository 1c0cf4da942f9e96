"""A whole campaign whose labels, trainings and MD are done by a pool's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sis_engine.bookkeeping.states import State
from sis_engine.campaign import runner
from sis_engine.execution import job_folder, job_worker
from sis_engine.execution.pools import KINDS
from sis_engine.remote.book import made_more_than_once
from tests.integration.small_campaigns import digest_of, events, run, write_campaign
from tests.integration.test_durability import TINY
from tests.unit.remote.threads import Fate, ManagerLost, ThreadPool

ONE = {**TINY, "budget.generations": 1}


def in_pools(
    monkeypatch: pytest.MonkeyPatch, fate: Fate | None = None, **settings: Any
) -> dict[str, ThreadPool]:
    """Pools of threads for every kind of work."""
    monkeypatch.setattr(job_folder, "BEAT_S", 0.05)
    monkeypatch.setattr(job_folder, "STALE_S", 0.5)
    job_worker.part.cache_clear()
    pools = {kind: ThreadPool(fate=fate, **settings) for kind in KINDS}

    @contextmanager
    def opened(*_: Any) -> Iterator[dict[str, ThreadPool]]:
        yield pools
        for pool in pools.values():
            pool.shutdown()

    monkeypatch.setattr(runner, "open_pools", opened)
    return pools


def done(folder: Path, config: Path) -> str:
    ended = run(folder, config)
    assert ended.state is State.EXHAUSTED, ended.reason
    return digest_of(folder)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("here")
    return done(place / "run", write_campaign(place / "given", ONE))


@pytest.mark.parametrize("group", [1, 7])
def test_where_work_is_done_and_in_what_groups_changes_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, group: int
) -> None:
    pools = in_pools(monkeypatch, group=group)
    assert done(tmp_path / "run", write_campaign(tmp_path / "given", ONE)) == here
    assert all(pool.folders for pool in pools.values())
    assert made_more_than_once(tmp_path / "run" / "spool") == {}


def test_every_first_task_of_a_kind_may_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str
) -> None:
    def fate(number: int, folder: Path, task: Callable[[], Any]) -> Any:
        if number == 0:
            raise ManagerLost
        return task()

    in_pools(monkeypatch, fate)
    assert done(tmp_path / "run", write_campaign(tmp_path / "given", ONE)) == here
    assert events(tmp_path / "run").count("job_lost: ") == len(KINDS)

"""What Parsl is silent about: blocks that are gone, and blocks that never bring a worker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sis_engine.execution.pools import LabelPool

pytest.importorskip("parsl")


class Executor:
    """As much of one as is asked."""

    label = "label"
    status_polling_interval = 0

    def __init__(self) -> None:
        self.known: list[str] = []
        self.here: list[str] = []
        self.status_facade: dict[str, Any] = {}
        self.blocks_to_job_id: dict[str, str] = {}
        self._simulated_status: dict[str, Any] = {}
        self.cancelled: list[str] = []
        self.provider = SimpleNamespace(cancel=self.cancelled.extend)

    def connected_blocks(self) -> list[str]:
        return self.known

    def connected_managers(self) -> list[dict[str, str]]:
        return [{"block_id": block} for block in self.here]

    def block(self, name: str, state: str) -> None:
        from parsl.jobs.states import JobState, JobStatus

        self.status_facade[name] = JobStatus(JobState[state])
        self.blocks_to_job_id[name] = f"job-{name}"


@pytest.fixture
def executor() -> Executor:
    return Executor()


def watch(executor: Executor, heartbeat_s: float = 1e-9) -> Any:
    from sis_engine.execution.block_watch import BlockWatch

    settings = {"provider": {"type": "local"}, "heartbeat_s": heartbeat_s}
    made = BlockWatch(executor, LabelPool.model_validate(settings))
    executor.block("none", "COMPLETED")  # its own thread finds nothing to do
    return made


def looked(made: Any, executor: Executor) -> None:
    made._count(set(executor.known), set(executor.here))
    made._forget_the_gone(set(executor.known), set(executor.here))


def test_a_block_whose_workers_are_gone_is_forgotten_and_cancelled(executor: Executor) -> None:
    made = watch(executor)
    executor.block("1", "RUNNING")
    executor.known = ["1"]
    looked(made, executor)
    looked(made, executor)
    made.close()
    assert "job-1" in executor.cancelled
    assert executor._simulated_status["1"].message == "its workers are gone"


def test_a_block_that_is_there_or_is_not_yet_is_let_be(executor: Executor) -> None:
    made = watch(executor)
    executor.block("1", "RUNNING")
    executor.block("2", "PENDING")
    executor.known, executor.here = ["1"], ["1"]
    for _ in range(3):
        looked(made, executor)
    assert executor._simulated_status == {}
    assert made.has_workers
    made.close()
    assert sorted(executor.cancelled) == ["job-1", "job-2"]


def test_blocks_without_a_worker_are_counted_until_one_has_one(executor: Executor) -> None:
    made = watch(executor)
    for name in "123":
        executor.block(name, "MISSING")
    looked(made, executor)
    assert made.n_stillborn == 3
    executor.block("4", "RUNNING")
    executor.known, executor.here = ["4"], ["4"]
    looked(made, executor)
    assert made.n_stillborn == 0
    executor.block("5", "MISSING")
    looked(made, executor)
    assert made.n_stillborn == 0  # a worker is there: the set-up is right
    made.close()

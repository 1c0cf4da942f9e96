"""The durable queue, and who gets its turn on which slots."""

from __future__ import annotations

from pathlib import Path

import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.service.jobs import Job, JobState, Process, Wanted
from sis_engine.service.places import Places
from sis_engine.service.queue import Queue
from sis_engine.service.settings import ServiceConfig, read_settings
from sis_engine.service.slots import Slots, next_to_start


def test_every_field_of_a_job_survives_the_disk(tmp_path: Path) -> None:
    job = Job(
        "a", priority=2, cores=3, gpus=1, state=JobState.RUNNING, wanted=Wanted.PAUSE,
        reason="x", process=Process(12, 345), core_ids=(0, 2), gpu_ids=("0",), faults=2,
        not_before=1.5, reached="1/2/3", approve=True, told=99, submitted_at=7.0,
    )  # fmt: skip
    with Queue(tmp_path / "q.sqlite") as queue:
        queue.put(job)
    with Queue(tmp_path / "q.sqlite", read_only=True) as queue:
        assert queue.job("a") == job
        assert queue.job("b") is None


def test_turns_go_by_priority_then_by_age(tmp_path: Path) -> None:
    with Queue(tmp_path / "q.sqlite") as queue:
        for name, priority, at in (("late", 0, 3.0), ("early", 0, 1.0), ("urgent", 5, 9.0)):
            queue.put(Job(name, priority=priority, submitted_at=at))
        assert [job.name for job in queue.jobs()] == ["urgent", "early", "late"]


def started(jobs: list[Job], free: Slots, now: float = 0.0) -> dict[str, tuple[int, ...]]:
    return {job.name: given.cores for job, given in next_to_start(jobs, free, now)}


def test_campaigns_share_cores_without_overlap() -> None:
    jobs = [Job("a", cores=2), Job("b", cores=1)]
    assert started(jobs, Slots((0, 1, 2, 3))) == {"a": (0, 1), "b": (2,)}


def test_what_a_large_one_waits_for_is_kept_for_it() -> None:
    jobs = [Job("large", cores=4), Job("small", cores=1)]
    assert started(jobs, Slots((0, 1))) == {}


def test_one_labels_on_cores_while_another_holds_the_gpu() -> None:
    held = Job("trains", cores=1, gpus=1, core_ids=(0,), gpu_ids=("0",))
    free = Slots((0, 1, 2), ("0",)).without([held])
    jobs = [Job("wants-gpu", cores=1, gpus=1), Job("labels", cores=1)]
    assert started(jobs, free) == {"labels": (2,)}


def test_a_back_off_is_waited_for_and_keeps_nothing() -> None:
    jobs = [Job("burnt", cores=2, not_before=10.0), Job("fresh", cores=2)]
    assert started(jobs, Slots((0, 1)), now=9.0) == {"fresh": (0, 1)}
    assert started(jobs, Slots((0, 1)), now=11.0) == {"burnt": (0, 1)}


@pytest.mark.parametrize("name", ["..", "../x", ".service", "a/b", "", "a b", "x" * 65, "a\n"])
def test_a_name_that_is_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be the name"):
        Places(tmp_path).campaign(name)


def test_settings_name_the_key_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text("coers: 2\n")
    with pytest.raises(ConfigurationError) as caught:
        read_settings(file)
    assert caught.value.line == 1
    assert "coers" in str(caught.value)


def test_settings_may_be_absent_and_say_whom_to_tell(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "service.yaml") == ServiceConfig()
    file = tmp_path / "service.yaml"
    file.write_text("gpus: ['0']\nhooks:\n  - command: [mail, me]\n  - webhook: https://x.org/y\n")
    found = read_settings(file)
    assert [type(hook).__name__ for hook in found.hooks] == ["CommandHook", "WebHook"]
    file.write_text("hooks: [{webhook: 'file:///etc/passwd'}]\n")
    with pytest.raises(ConfigurationError):
        read_settings(file)

"""Group sizes: small before anything is known, then as long as was asked for, and nobody idles."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from sis_engine.execution import losses
from sis_engine.execution.losses import AFTER_THAT, TRIES, Loss, slurm_says
from sis_engine.execution.pools import LabelPool
from sis_engine.remote.grouping import FIRST_GROUP, Pace


def pace(slots: int = 2, **settings: Any) -> Pace:
    return Pace(LabelPool.model_validate({"provider": {"type": "local"}, **settings}), slots)


def test_before_anything_is_measured_groups_are_small() -> None:
    assert pace().group(1000) == FIRST_GROUP


def test_groups_last_as_long_as_was_asked_for() -> None:
    rule = pace(group_s=10.0)
    for _ in range(5):
        rule.took(0.5)
    assert rule.group(1000) == 20


def test_every_worker_has_work_before_one_has_much() -> None:
    rule = pace(slots=10, group_s=10.0)
    rule.took(0.02)
    assert rule.group(40) == 4  # one turn each, not thirteen for the first to ask


def test_a_task_does_not_last_less_than_it_costs_to_hand_out() -> None:
    rule = pace(slots=10, group_s=10.0)
    rule.took(0.001)
    assert rule.group(40) == 40
    assert rule.group(30_000) == 1500


def test_a_long_label_is_a_task_of_its_own() -> None:
    rule = pace(group_s=10.0)
    rule.took(3600.0)
    assert rule.group(1000) == 1


def test_a_fixed_size_is_kept() -> None:
    rule = pace(group=7)
    rule.took(3600.0)
    assert rule.group(1000) == 7


@pytest.mark.parametrize(
    ("state", "loss"),
    [
        ("CANCELLED", Loss.CANCELLED),
        ("PREEMPTED", Loss.CANCELLED),
        ("TIMEOUT", Loss.WALLTIME),
        ("OUT_OF_MEMORY", Loss.MEMORY),
        ("NODE_FAIL", Loss.NODE),
        ("RUNNING", Loss.NODE),
    ],
)
def test_why_a_slurm_job_is_gone(monkeypatch: pytest.MonkeyPatch, state: str, loss: Loss) -> None:
    said = f"JobId=7 JobName=x JobState={state} Reason=None Comment=a b"
    asked = subprocess.CompletedProcess([], 0, said, "")
    monkeypatch.setattr(losses.shutil, "which", lambda _: "/usr/bin/scontrol")
    monkeypatch.setattr(losses.subprocess, "run", lambda *_, **__: asked)
    assert slurm_says("7") is loss


def test_a_scheduler_that_is_silent_says_nothing_but_that_the_node_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def silent(*_: Any, **__: Any) -> Any:
        raise subprocess.TimeoutExpired("scontrol", 15.0)

    monkeypatch.setattr(losses.shutil, "which", lambda _: "/usr/bin/scontrol")
    monkeypatch.setattr(losses.subprocess, "run", silent)
    assert slurm_says("7") is Loss.NODE
    monkeypatch.setattr(losses.shutil, "which", lambda _: None)
    assert slurm_says("7") is Loss.NODE


def test_every_class_of_loss_has_its_tries_and_its_end() -> None:
    assert set(TRIES) == set(AFTER_THAT) == set(Loss)

"""A small campaign with all its work in Parsl's own workers on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sis_engine.commands.status import status
from sis_engine.remote.book import made_more_than_once
from tests.external.conftest import require_module
from tests.integration.small_campaigns import ROOT, digest_of, write_campaign
from tests.integration.test_durability import TINY
from tests.integration.test_rounds import IN_ROUNDS

pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(1800)]
ONE = {**TINY, "budget.generations": 1}
WORKERS = {"provider": {"type": "local"}, "workers_per_node": 1, "heartbeat_s": 60}
EVERYWHERE = {"type": "parsl", "pools": dict.fromkeys(("label", "train", "explore"), WORKERS)}


def ran(place: Path, changes: dict[str, Any]) -> str:
    config, folder = write_campaign(place / "given", changes), place / "run"
    module = "tests.integration.killed_run"
    done = subprocess.run(
        [sys.executable, "-m", module, "", str(config), str(folder), str(place / "log")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode in {0, 4}, done.stdout + done.stderr
    return digest_of(folder)


def test_pools_of_every_kind_give_the_digest_that_one_process_gives(tmp_path: Path) -> None:
    require_module("parsl")
    here = ran(tmp_path / "here", ONE)
    assert ran(tmp_path / "there", {**ONE, "execution": EVERYWHERE}) == here
    assert made_more_than_once(tmp_path / "there" / "run" / "spool") == {}
    pools = {item["pool"]: item for item in status(tmp_path / "there" / "run").pools}
    assert pools.keys() == {"label", "train", "explore"}
    assert all(item["tasks"] > 0 and item["open"] == 0 for item in pools.values())


def test_replicas_that_go_in_rounds_are_one_task_of_a_pool(tmp_path: Path) -> None:
    require_module("parsl")
    rounds = {**IN_ROUNDS, "budget.generations": 1}
    explore = {"type": "parsl", "pools": {"explore": {**WORKERS, "cores_per_worker": 2}}}
    here = ran(tmp_path / "here", rounds)
    assert ran(tmp_path / "there", {**rounds, "execution": explore}) == here
    (pool,) = status(tmp_path / "there" / "run").pools
    assert (pool["pool"], pool["open"]) == ("explore", 0)
    assert 0 < pool["tasks"] < IN_ROUNDS["explore.replicas"]

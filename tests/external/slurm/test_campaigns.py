"""Campaigns whose labels are made by Slurm jobs: the digest of this machine, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sis_engine.errors import StorageError
from sis_engine.remote.book import made_more_than_once
from sis_engine.storage.bank import LabelBank
from tests.external.slurm.cluster import Cluster
from tests.external.slurm.running import cluster, pools
from tests.integration.small_campaigns import ROOT, digest_of, events, write_campaign
from tests.integration.test_durability import TINY

__all__ = ["cluster"]
pytestmark = [pytest.mark.external, pytest.mark.slow, pytest.mark.timeout(3600)]

MORSE = {"epsilon": 0.3, "rho0": 4.16, "r0": 2.6, "rcut1": 1.9, "rcut2": 2.7}
TEACHER = {
    "type": "teacher",
    "potential": {
        "type": "ase",
        "calculator": "tests.external.slurm.slow_morse.SlowMorse",
        "arguments": MORSE,
        "trusted": True,
    },
}
SMALL = {**TINY, "labeler": TEACHER, "exact": True}
PATIENCE_S = 1500.0


@contextmanager
def started(
    cluster: Cluster | None, folder: Path, config: Path, label_s: float = 0.0
) -> Iterator[subprocess.Popen[str]]:
    """``sis run`` without the report; it does not outlive the block."""
    environment = os.environ.copy() if cluster is None else cluster.environment
    environment |= {"SIS_TEST_LABEL_S": str(label_s)}
    module = "tests.integration.killed_run"
    with subprocess.Popen(
        [sys.executable, "-m", module, "", str(config), str(folder), os.devnull],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def ran(*given: Any, **named: Any) -> str:
    with started(*given, **named) as running:
        said, _ = running.communicate(timeout=PATIENCE_S)
    assert running.returncode in {0, 4}, said
    return said


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the same campaign on this machine alone."""
    place = tmp_path_factory.mktemp("here")
    ran(None, place / "run", write_campaign(place / "given", SMALL))
    return digest_of(place / "run")


def test_slurm_gives_the_digest_that_this_machine_gives(
    tmp_path: Path, cluster: Cluster, here: str
) -> None:
    config = write_campaign(tmp_path / "given", {**SMALL, "execution": pools("day")})
    ran(cluster, tmp_path / "run", config)
    assert digest_of(tmp_path / "run") == here
    assert made_more_than_once(tmp_path / "run" / "spool") == {}


def test_nothing_is_lost_or_paid_twice_when_all_goes_wrong(
    tmp_path: Path, cluster: Cluster, here: str
) -> None:
    run = tmp_path / "run"
    config = write_campaign(tmp_path / "given", {**SMALL, "execution": pools("day", group=3)})
    with started(cluster, run, config, label_s=0.15) as running:
        reached(run, running, 10)
        assert cluster.cancel_all()
        cluster.drain()
        cluster.resume()
        reached(run, running, labels_in(run) + 10)
        cluster.stop_controller()
        reached(run, running, labels_in(run) + 15)
        cluster.start_controller()
        reached(run, running, labels_in(run) + 10)
        running.send_signal(signal.SIGKILL)
        running.communicate()
    edited = run / "campaign.yaml"
    edited.write_text(edited.read_text().replace("partition: day", "partition: night"))
    ran(cluster, run, edited)
    assert "execution.pools.label.provider.partition: 'day' → 'night' (now)" in events(run)
    assert "job_lost" in events(run)
    assert digest_of(run) == here
    assert made_more_than_once(run / "spool") == {}


def labels_in(run: Path) -> int:
    """Finished labels, banked or still on their way."""
    if not (run / "labels" / "labels.sqlite").exists():
        return 0
    try:
        with LabelBank(run / "labels", read_only=True) as labels:
            return labels.count()
    except StorageError:  # it is being made
        return 0


def reached(run: Path, running: subprocess.Popen[str], n: int) -> None:
    """Wait until so many labels are in the bank."""
    until(lambda: labels_in(run) >= n, running)


def until(holds: Callable[[], bool], running: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if running.poll() is not None:
            pytest.fail(f"the campaign ended too early: {running.communicate()[0]}")
        if time.monotonic() > end:
            pytest.fail("the campaign does not get on")
        time.sleep(0.05)

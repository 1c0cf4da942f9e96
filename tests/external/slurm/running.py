"""The cluster that tests share, and a pool on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.external.conftest import _absent, require_module
from tests.external.slurm.cluster import Cluster, missing
from tests.integration.small_campaigns import ROOT


def pool_settings(partition: str, **more: Any) -> dict[str, Any]:
    """Two one-core blocks of one worker each."""
    provider = {
        "type": "slurm",
        "partition": partition,
        "max_blocks": 2,
        "cores_per_node": 1,
        "walltime_minutes": 30,
        "status_every_s": 2,
        "worker_init": [f"export PYTHONPATH={ROOT}"],
    }
    return {"provider": provider, "heartbeat_s": 30, "idle_s": 600, **more}


def pools(partition: str, **more: Any) -> dict[str, Any]:
    """The same as a campaign file has it."""
    label = pool_settings(partition, **more)
    return {"type": "parsl", "address": "127.0.0.1", "pools": {"label": label}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    absent = missing()
    if absent or os.getuid() != 0:
        _absent(f"Slurm cannot be started here: {', '.join(absent) or 'not root'}")
    require_module("parsl")
    # Sockets have short names only, and munged looks at every folder above its own.
    cluster = Cluster(Path("/tmp") / f"sis-slurm-{os.getpid()}")
    cluster.start(cpus=2)
    yield cluster
    cluster.stop()
    shutil.rmtree(cluster.folder, ignore_errors=True)

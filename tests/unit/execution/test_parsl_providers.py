"""Every kind of provider that a campaign file may name is one that Parsl takes as it is given."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sis_engine.errors import InfrastructureError
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.execution.pools import LabelPool

pytest.importorskip("parsl")
BATCH = {"max_blocks": 3, "walltime_minutes": 90, "worker_init": ["module load x", "export Y=1"]}


def provider(given: dict[str, Any]) -> Any:
    from sis_engine.execution.parsl_providers import provider_of

    return provider_of(
        LabelPool.model_validate({"provider": given, "workers_per_node": 1}).provider
    )


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"type": "slurm", "partition": "p", "qos": "q", "cores_per_node": 8}, "SlurmProvider"),
        ({"type": "pbs", "queue": "q", "select_options": "ngpus=1"}, "PBSProProvider"),
        ({"type": "lsf", "queue": "q", "project": "p"}, "LSFProvider"),
    ],
)
def test_a_batch_provider_is_what_was_written(given: dict[str, Any], kind: str) -> None:
    made = provider({**given, **BATCH, "status_every_s": 7})
    assert type(made).__name__ == kind
    assert (made.init_blocks, made.min_blocks, made.max_blocks) == (0, 0, 3)
    assert made.walltime == "01:30:00"
    assert "module load x\nexport Y=1" in made.worker_init
    assert made.status_polling_interval == 7


def test_the_local_provider_asks_for_no_block_before_there_is_work() -> None:
    made = provider({"type": "local", "max_blocks": 2})
    assert (made.init_blocks, made.max_blocks) == (0, 2)


def test_an_mpi_launcher_is_called_by_its_path() -> None:
    launcher = {"type": "mpiexec", "program": "/opt/mpi/bin/mpiexec", "options": ["--mca", "x"]}
    made = provider({"type": "pbs", "nodes_per_block": 2, "launcher": launcher})
    script = made.launcher("worker", 1, 2, "")
    assert "\n/opt/mpi/bin/mpiexec --bind-to none --mca x -n $WORKERCOUNT" in script
    assert "\nmpiexec" not in script


def test_srun_has_the_options_that_were_given() -> None:
    launcher = {"type": "srun", "options": ["--cpu-bind=none"]}
    made = provider({"type": "slurm", "nodes_per_block": 2, "launcher": launcher})
    assert "--cpu-bind=none" in made.launcher("worker", 1, 2, "")


def test_a_pool_that_does_not_start_is_a_fault_of_the_surroundings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is tried again with back-off, and then paused."""
    from parsl.executors import HighThroughputExecutor

    ended = []

    def refuses(_: Any) -> None:
        raise OSError("no port is free")

    def ends(executor: Any) -> None:
        ended.append(executor)

    monkeypatch.setattr(HighThroughputExecutor, "start", refuses)
    monkeypatch.setattr(HighThroughputExecutor, "shutdown", ends)
    config = LabelPool.model_validate({"provider": {"type": "local"}})
    pool = ParslPool("label", config, tmp_path / "pool", "127.0.0.1")
    with pytest.raises(InfrastructureError, match="pool label takes no work: no port is free"):
        pool.submit(partial(print, ""))
    assert len(ended) == 1
    pool.shutdown()

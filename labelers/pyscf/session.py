"""PySCF in its worker processes: how they are started, and what their answers mean."""

from __future__ import annotations

import signal
from pathlib import Path

from labelers.endings import Ending
from labelers.pyscf.config import PyscfConfig
from labelers.pyscf.doctor import INSTALL
from sis_engine.execution.worker import Reply, WorkerDied, WorkerSettings, interpreter
from sis_engine.records import Failure

OPERATIONS = Path(__file__).with_name("worker.py")
LOG = "pyscf.log"

_KINDS = {
    "not_converged": Failure.NOT_CONVERGED,
    "LinAlgError": Failure.SOLVER,
    "FloatingPointError": Failure.SOLVER,
    "MemoryError": Failure.OUT_OF_MEMORY,
    "OutOfMemoryError": Failure.OUT_OF_MEMORY,  # cupy's
    "OSError": Failure.INFRASTRUCTURE,
}


def worker_settings(config: PyscfConfig) -> WorkerSettings:
    """The process's variables: linear algebra is threaded by PySCF, not by its BLAS."""
    environment = {
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if config.device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return WorkerSettings(
        name="PySCF",
        python=interpreter(config.python),
        operations=OPERATIONS,
        environment=tuple(environment.items()),
        start_timeout_s=config.start_timeout_s,
        silence_timeout_s=config.silent_timeout_s,
        timeout_s=config.timeout_s,
        key="labeler",
        install=INSTALL,
        log=LOG,
    )


def ending_of(reply: Reply) -> Ending:
    """Class an exception in the worker by what to do next."""
    reason = _KINDS.get(reply.kind, Failure.PROGRAM)
    words = reply.error if reply.kind == "not_converged" else f"{reply.kind}: {reply.error}"
    return Ending(reason, words)


def failure_of_death(died: WorkerDied) -> Failure:
    """Killed from outside is most often a lack of memory; the rest are crashes."""
    killed = died.code == -signal.SIGKILL
    return Failure.OUT_OF_MEMORY if killed else Failure.PROGRAM

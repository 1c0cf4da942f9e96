"""One pool of workers: a Parsl high-throughput executor with its provider, watched by us.

Parsl hands tasks out and asks for blocks; what a task means, whether it is done and what its loss
costs is judged from its folder (:mod:`sis_engine.execution.job_folder`).
"""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future as InnerFuture
from pathlib import Path
from typing import Any

from sis_engine.errors import InfrastructureError, ProgramMissing, SisError
from sis_engine.execution.cores import available_cores
from sis_engine.execution.parsl_providers import provider_of
from sis_engine.execution.pools import BatchProvider, Pool

INSTALL = "pip install 'sis-engine[parsl]'"
SHUTDOWN_S = 20.0
WAITING = frozenset({"PENDING", "HELD"})
MOST_STILLBORN = 5
"""So many blocks in a row without a worker: it is not the scheduler, it is the set-up."""
INTERCHANGE_WATCH = Path(__file__).with_name("interchange_watch.py")
SHORTEST_HEARTBEAT_S = 1


class ParslFuture:
    """A result to come from a pool (:class:`sis_engine.interfaces.Future`)."""

    def __init__(self, inner: InnerFuture[Any]) -> None:
        self._inner = inner

    def result(self, timeout_s: float | None = None) -> Any:
        return self._inner.result(timeout_s)

    def done(self) -> bool:
        return self._inner.done()

    def error(self) -> BaseException | None:
        """What was raised; ``None``: nothing (yet)."""
        return self._inner.exception() if self._inner.done() else None

    def when_done(self, call: Callable[[], None]) -> None:
        self._inner.add_done_callback(lambda _: call())


class ParslPool:
    """Runs tasks in one pool (:class:`sis_engine.interfaces.Executor`); started when first used.

    name: of the pool, for messages;  folder: of its own, which the nodes see
    address: that the nodes reach this machine by; ``None``: by its host name
    """

    def __init__(self, name: str, config: Pool, folder: Path, address: str | None) -> None:
        self.name = name
        self.config = config
        self.folder = folder
        self._address = address
        self._lock = threading.Lock()
        self._executor: Any = None
        self._poller: Any = None
        self._last_up: float | None = None
        self._told: str | None = None

    @property
    def slots(self) -> int:
        """Workers of all blocks together."""
        return self.config.slots(available_cores())

    def submit(self, task: Callable[[], Any], *, cores: int = 1) -> ParslFuture:
        """``task`` must be importable where the workers are: a partial of a module's function."""
        del cores  # a worker has what its pool gives each
        with self._lock:
            try:
                if self._executor is None:
                    self._start()
                return ParslFuture(self._executor.submit(task, {}))
            except SisError:
                raise
            except Exception as error:
                raise InfrastructureError(
                    f"pool {self.name} takes no work: {error}",
                    hint=f"see {self.folder}",
                ) from error

    def shutdown(self) -> None:
        """Give all blocks back and end. What runs there ends with them."""
        with self._lock:
            if self._executor is None:
                return
            self._poller.close(SHUTDOWN_S)
            self._executor.shutdown()
            self._executor = None

    def check(self) -> str | None:
        """What the scheduler said of a block that it did not start, once; ``None``: nothing new.

        Raises InfrastructureError when no block could be had for longer than it may take. Until
        then it is not known what is the matter: a scheduler that is silent or refuses may answer
        again.
        """
        executor = self._executor
        if executor is None:
            return None
        states = dict(executor.status_facade).values()
        now = time.monotonic()
        waits = any(state.status_name in WAITING for state in states)
        if self._last_up is None or self._poller.has_workers or waits:
            self._last_up = now
        said = [state.message for state in states if state.terminal and state.message]
        told = f"pool {self.name}: {said[-1].strip()}" if said else None
        if self._poller.n_stillborn >= MOST_STILLBORN:
            raise InfrastructureError(
                f"pool {self.name}: {self._poller.n_stillborn} blocks in a row ended before a "
                f"worker of theirs was heard of; last: {told}",
                hint=f"see {self.folder / 'submit_scripts'}; is `worker_init`, `python` or "
                "`execution.address` wrong?",
            )
        silent = now - self._last_up
        if silent > self.config.give_up_after_s:
            raise InfrastructureError(
                f"pool {self.name}: no block could be had for {silent:.0f} s; last: {told}",
                hint="mend the scheduler or `execution.pools`; finished labels are kept, and "
                "`sis run` goes on",
            )
        if told == self._told:
            return None
        self._told = told
        return told

    # ------------------------------------------------------------------ starting

    def _start(self) -> None:
        try:
            from parsl.executors.high_throughput.executor import (
                DEFAULT_LAUNCH_CMD,
                HighThroughputExecutor,
            )
            from parsl.jobs.error_handlers import noop_error_handler

            from sis_engine.execution.block_watch import BlockWatch
        except ImportError as error:
            raise ProgramMissing(f"Parsl is not installed: {error}", hint=INSTALL) from error
        config = self.config
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)  # certificates lie in it
        accelerators = config.worker_accelerators
        provider: Any = provider_of(config.provider)
        executor: Any = HighThroughputExecutor(
            label=self.name,
            provider=provider,
            launch_cmd=_by_interpreter(DEFAULT_LAUNCH_CMD, config.python),
            address=self._address or _own_address(),
            loopback_address="127.0.0.1",
            encrypted=True,
            cores_per_worker=float(config.cores_per_worker),
            max_workers_per_node=self._workers_per_node(),
            available_accelerators=list(accelerators),
            cpu_affinity="none",
            prefetch_capacity=0,
            heartbeat_period=max(SHORTEST_HEARTBEAT_S, int(config.heartbeat_s / 4)),
            heartbeat_threshold=max(2 * SHORTEST_HEARTBEAT_S, int(config.heartbeat_s)),
            drain_period=_drain_s(config),
            block_error_handler=noop_error_handler,
            interchange_launch_cmd=[sys.executable, str(INTERCHANGE_WATCH), str(os.getpid())],
        )
        executor.run_dir = str(self.folder)
        executor.run_id = self.folder.name
        provider.script_dir = str(self.folder / "submit_scripts")
        Path(provider.script_dir).mkdir(exist_ok=True)
        try:
            executor.start()
        except BaseException:  # Parsl waits two minutes for its interchange, and then leaves it
            executor.shutdown()
            raise
        self._poller = BlockWatch(executor, config)
        self._executor = executor

    def _workers_per_node(self) -> int | None:
        """Parsl counts the node's cores where nothing is said; here no more than may be used."""
        config = self.config
        if config.workers_per_node is not None or isinstance(config.provider, BatchProvider):
            return config.workers_per_node
        return self.slots // config.provider.max_blocks


def _by_interpreter(command: str, python: Path | None) -> str:
    """Parsl's own command, its program named by interpreter and module: PATH is the site's."""
    _, _, options = command.partition(" ")
    program = shlex.quote(sys.executable if python is None else str(python))
    return f"{program} -m parsl.executors.high_throughput.process_worker_pool {options}"


def _own_address() -> str:
    from parsl.addresses import address_by_hostname

    return str(address_by_hostname())


def _drain_s(config: Pool) -> int | None:
    provider = config.provider
    if not isinstance(provider, BatchProvider) or not provider.drain_minutes:
        return None
    return int(60.0 * (provider.walltime_minutes - provider.drain_minutes))

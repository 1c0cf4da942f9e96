"""MD with the ``lmp`` program: replicas side by side, stopped by rules inside LAMMPS."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

from sis_engine.errors import (
    ConfigurationError,
    ProgramMissing,
    SisError,
    StopRequested,
)
from sis_engine.execution.local import LocalExecutor
from sis_engine.execution.packing import share
from sis_engine.execution.program import find_program, run_program, tail
from sis_engine.execution.replica_packing import arrangements, has_gpu
from sis_engine.explorers.lammps import input as lammps_input
from sis_engine.explorers.lammps import output as lammps_output
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.doctor import INSTALL, check_program, report_version
from sis_engine.explorers.lammps.ending import assemble, raise_if_not_the_physics
from sis_engine.explorers.lammps.hold import Free, Hold
from sis_engine.explorers.lammps.integrator import FS_PER_PS
from sis_engine.explorers.lammps.launch import Launch
from sis_engine.explorers.lammps.prediction import predict
from sis_engine.explorers.lammps.rules import WATCHED, CompiledRules
from sis_engine.explorers.lammps.shared_memory import remove_what_the_dead_left
from sis_engine.explorers.lammps.snapshots import Ring
from sis_engine.explorers.lammps.speed import cold, steps_per_s
from sis_engine.explorers.lock_step import LockStep
from sis_engine.explorers.model_file import verify_model
from sis_engine.explorers.progress import ReplicaProgress
from sis_engine.interfaces import Context, MdTask, ProgramReport
from sis_engine.records import (
    Arrangement,
    Condition,
    Ensemble,
    Exploration,
    FrameSet,
    Model,
    Prediction,
    Quantity,
    Replica,
    Sampling,
)


class LammpsExplorer:
    """Runs replicas with LAMMPS; see :class:`sis_engine.interfaces.Explorer`."""

    Config: ClassVar[type[LammpsConfig]] = LammpsConfig
    watches: frozenset[Quantity] = WATCHED

    def __init__(self, config: LammpsConfig) -> None:
        self.config = config

    @classmethod
    def from_config(cls, config: Any) -> Self:
        return cls(config)

    def explore(
        self,
        task: MdTask,
        context: Context,
        calculator: Callable[[Model], Any] | None = None,
    ) -> Iterator[Exploration]:
        """One result per replica as each ends. A failed one never stops its siblings.

        Raises ConfigurationError before anything runs; ProgramError, InfrastructureError after
        the siblings have ended; StopRequested at once.
        """
        del calculator
        launch = self._launch()
        remove_what_the_dead_left()
        for item in task.models:
            verify_model(item)
        at_once = context.arrangement or self.arrangement(len(task.replicas), context.threads)
        progress = ReplicaProgress(context.progress, task.replicas)
        ended: queue.Queue[Exploration | BaseException] = queue.Queue()
        abandoned = threading.Event()
        threads, lock_step = at_once.workers, None
        if task.rounds is not None:  # all of them wait for each other
            threads = len(task.replicas)
            lock_step = LockStep(task.rounds, task.replicas, at_once.workers)
        runs = []
        for replica in task.replicas:  # all scripts first: a bad rule stops nothing half-way
            text, compiled = lammps_input.script(replica, task, self.config)
            runs.append(
                partial(
                    self._run,
                    replica,
                    text,
                    compiled,
                    task,
                    launch,
                    replace(context, arrangement=at_once),
                    progress,
                    abandoned.is_set,
                    lock_step,
                )
            )
        executor = LocalExecutor(threads)
        try:
            for run in runs:
                executor.submit(partial(_into, ended, run))
            yield from _as_they_end(ended, len(runs), abandoned)
        finally:
            abandoned.set()
            executor.shutdown()

    def predict(
        self,
        model: Model,
        frames: FrameSet,
        context: Context,
        calculator: Callable[[Model], Any] | None = None,
    ) -> Prediction:
        """Energies, forces (and virials of periodic frames) by LAMMPS, one process for all."""
        del calculator
        launch = self._launch()
        verify_model(model)
        environment = launch.environment(model, self._fixed_threads or 1)
        return predict(launch.command(model), environment, model, frames, self.config, context)

    @property
    def not_exact_because(self) -> str | None:
        """A number of threads that is chosen by measuring is another one tomorrow."""
        if self._fixed_threads is None:
            return "explorer.threads_per_replica is auto, and threads change the last bits of MD"
        return None

    def arrangement(self, n_replicas: int, cores: int) -> Arrangement:
        """Where nothing was measured: every core has a replica as long as there are any."""
        at_once = self.config.replicas_at_once
        most = min(n_replicas, at_once) if isinstance(at_once, int) else n_replicas
        each = self._fixed_threads or share(most, cores)
        workers = most if isinstance(at_once, int) else max(1, cores // each)
        return Arrangement(min(most, workers), each)

    def arrangements(self, n_replicas: int, cores: int) -> tuple[Arrangement, ...]:
        """Those that may be chosen from by measuring; one: there is nothing to choose."""
        fixed, gpu = self._fixed_threads, has_gpu()
        if isinstance(self.config.replicas_at_once, int) or (fixed and not gpu):
            return (self.arrangement(n_replicas, cores),)
        return arrangements(n_replicas, cores, gpu=gpu, threads=fixed)

    def steps_per_s(self, task: MdTask, arrangement: Arrangement, context: Context) -> float:
        """Of so many replicas like the task's first, all together, over some seconds."""
        launch, probe = self._launch(), cold(task.replicas[0])
        for item in task.models:
            verify_model(item)
        cold_task = replace(task, replicas=(probe,), rules=(), sampling=Sampling())
        text, compiled = lammps_input.script(probe, cold_task, self.config)
        own = replace(context, arrangement=arrangement)
        return steps_per_s(
            [
                launch.ready(probe, text, compiled, task.model, own)
                for _ in range(arrangement.workers)
            ],
            context.stop,
        )

    def check(self, model_in_lammps: bool, conditions: Sequence[Condition]) -> None:  # noqa: FBT001
        """Raise what can be known before anything runs."""
        launch = self._launch()
        if not self.config.launcher:  # which may start it elsewhere
            check_program(launch.program)
        if not model_in_lammps:
            raise ConfigurationError(
                "the trainer's models do not run in LAMMPS",
                key="explorer.type",
                hint="use the ASE explorer (explorer.type: ase)",
            )
        for condition in conditions:
            if condition.thermostat not in ("nose-hoover", "langevin", "csvr"):
                raise ConfigurationError(
                    f"condition {condition.name}: unknown thermostat {condition.thermostat!r}",
                    allowed="nose-hoover, langevin, csvr",
                )
            if condition.ensemble is Ensemble.NPT and condition.pressure_gpa is None:
                raise ConfigurationError(f"condition {condition.name}: NPT needs pressure_gpa")

    def doctor(self) -> tuple[ProgramReport, ...]:
        """Where ``lmp`` is and which version."""
        try:
            launch = self._launch()
        except ProgramMissing as error:
            return (ProgramReport("lmp", None, None, error.message, INSTALL),)
        return (report_version(launch.program),)

    @property
    def _fixed_threads(self) -> int | None:
        """Of each replica; ``None``: they may be chosen."""
        given = self.config.threads_per_replica
        return given if isinstance(given, int) else None

    def _launch(self) -> Launch:
        return Launch(find_program("lmp", self.config.program, install=INSTALL), self.config)

    def _run(
        self,
        replica: Replica,
        text: str,
        compiled: CompiledRules,
        task: MdTask,
        launch: Launch,
        context: Context,
        progress: ReplicaProgress,
        abandoned: Callable[[], bool],
        lock_step: LockStep | None,
    ) -> Exploration:
        """One replica in a directory of its own."""
        started = time.monotonic()
        ready = launch.ready(replica, text, compiled, task.model, context)
        directory, n_columns = ready.run.directory, ready.n_columns

        def stop() -> bool:
            return abandoned() or context.stop()

        def look() -> None:
            _follow(progress, replica, ready.log, n_columns)
            hold.look()

        hold = Free()
        if lock_step is not None and task.rounds is not None:
            hold = Hold(lock_step, task.rounds, replica, directory, stop)
        pipe, kept = directory / lammps_input.PIPE, directory / lammps_input.RING
        with hold:
            with Ring(pipe, kept, task.sampling.ring_size):
                outcome = run_program(ready.run, stop=stop, on_poll=look)
            log = lammps_output.read_log(
                ready.log.read_text(errors="replace") if ready.log.exists() else "", n_columns
            )
            raise_if_not_the_physics(ready.run, outcome, log)
            run = assemble(replica, compiled, log, directory, time.monotonic() - started)
            run = hold.ended(run)
        progress.ended(replica, run.md_ps)
        return run


def _follow(progress: ReplicaProgress, replica: Replica, log: Path, n_columns: int) -> None:
    """Say how far the log has come."""
    if progress.due():
        row = lammps_output.last_row(tail(log, 4096), n_columns)
        if row is not None:
            timestep_ps = replica.condition.timestep_fs / FS_PER_PS
            progress.reached(replica, row[0] * timestep_ps, row[1], row[2])


def _into(ended: queue.Queue[Exploration | BaseException], task: Callable[[], Exploration]) -> None:
    """Put the result, or what was raised, into the queue."""
    try:
        ended.put(task())
    except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
        ended.put(error)


def _as_they_end(
    ended: queue.Queue[Exploration | BaseException], n: int, abandoned: threading.Event
) -> Iterator[Exploration]:
    first_error: BaseException | None = None
    for _ in range(n):
        result = ended.get()
        if isinstance(result, StopRequested) or (
            isinstance(result, BaseException) and not isinstance(result, SisError)
        ):
            abandoned.set()
            raise result
        if isinstance(result, BaseException):
            first_error = first_error or result
        else:
            yield result
    if first_error is not None:
        raise first_error

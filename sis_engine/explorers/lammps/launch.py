"""A replica ready to run: its folder with all that LAMMPS needs, and how it is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sis_engine.execution.program import ProgramRun
from sis_engine.execution.wheel_program import Start, start_of
from sis_engine.explorers.directory import fresh_directory
from sis_engine.explorers.lammps import input as lammps_input
from sis_engine.explorers.lammps.cell import box_of
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.rules import CompiledRules
from sis_engine.interfaces import Context
from sis_engine.records import Ensemble, Model, Replica

DATA, SCRIPT, LOG = "start.data", "in.lammps", "log.lammps"
HELD = "held"
"""Grows while a replica is held at the end of a round: it is not hung then."""


@dataclass(frozen=True)
class Ready:
    """run: what to start;  log: where its steps appear;  n_columns: of a row there"""

    run: ProgramRun
    log: Path
    n_columns: int


@dataclass(frozen=True)
class Launch:
    """The program and its settings."""

    program: Path
    config: LammpsConfig

    def command(self, model: Model) -> tuple[str, ...]:
        """What is started, without its arguments."""
        return (*self.config.launcher, str(self._start(model).program))

    def environment(self, model: Model, threads: int) -> tuple[tuple[str, str], ...]:
        """Variables of the process: threads must not outnumber the cores it was given."""
        merged = {
            "OMP_NUM_THREADS": str(threads),
            "DP_INTRA_OP_PARALLELISM_THREADS": str(threads),
            "DP_INTER_OP_PARALLELISM_THREADS": "1",
            **dict(self._start(model).environment),
            **self._wanted(model),
        }
        return tuple(merged.items())

    def _wanted(self, model: Model) -> dict[str, str]:
        """Variables that model and campaign ask for."""
        own = dict(model.lammps.environment if model.lammps else ())
        return own | self.config.environment

    def _start(self, model: Model) -> Start:
        """A launcher may start it elsewhere, where variables of this process do not reach."""
        if self.config.launcher:
            return Start(self.program)
        return start_of(self.program, self._wanted(model))

    def ready(
        self, replica: Replica, text: str, compiled: CompiledRules, model: Model, context: Context
    ) -> Ready:
        """A directory of its own for a replica with this script."""
        directory = fresh_directory(context.workdir, replica.id)
        box = box_of(replica.start)
        skewed = box.is_skewed or (
            replica.condition.ensemble is Ensemble.NPT and self.config.pressure_coupling == "tri"
        )
        data = lammps_input.data_text(replica.start, box, model, replica.velocities, skewed=skewed)
        (directory / DATA).write_text(data)
        (directory / SCRIPT).write_text(text)
        threads = context.arrangement.threads if context.arrangement else 1
        run = ProgramRun(
            arguments=(*self.command(model), "-in", SCRIPT, "-log", LOG, "-screen", "none"),
            directory=directory,
            environment=self.environment(model, threads),
            silent_timeout_s=self.config.silent_timeout_s,
            wall_timeout_s=self.config.wall_timeout_s,
            watch=(LOG, HELD),
            check=False,
        )
        columns = lammps_input.columns_of(replica, compiled)
        return Ready(run, directory / LOG, 1 + len(columns))

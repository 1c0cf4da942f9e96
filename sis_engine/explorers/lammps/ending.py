"""How a replica ended: completed, halted by a rule, blown up, or let down by its surroundings."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sis_engine.analysis.pairs import shortest_distance
from sis_engine.errors import InfrastructureError, ProgramFailed
from sis_engine.execution.program import ProgramOutcome, ProgramRun, failure
from sis_engine.explorers.ending import halt_message
from sis_engine.explorers.lammps import input as lammps_input
from sis_engine.explorers.lammps import output as lammps_output
from sis_engine.explorers.lammps.cell import box_of
from sis_engine.explorers.lammps.deviations import read_deviations, watched, with_deviations
from sis_engine.explorers.lammps.integrator import FS_PER_PS
from sis_engine.explorers.lammps.rules import CompiledRules
from sis_engine.records import (
    Deviation,
    Exit,
    Exploration,
    HaltRule,
    MdFrame,
    Quantity,
    Replica,
    Trace,
)

_INFRASTRUCTURE = re.compile(
    r"allocate|No space|cannot open|CUDA|Unrecognized|Unknown|Illegal|MPI_Abort|not found",
    re.IGNORECASE,
)
_FAULTS = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGBUS})
"""How a pair style dies of absurd positions."""


def assemble(
    replica: Replica,
    compiled: CompiledRules,
    log: lammps_output.RunLog,
    directory: Path,
    seconds: float,
) -> Exploration:
    """The record of a replica from what its run left."""
    columns = lammps_input.columns_of(replica, compiled)
    timestep_fs = replica.condition.timestep_fs
    trace = Trace(
        replica=replica.id,
        time_fs=replica.time_offset_fs + log.rows[:, 0] * timestep_fs,
        quantities=tuple(quantity for _, quantity in columns),
        values=log.rows[:, 1:].copy(),
    )
    deviations = read_deviations(
        directory / lammps_input.DEVIATIONS, periodic=all(replica.start.pbc)
    )
    if deviations:
        trace = with_deviations(trace, [int(step) for step in log.rows[:, 0]], deviations)
    kept = _frames(replica, directory, deviations)
    exit_, rule, value, message = _ending(compiled, log, kept)
    last_step = log.end_step
    if last_step is None:
        last_step = int(log.rows[-1, 0]) if len(log.rows) else 0
    return Exploration(
        replica=replica,
        trace=trace,
        frames=kept,
        exit=exit_,
        md_ps=(replica.time_offset_fs + last_step * timestep_fs) / FS_PER_PS,
        seconds=seconds,
        halted_by=rule,
        value=value,
        message=message,
    )


def _frames(
    replica: Replica, directory: Path, deviations: Mapping[int, Deviation]
) -> tuple[MdFrame, ...]:
    """Every frame that the run left, in time order; lost or not finite ones are left out."""
    box = box_of(replica.start)
    found = []
    for step, snapshot in lammps_output.read_frames(directory).items():
        time_fs = replica.time_offset_fs + step * replica.condition.timestep_fs
        frame = lammps_output.md_frame(replica.start, box, snapshot, time_fs)
        if frame is not None:
            found.append(watched(frame, step, deviations))
    return tuple(found)


def _ending(
    compiled: CompiledRules, log: lammps_output.RunLog, frames: Sequence[MdFrame]
) -> tuple[Exit, HaltRule | None, float | None, str]:
    rules = dict(compiled.rules)
    names = compiled.start_checks if log.refused else tuple(rules)
    fired = lammps_output.fired_rules(log, names)
    if fired:
        # A NaN first: it is the plainest; then the order in which monitors gave their rules.
        name, value = min(fired, key=lambda item: not np.isnan(item[1]))
        rule = rules[name]
        if rule.quantity is Quantity.SHORTEST_DISTANCE and frames:
            value = shortest_distance(frames[-1].frame, rule.pair)
        return Exit.HALTED, rule, value, halt_message(rule, value)
    if log.refused:
        return Exit.CRASHED, None, None, "energy or forces are not finite at step 0"
    if log.halted_at is not None:
        return Exit.CRASHED, None, None, f"energy is not finite at step {log.halted_at}"
    if log.end_step is None:
        return Exit.CRASHED, None, None, f"LAMMPS stopped: {log.error}"
    return Exit.COMPLETED, None, None, ""


def raise_if_not_the_physics(
    run: ProgramRun, outcome: ProgramOutcome, log: lammps_output.RunLog
) -> None:
    """Raise for a run that failed by its surroundings; return for one that blew up."""
    died_by = signal_of(outcome.exit_code)
    if died_by is signal.SIGKILL:
        raise InfrastructureError(
            f"lmp was killed from outside after {outcome.seconds:.0f} s in {run.directory}",
            hint="out of memory, or the batch system? see `dmesg | tail`",
        )
    if log.end_step is not None and outcome.exit_code == 0:
        return
    by_itself = log.error is not None and not _INFRASTRUCTURE.search(log.error)
    if log.began and (by_itself or died_by in _FAULTS):
        return
    if log.error is None:
        raise failure(run, outcome)
    raise ProgramFailed(
        f"LAMMPS failed: {log.error}",
        directory=run.directory,
        hint="read log.lammps there; is the model's plugin loaded (LAMMPS_PLUGIN_PATH)?",
    )


def signal_of(exit_code: int) -> signal.Signals | None:
    """The signal a program died by: -n, or 128 + n from a shell, or 256 - n from the lmp wheel."""
    for number in (-exit_code, exit_code - 128, 256 - exit_code):
        if exit_code != 0 and number in {int(item) for item in signal.Signals}:
            return signal.Signals(number)
    return None

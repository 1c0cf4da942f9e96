"""One replica in this process, step by step: its rows, its ring of frames, and the rules."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from sis_engine.errors import StopRequested
from sis_engine.explorers.ase.committee import CommitteeWatch, columns_of
from sis_engine.explorers.ase.config import AseConfig
from sis_engine.explorers.ase.dynamics import Dynamics, draw_velocities, dynamics_for
from sis_engine.explorers.ase.minimise import minimise
from sis_engine.explorers.ending import halt_message
from sis_engine.explorers.progress import ReplicaProgress
from sis_engine.explorers.quantities import masses_amu, mobile_atoms
from sis_engine.explorers.watch import Moment, RuleWatch
from sis_engine.interfaces import Context, MdTask
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

_STANDARD = (
    Quantity.TEMPERATURE,
    Quantity.POTENTIAL_ENERGY,
    Quantity.KINETIC_ENERGY,
    Quantity.HEAT,
    Quantity.CONSERVED_DRIFT,
    Quantity.MAX_KINETIC,
    Quantity.MAX_FORCE,
)
_ALSO_IF_RULED = (Quantity.SHORTEST_DISTANCE, Quantity.NEIGHBOURS)
_BLOWN_UP = (ArithmeticError, ValueError, np.linalg.LinAlgError)
"""What calculators raise when handed absurd positions."""
_BLOWN_UP_LATER = (RuntimeError, MemoryError)
"""What they raise then as well (ASE's CalculatorError, torch, DeePMD-kit: RuntimeError), and also
where they do not work at all: said of a replica only after its start was evaluated."""


@dataclass(frozen=True)
class _Ending:
    """Where and why a replica ended."""

    exit: Exit
    step: int
    rule: HaltRule | None = None
    value: float | None = None
    message: str = ""


class ReplicaRun:
    """One replica on its way: rows, ring and rules.

    ending: ``None``: it has not ended
    """

    def __init__(
        self,
        replica: Replica,
        task: MdTask,
        config: AseConfig,
        committee: CommitteeWatch,
    ) -> None:
        sampling = task.sampling
        self.replica, self._sampling, self._config = replica, sampling, config
        self._committee = committee
        self._deviations: dict[int, Deviation] = {}
        self._watch = RuleWatch(
            task.rules,
            replica,
            masses_amu(replica.start.species),
            mobile_atoms(replica.start.n_atoms, replica.system.frozen),
            task.model.cutoff_angstrom,
        )
        ruled = {rule.quantity for rule in self._watch.rules}
        volume = (Quantity.VOLUME,) if all(replica.start.pbc) else ()
        self._columns = (*_STANDARD, *volume, *(q for q in _ALSO_IF_RULED if q in ruled))
        self._watched = committee.quantities(replica.start)
        self._rows: list[list[float]] = []
        self._row_steps: list[int] = []
        self._ring: deque[Moment] = deque(maxlen=sampling.ring_size)
        self._sparse: list[Moment] = []
        timestep_fs = replica.condition.timestep_fs
        self._sparse_every = max(1, round(sampling.sparse_every_ps * 1000.0 / timestep_fs))
        left_fs = replica.condition.duration_ps * 1000.0 - replica.time_offset_fs
        self._n_steps = max(0, round(left_fs / timestep_fs))
        self.ending: _Ending | None = None
        self._dynamics: Dynamics | None = None
        self._has_worked = False
        self._moment: Moment | None = None
        self._step = 0
        self._seconds = 0.0

    def go_on(
        self,
        calculator: Any,
        context: Context,
        progress: ReplicaProgress,
        until: int | None = None,
    ) -> bool:
        """Minimise and draw velocities where nothing was done yet; run until it is done, halted or
        blown up, or to the step ``until``. Whether it has ended.
        """
        began = time.monotonic()
        try:
            with np.errstate(all="ignore"):  # NaN and inf are watched, at every step
                if self._dynamics is None:
                    self._dynamics = self._begin(calculator, context)
                self.ending = self._loop(self._dynamics, context, progress, until)
        except _BLOWN_UP as error:
            self._gave_up(error)
        except _BLOWN_UP_LATER as error:
            # a stress that the calculator does not have is no blow-up
            if not self._has_worked or isinstance(error, NotImplementedError):
                raise
            self._gave_up(error)
        self._seconds += time.monotonic() - began
        return self.ending is not None

    def _gave_up(self, error: Exception) -> None:
        step = self._row_steps[-1] if self._row_steps else 0
        message = f"the calculator gave up: {type(error).__name__}: {error}"
        self.ending = _Ending(Exit.CRASHED, step, message=message)

    def stop_here(self) -> None:
        """At the end of a round: enough of its siblings have failed."""
        if self._moment is not None:
            self._keep(self._moment, ends=True)
        told = "enough of its siblings had failed"
        self.ending = _Ending(Exit.STOPPED, self._step, message=told)

    def _begin(self, calculator: Any, context: Context) -> Dynamics:
        from ase import Atoms

        replica, start = self.replica, self.replica.start
        atoms = Atoms(
            start.species,
            np.array(start.positions),
            cell=start.cell,
            pbc=start.pbc,
            calculator=calculator,
        )
        atoms.get_potential_energy()
        atoms.get_forces()
        self._has_worked = True
        velocities = replica.velocities
        if velocities is None:
            if replica.condition.minimise:
                minimise(atoms, replica, context.stop)
            velocities = draw_velocities(replica)
        return dynamics_for(atoms, np.array(velocities), replica, self._config.chain_length)

    def _loop(
        self, dynamics: Dynamics, context: Context, progress: ReplicaProgress, until: int | None
    ) -> _Ending | None:
        """``None``: it has come to the step ``until``, which has been looked at."""
        while True:
            if self._moment is not None:
                dynamics.step()
                self._step += 1
            moment = self._moment = dynamics.moment(self._step)
            step, last = self._step, self._step == self._n_steps
            fired = self._watch.fired(moment)
            finite = math.isfinite(moment.potential_energy + moment.kinetic_energy)
            self._keep(moment, ends=last or fired is not None or not finite)
            if fired is not None:
                return _Ending(Exit.HALTED, step, *fired, halt_message(*fired))
            if not finite:
                told = f"energy is not finite at step {step}"
                return _Ending(Exit.CRASHED, step, message=told)
            if last:
                return _Ending(Exit.COMPLETED, step)
            if step % self._config.progress_every_steps == 0:
                self._say(moment, context, progress)
            if step == until:
                return None

    def _say(self, moment: Moment, context: Context, progress: ReplicaProgress) -> None:
        if context.stop():
            raise StopRequested(f"MD of {self.replica.id} was stopped on request")
        if progress.due():
            new_ps = moment.step * self.replica.condition.timestep_fs / 1000.0
            progress.reached(self.replica, new_ps, moment.temperature_k, moment.potential_energy)

    def _keep(self, moment: Moment, *, ends: bool) -> None:
        deviation = self._committee.look(moment)
        if deviation is not None:
            self._deviations[moment.step] = deviation
        new = not self._row_steps or self._row_steps[-1] != moment.step
        if new and (ends or moment.step % self._sampling.trace_every_steps == 0):
            self._row_steps.append(moment.step)
            row = [self._watch.measure(quantity, None, moment) for quantity in self._columns]
            self._rows.append([*row, *columns_of(deviation, self._watched)])
        in_ring = bool(self._ring) and self._ring[-1] is moment
        if not in_ring and (ends or moment.step % self._sampling.ring_every_steps == 0):
            self._ring.append(moment)
        if moment.step % self._sparse_every == 0:
            self._sparse.append(moment)

    def result(self, progress: ReplicaProgress) -> Exploration:
        """What it came to."""
        ending, replica = self.ending, self.replica
        if ending is None:
            raise ValueError(f"{replica.id} has not ended")
        timestep_fs = replica.condition.timestep_fs
        moments = {m.step: m for m in (*self._sparse, *self._ring)}
        frames = [
            self._md_frame(moments[k])
            for k in sorted(moments)
            if np.isfinite(moments[k].frame.positions).all()
        ]
        columns = (*self._columns, *self._watched)
        trace = Trace(
            replica=replica.id,
            time_fs=replica.time_offset_fs + np.array(self._row_steps, float) * timestep_fs,
            quantities=columns,
            values=np.array(self._rows, float).reshape(len(self._rows), len(columns)),
        )
        run = Exploration(
            replica=replica,
            trace=trace,
            frames=tuple(frames),
            exit=ending.exit,
            md_ps=(replica.time_offset_fs + ending.step * timestep_fs) / 1000.0,
            seconds=self._seconds,
            halted_by=ending.rule,
            value=ending.value,
            message=ending.message,
        )
        progress.ended(replica, run.md_ps)
        return run

    def _md_frame(self, moment: Moment) -> MdFrame:
        energy = moment.potential_energy
        return MdFrame(
            frame=moment.frame,
            time_fs=self.replica.time_offset_fs + moment.step * self.replica.condition.timestep_fs,
            velocities=moment.velocities,
            energy=energy if math.isfinite(energy) else None,
            forces=moment.forces,
            deviation=self._deviations.get(moment.step),
        )

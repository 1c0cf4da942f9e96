"""MD with the trainer's ASE calculator, in this process: any model runs, slowly."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from sis_engine.errors import ConfigurationError, StopRequested
from sis_engine.explorers.ase.committee import CommitteeWatch, columns_of
from sis_engine.explorers.ase.config import AseConfig
from sis_engine.explorers.ase.dynamics import Dynamics, draw_velocities, dynamics_for
from sis_engine.explorers.ase.minimise import minimise
from sis_engine.explorers.ase.prediction import predict
from sis_engine.explorers.ending import halt_message
from sis_engine.explorers.model_file import verify_model
from sis_engine.explorers.progress import ReplicaProgress
from sis_engine.explorers.quantities import masses_amu, mobile_atoms
from sis_engine.explorers.watch import WATCHED_IN_PYTHON, Moment, RuleWatch
from sis_engine.interfaces import Context, ProgramReport
from sis_engine.records import (
    Condition,
    Deviation,
    Ensemble,
    Exit,
    Exploration,
    FrameSet,
    HaltRule,
    MdFrame,
    Model,
    Prediction,
    Quantity,
    Replica,
    Sampling,
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


class AseExplorer:
    """Runs replicas one after the other; see :class:`sis_engine.interfaces.Explorer`."""

    Config: ClassVar[type[AseConfig]] = AseConfig
    watches: frozenset[Quantity] = WATCHED_IN_PYTHON

    def __init__(self, config: AseConfig) -> None:
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
        """One result per replica, in their order. Raises StopRequested, ConfigurationError."""
        make = _needed(calculator)
        for item in (model, *members):
            verify_model(item)
        progress = ReplicaProgress(context.progress, replicas)
        models = [make(item) for item in (model, *members)] if members else []
        watch = CommitteeWatch(models, sampling.deviation_every_steps)
        for replica in replicas:
            run = _Run(replica, rules, sampling, model, self.config, watch)
            result = run.to_its_end(make(model), context, progress)
            progress.ended(replica, result.md_ps)
            yield result

    def predict(
        self,
        model: Model,
        frames: FrameSet,
        context: Context,
        calculator: Callable[[Model], Any] | None = None,
    ) -> Prediction:
        """Energies, forces (and virials of periodic frames where it has them) of frames."""
        verify_model(model)
        return predict(_needed(calculator)(model), frames, context)

    def check(self, model_in_lammps: bool, conditions: Sequence[Condition]) -> None:  # noqa: FBT001
        """Raise what can be known before anything runs."""
        del model_in_lammps
        for condition in conditions:
            if condition.thermostat not in ("nose-hoover", "langevin", "csvr"):
                raise ConfigurationError(
                    f"condition {condition.name}: unknown thermostat {condition.thermostat!r}",
                    allowed="nose-hoover, langevin, csvr",
                )
            if condition.ensemble is Ensemble.NPT and condition.pressure_gpa is None:
                raise ConfigurationError(f"condition {condition.name}: NPT needs pressure_gpa")

    def doctor(self) -> tuple[ProgramReport, ...]:
        """Which ASE."""
        import ase

        return (ProgramReport("ase", ase.__file__, ase.__version__),)


def _needed(calculator: Callable[[Model], Any] | None) -> Callable[[Model], Any]:
    if calculator is None:
        raise ConfigurationError(
            "the ASE explorer needs the trainer's calculator and got none",
            hint="this trainer may not have one: use the LAMMPS explorer",
        )
    return calculator


class _Run:
    """One replica on its way: rows, ring and rules."""

    def __init__(
        self,
        replica: Replica,
        rules: Sequence[HaltRule],
        sampling: Sampling,
        model: Model,
        config: AseConfig,
        committee: CommitteeWatch,
    ) -> None:
        self._replica, self._sampling, self._config = replica, sampling, config
        self._committee = committee
        self._deviations: dict[int, Deviation] = {}
        self._watch = RuleWatch(
            rules,
            replica,
            masses_amu(replica.start.species),
            mobile_atoms(replica.start.n_atoms, replica.system.frozen),
            model.cutoff_angstrom,
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

    def to_its_end(
        self, calculator: Any, context: Context, progress: ReplicaProgress
    ) -> Exploration:
        """Minimise, draw velocities, run until it is done, halted or blown up."""
        from ase import Atoms

        began = time.monotonic()
        start = self._replica.start
        atoms = Atoms(
            start.species,
            np.array(start.positions),
            cell=start.cell,
            pbc=start.pbc,
            calculator=calculator,
        )
        step, rule, value, message = 0, None, None, ""
        try:
            with np.errstate(all="ignore"):  # NaN and inf are watched, at every step
                dynamics = self._begin(atoms, context)
                step, rule, value, message = self._loop(dynamics, context, progress)
        except _BLOWN_UP as error:
            step = self._row_steps[-1] if self._row_steps else 0
            message = f"the calculator gave up: {type(error).__name__}: {error}"
        exit_ = Exit.HALTED if rule else (Exit.CRASHED if message else Exit.COMPLETED)
        if rule is not None and value is not None:
            message = halt_message(rule, value)
        return self._result(exit_, step, rule, value, message, time.monotonic() - began)

    def _begin(self, atoms: Any, context: Context) -> Dynamics:
        replica = self._replica
        velocities = replica.velocities
        if velocities is None:
            if replica.condition.minimise:
                minimise(atoms, replica, context.stop)
            velocities = draw_velocities(replica)
        return dynamics_for(atoms, np.array(velocities), replica, self._config.chain_length)

    def _loop(
        self, dynamics: Dynamics, context: Context, progress: ReplicaProgress
    ) -> tuple[int, HaltRule | None, float | None, str]:
        step = 0
        while True:
            moment = dynamics.moment(step)
            last = step == self._n_steps
            fired = self._watch.fired(moment)
            finite = math.isfinite(moment.potential_energy + moment.kinetic_energy)
            self._keep(moment, ends=last or fired is not None or not finite)
            if fired is not None:
                return step, fired[0], fired[1], ""
            if not finite:
                return step, None, None, f"energy is not finite at step {step}"
            if last:
                return step, None, None, ""
            if step % self._config.progress_every_steps == 0:
                self._say(moment, context, progress)
            dynamics.step()
            step += 1

    def _say(self, moment: Moment, context: Context, progress: ReplicaProgress) -> None:
        if context.stop():
            raise StopRequested(f"MD of {self._replica.id} was stopped on request")
        if progress.due():
            new_ps = moment.step * self._replica.condition.timestep_fs / 1000.0
            progress.reached(self._replica, new_ps, moment.temperature_k, moment.potential_energy)

    def _keep(self, moment: Moment, *, ends: bool) -> None:
        deviation = self._committee.look(moment)
        if deviation is not None:
            self._deviations[moment.step] = deviation
        if ends or moment.step % self._sampling.trace_every_steps == 0:
            self._row_steps.append(moment.step)
            row = [self._watch.measure(quantity, None, moment) for quantity in self._columns]
            self._rows.append([*row, *columns_of(deviation, self._watched)])
        if ends or moment.step % self._sampling.ring_every_steps == 0:
            self._ring.append(moment)
        if moment.step % self._sparse_every == 0:
            self._sparse.append(moment)

    def _result(
        self,
        exit_: Exit,
        step: int,
        rule: HaltRule | None,
        value: float | None,
        message: str,
        seconds: float,
    ) -> Exploration:
        replica = self._replica
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
        return Exploration(
            replica=replica,
            trace=trace,
            frames=tuple(frames),
            exit=exit_,
            md_ps=(replica.time_offset_fs + step * timestep_fs) / 1000.0,
            seconds=seconds,
            halted_by=rule,
            value=value,
            message=message,
        )

    def _md_frame(self, moment: Moment) -> MdFrame:
        energy = moment.potential_energy
        return MdFrame(
            frame=moment.frame,
            time_fs=self._replica.time_offset_fs
            + moment.step * self._replica.condition.timestep_fs,
            velocities=moment.velocities,
            energy=energy if math.isfinite(energy) else None,
            forces=moment.forces,
            deviation=self._deviations.get(moment.step),
        )

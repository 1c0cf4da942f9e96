"""Lifts any single-point labeler to segments of reference MD and to optimisations.

Every step is one single point through the labeler that was handed in. When that is a
:class:`sis_engine.labelling.banked.BankedLabeler`, each label is durable before the next step
begins, and a segment that is run again after a kill replays its labels from the bank, bit by bit
and at no cost, up to where it was: trajectories are functions of start, settings, seed and labels
alone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sis_engine.errors import ConfigurationError, StopRequested
from sis_engine.interfaces import (
    Capability,
    Context,
    LabelTask,
    Optimisation,
    Segment,
    SinglePoints,
)
from sis_engine.records import (
    Failure,
    FloatArray,
    Frame,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    Origin,
    Start,
    System,
)
from sis_engine.reference_md.integrators import (
    draw_velocities,
    integrator_for,
    kinetic_temperature,
    mechanics_of,
)
from sis_engine.reference_md.optimisers import Lbfgs

MAX_STEP_ANGSTROM = 0.5
"""An atom that moves further in one MD step has left physics: H at 300 K moves 0.03 Å in 1 fs."""


class LabelSource(Protocol):
    """What the walker and the lift need of a labeler, banked or not."""

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    def level_of_theory(self, system: System) -> LevelOfTheory: ...

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]: ...


@dataclass(frozen=True)
class ReferenceMD:
    """A labeler with segments and optimisations, from one that has single points.

    Tasks that ``source`` can do itself go to it unchanged. Segments yield ``n_steps`` results, the
    first is the start; optimisations yield at most ``max_steps``. A failure is the last result.
    """

    source: LabelSource

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.source.capabilities | {Capability.SEGMENT, Capability.OPTIMISE}

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.source.level_of_theory(system)

    def label(
        self, task: LabelTask, context: Context
    ) -> Generator[Labelled | LabelFailure, None, None]:
        """One result per step as it finishes; close it to end early. Raises StopRequested."""
        can = self.source.capabilities
        if isinstance(task, Segment) and Capability.SEGMENT not in can:
            yield from self._segment(task, context)
        elif isinstance(task, Optimisation) and Capability.OPTIMISE not in can:
            yield from self._optimise(task, context)
        else:
            yield from self.source.label(task, context)

    def _segment(self, task: Segment, context: Context) -> Iterator[Labelled | LabelFailure]:
        spec = task.spec
        positions, velocities = _start_of(task.system, task.start)
        mechanics = mechanics_of(task.system, positions, spec.thermostat)
        if velocities is None:
            velocities = draw_velocities(mechanics, positions, spec.temperature_k, spec.seed)
        velocities = np.where(mechanics.moving[:, None], velocities, 0.0)
        integrator = integrator_for(mechanics, spec)
        forces = np.zeros_like(positions)
        for step in range(spec.n_steps):
            moved = positions
            if step > 0:
                moved, velocities = integrator.before_forces(positions, velocities, forces, step)
            result = self._point(task, moved, positions, step, step * spec.timestep_fs, context)
            if isinstance(result, LabelFailure):
                yield result
                return
            positions, forces = moved, result.label.forces
            if step > 0:
                velocities = integrator.after_forces(velocities, forces, step)
            temperature = kinetic_temperature(mechanics, velocities)
            yield replace(result, temperature_k=temperature, velocities=velocities.copy())

    def _optimise(self, task: Optimisation, context: Context) -> Iterator[Labelled | LabelFailure]:
        positions, _ = _start_of(task.system, task.start)
        moving = np.ones(len(positions), dtype=np.bool_)
        moving[list(task.system.frozen)] = False
        optimiser = Lbfgs(task.spec.max_displacement_angstrom)
        last = positions
        for step in range(task.spec.max_steps):
            result = self._point(task, positions, last, step, None, context)
            yield result
            if isinstance(result, LabelFailure):
                return
            forces = np.where(moving[:, None], result.label.forces, 0.0)
            if float(np.sqrt((forces**2).sum(axis=1).max())) <= task.spec.max_force:
                return
            last, positions = positions, optimiser.propose(positions, forces)

    def _point(
        self,
        task: Segment | Optimisation,
        positions: FloatArray,
        before: FloatArray,
        step: int,
        time_fs: float | None,
        context: Context,
    ) -> Labelled | LabelFailure:
        """One single point on the way, or the failure that ends it."""
        if context.stop():
            raise StopRequested(f"stopped at step {step} of plan {task.origin.plan}")
        frame = replace(task.start.frame, positions=positions)
        origin = replace(task.origin, index=task.origin.index + step, time_fs=time_fs)
        longest = float(np.abs(positions - before).max())
        if not longest <= MAX_STEP_ANGSTROM:
            message = f"an atom moved {longest:.3g} Å in step {step}: the trajectory blew up"
            level = self.level_of_theory(task.system)
            return LabelFailure(frame, level, origin, Failure.ABSURD, message)
        return single_point(self.source, task.system, frame, origin, context)


def single_point(
    source: LabelSource, system: System, frame: Frame, origin: Origin, context: Context
) -> Labelled | LabelFailure:
    """The one result of a single-point task; a label that is not finite becomes a failure."""
    (result,) = source.label(SinglePoints(system, (frame,), (origin,)), context)
    return finite_or_failure(result)


def finite_or_failure(result: Labelled | LabelFailure) -> Labelled | LabelFailure:
    """The result itself, or a failure where energy, forces or virial are not all numbers."""
    if isinstance(result, LabelFailure) or is_finite(result):
        return result
    return LabelFailure(
        result.frame,
        result.level,
        result.origin,
        Failure.NON_FINITE,
        f"the label is not finite (energy {result.label.energy} eV)",
        seconds=result.seconds,
    )


def is_finite(labelled: Labelled) -> bool:
    """Energy, forces and virial are all numbers."""
    label = labelled.label
    parts = [np.isfinite(label.energy), np.isfinite(label.forces).all()]
    if label.virial is not None:
        parts.append(np.isfinite(label.virial).all())
    return all(bool(part) for part in parts)


def _start_of(system: System, start: Start) -> tuple[FloatArray, FloatArray | None]:
    if start.frame.species != system.frame.species:
        raise ConfigurationError(
            f"a start of system {system.name!r} has other atoms or another atom order "
            f"({len(start.frame.species)} atoms, system has {system.frame.n_atoms})",
            hint="starts must list the atoms as the system's structure file does",
        )
    return start.frame.positions.copy(), start.velocities

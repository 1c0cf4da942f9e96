"""Steps that CP2K took, as labels of frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from labelers.cp2k.input import Box
from labelers.cp2k.stepped import GaveUp, Taken
from labelers.cp2k.steps import Step, label_of
from labelers.cp2k.units import FORCE_EV_PER_ANGSTROM
from labelers.endings import PASSING
from sis_engine.interfaces import Optimisation, Segment
from sis_engine.records import (
    FloatArray,
    Frame,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    Origin,
)
from sis_engine.reference_md.integrators import Mechanics, kinetic_temperature, mechanics_of


@dataclass(frozen=True, eq=False)
class Results:
    """Turns the steps of one task into its results."""

    task: Segment | Optimisation
    box: Box
    level: LevelOfTheory
    version: str

    def of(self, given: Iterator[Taken | GaveUp]) -> Iterator[Labelled | LabelFailure]:
        """Each step with its frame: atoms in their order, where CP2K had them, never wrapped."""
        mechanics = self._mechanics()
        last: Step | None = None
        for number, one in enumerate(given):
            if isinstance(one, GaveUp):
                yield self._failure(one, last, mechanics)
                return
            last = one.step
            yield self._labelled(number, one, mechanics)

    def _labelled(self, number: int, taken: Taken, mechanics: Mechanics | None) -> Labelled:
        step = taken.step
        frame = self._frame(number, step.positions)
        temperature = None
        if mechanics is not None and step.velocities is not None:
            temperature = kinetic_temperature(mechanics, step.velocities)
        return Labelled(
            frame,
            label_of(step.evaluation, frame),
            self.level,
            self._origin(number),
            self.version,
            step.evaluation.seconds,
            temperature_k=temperature,
            velocities=step.velocities,
            handlers=taken.handlers,
        )

    def _failure(
        self, gave_up: GaveUp, last: Step | None, mechanics: Mechanics | None
    ) -> LabelFailure:
        positions, where = gave_up.positions, ""
        if positions is None and last is not None:
            positions = _extrapolated(self.task, last, mechanics)
            where = " (its positions are extrapolated from the step before)"
        start = self.task.start.frame
        ending = gave_up.ending
        return LabelFailure(
            start if positions is None else self._frame(gave_up.number, positions),
            self.level,
            self._origin(gave_up.number),
            ending.reason,
            ending.message + where,
            retry_can_help=ending.reason in PASSING,
            directory=gave_up.folder,
            handlers=gave_up.handlers,
        )

    def _frame(self, number: int, in_box: FloatArray) -> Frame:
        """The first frame is the start to the last bit, and frozen atoms stay to the last bit."""
        start = self.task.start.frame
        if number == 0:
            return start
        positions = in_box - self.box.shift
        frozen = list(self.task.system.frozen)
        positions[frozen] = start.positions[frozen]
        return replace(start, positions=positions)

    def _origin(self, number: int) -> Origin:
        origin = self.task.origin
        time_fs = None
        if isinstance(self.task, Segment):
            time_fs = number * self.task.spec.timestep_fs
        return replace(origin, index=origin.index + number, time_fs=time_fs)

    def _mechanics(self) -> Mechanics | None:
        if not isinstance(self.task, Segment):
            return None
        positions = self.task.start.frame.positions
        return mechanics_of(self.task.system, positions, self.task.spec.thermostat)


def _extrapolated(
    task: Segment | Optimisation, last: Step, mechanics: Mechanics | None
) -> FloatArray:
    """Where velocity Verlet takes the atoms from the last step, as CP2K did not write it."""
    forces, velocities = last.evaluation.forces, last.velocities
    if not isinstance(task, Segment) or mechanics is None or velocities is None or forces is None:
        return last.positions
    timestep = task.spec.timestep_fs
    kick = 0.5 * timestep * forces * FORCE_EV_PER_ANGSTROM / mechanics.inertia
    kick[~mechanics.moving] = 0.0
    return np.asarray(last.positions + timestep * (velocities + kick))

"""Steps of MD or of an optimisation, put together from the files that CP2K is still writing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelers.cp2k.growing import GrowingXyz, XyzFrame
from labelers.cp2k.output import Evaluation, OutputReader
from labelers.cp2k.units import (
    ENERGY_EV,
    FORCE_EV_PER_ANGSTROM,
    STRESS_EV_PER_ANGSTROM3,
    VELOCITY_ANGSTROM_PER_FS,
)
from sis_engine.records import FloatArray, Frame, Label

POSITIONS, VELOCITIES = "sis-pos-1.xyz", "sis-vel-1.xyz"


@dataclass(frozen=True, eq=False)
class Step:
    """One step with its label. positions: Å, as CP2K wrote them;  velocities: Å/fs, MD only"""

    number: int
    positions: FloatArray
    velocities: FloatArray | None
    evaluation: Evaluation


class StepReader:
    """Steps of one run as they are finished: an evaluation and the frames of the same number.

    The evaluation a run begins with has no frame of its own where the run goes on from another
    one, or optimises; ``start`` is then where it began, so that the step is whole all the same.
    """

    def __init__(self, folder: Path, output: OutputReader, start: FloatArray, first: int) -> None:
        n_atoms = len(start)
        self.output = output
        self._positions = GrowingXyz(folder / POSITIONS, n_atoms)
        self._velocities = GrowingXyz(folder / VELOCITIES, n_atoms)
        self._evaluations: dict[int, Evaluation] = {}
        self._moved: dict[int, XyzFrame] = {first: XyzFrame(first, start)}
        self._speeds: dict[int, XyzFrame] = {}
        self._first = self._next = first

    def new_steps(self, *, with_velocities: bool) -> list[Step]:
        """Whole steps since the last call, in order. Raises ValueError for garbled files."""
        for evaluation in self.output.new_evaluations():
            number = self._first if evaluation.step is None else evaluation.step
            self._evaluations.setdefault(number, evaluation)
        for frame in self._positions.new_frames():
            self._moved[frame.step] = frame
        for frame in self._velocities.new_frames():
            self._speeds[frame.step] = frame
        found = []
        while (step := self._whole(self._next, with_velocities=with_velocities)) is not None:
            found.append(step)
            self._next += 1
        return found

    def make_durable(self) -> None:
        """What :meth:`new_steps` has given is still there after a power cut."""
        for file in (self.output.file, self._positions.file, self._velocities.file):
            file.make_durable()

    def position(self, number: int) -> FloatArray | None:
        """Where the atoms were in a step that got no label."""
        frame = self._moved.get(number)
        return None if frame is None else frame.vectors

    def _whole(self, number: int, *, with_velocities: bool) -> Step | None:
        evaluation, moved = self._evaluations.get(number), self._moved.get(number)
        speeds = self._speeds.get(number)
        resumed = number == self._first and number > 0
        if evaluation is None or moved is None:
            return None
        if with_velocities and speeds is None and not resumed:
            return None
        for known in (self._evaluations, self._moved, self._speeds):
            known.pop(number, None)
        velocities = None if speeds is None else speeds.vectors * VELOCITY_ANGSTROM_PER_FS
        return Step(number, moved.vectors, velocities, evaluation)


def label_of(evaluation: Evaluation, frame: Frame) -> Label:
    """The label in eV, Å. Raises ValueError when the run did not print what a label needs."""
    if evaluation.forces is None or evaluation.forces.shape != (frame.n_atoms, 3):
        seen = None if evaluation.forces is None else evaluation.forces.shape
        raise ValueError(f"forces of shape {seen} were printed for {frame.n_atoms} atoms")
    virial = None
    if evaluation.stress is not None and frame.cell is not None:
        volume = abs(float(np.linalg.det(frame.cell)))
        virial = evaluation.stress * STRESS_EV_PER_ANGSTROM3 * volume
    return Label(
        energy=evaluation.energy * ENERGY_EV,
        forces=evaluation.forces * FORCE_EV_PER_ANGSTROM,
        virial=virial,
    )

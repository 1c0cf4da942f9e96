"""Runs of many steps, taken up again after any end: each step is given once, as it is written.

A segment lives in one folder that survives the engine. Each run of CP2K in it has a folder of its
own and goes on from the restart file of a step that was recorded. CP2K begins every run by
evaluating the point it goes on from, as it needs its forces; with its own wavefunction that is a
cycle or two, and serves as a check: it must give the energy that is recorded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from labelers.cp2k.course import Course, Leg
from labelers.cp2k.handlers import Way
from labelers.cp2k.input import RESTART
from labelers.cp2k.launch import OUTPUT, Launcher
from labelers.cp2k.output import OutputReader
from labelers.cp2k.points import density_at_the_edge
from labelers.cp2k.restart import drop_wavefunctions, read_restart
from labelers.cp2k.run import Run, SoftStop
from labelers.cp2k.steps import Step, StepReader
from labelers.endings import CURABLE, Ending
from sis_engine.interfaces import Context
from sis_engine.records import Failure, FloatArray
from sis_engine.reference_md import MAX_STEP_ANGSTROM

_NOTE = "run.json"
_SAME_ENERGY_HARTREE = 1e-4


@dataclass(frozen=True, eq=False)
class Taken:
    """A recorded step, with the changes of the solver's path that its run needed."""

    step: Step
    handlers: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class GaveUp:
    """The step that got no label. positions: Å, in CP2K's box, where CP2K wrote them"""

    number: int
    positions: FloatArray | None
    ending: Ending
    handlers: tuple[str, ...]
    folder: Path


@dataclass
class Stepped:
    """A course in its folder. ways: of solving the SCF, in the order they are tried"""

    launcher: Launcher
    course: Course
    ways: tuple[Way, ...]
    folder: Path
    context: Context
    recorded: list[Step] = field(default_factory=list, init=False)
    _failed_at: FloatArray | None = field(default=None, init=False)

    def results(self) -> Iterator[Taken | GaveUp]:
        """Steps in order, those of earlier attempts first; a failure is the last result."""
        yield from self._replayed()
        way, tried, warm = 0, {0}, True
        while not self.course.is_done(self.recorded):
            known = len(self.recorded)
            ending = yield from self._run(self.ways[way], warm=warm)
            if self.course.is_done(self.recorded):
                break
            ending = ending or Ending(Failure.PROGRAM, "it ended before its last step")
            progress = len(self.recorded) > known
            tried = {way} if progress else tried
            following = self._next_way(ending, way, tried, progress=progress)
            if following is None:
                yield self._given_up(ending, tried)
                return
            warm = ending.reason not in CURABLE
            way = following
            tried.add(way)
        drop_wavefunctions(self._folders())

    def _next_way(self, ending: Ending, way: int, tried: set[int], *, progress: bool) -> int | None:
        """How to go on: an SCF that failed wants another way, any other end a run that got on."""
        if ending.reason in CURABLE:
            return next((k for k in range(len(self.ways)) if k not in tried), None)
        lasting = {Failure.ABSURD, Failure.BAD_GEOMETRY, Failure.NON_FINITE}
        return way if progress and ending.reason not in lasting else None

    def _given_up(self, ending: Ending, tried: set[int]) -> GaveUp:
        changes = [change for k in sorted(tried) for change in self.ways[k].changes]
        return GaveUp(
            len(self.recorded),
            self._failed_at,
            ending,
            tuple(dict.fromkeys(changes)),
            self._folders()[-1],
        )

    # ------------------------------------------------------------------ runs of this attempt

    def _run(self, way: Way, *, warm: bool) -> Generator[Taken, None, Ending | None]:
        earlier = self._folders()
        folder = self.folder / f"run-{len(earlier):03d}"
        folder.mkdir(parents=True)
        leg = self.course.leg(way, self.recorded, earlier, folder, warm=warm)
        note = {"first": leg.first, "offset": leg.offset, "handlers": way.changes}
        (folder / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        run = Run.of(self.launcher, folder, self.context, leg.text)
        reader = StepReader(folder, run.output, leg.positions, leg.first - leg.offset)
        stop = SoftStop(
            self.context.stop, folder / self.course.exit_file, self.launcher.config.soft_stop_s
        )
        trouble: list[Ending] = []
        watched = run.watched(stop, lambda: trouble[0] if trouble else None)
        with closing(watched):
            while True:
                try:
                    next(watched)
                except StopIteration as ended:
                    ending: Ending | None = ended.value
                    return ending
                fresh = self._fresh(reader, leg, trouble)
                self._make_durable(reader, folder, fresh)
                for step in fresh:
                    yield Taken(step, way.changes)
                stop.recorded(len(self.recorded), lambda: self._restart_is_written(folder))
                if self.course.is_done(self.recorded):
                    return None

    def _fresh(self, reader: StepReader, leg: Leg, trouble: list[Ending]) -> list[Step]:
        """New steps that are whole and right; the first that is not ends the run."""
        fresh: list[Step] = []
        if trouble:
            return fresh
        try:
            steps = reader.new_steps(with_velocities=self.course.with_velocities)
        except ValueError as error:
            trouble.append(Ending(Failure.PROGRAM, str(error)))
            return fresh
        if reader.output.at_edge:
            trouble.append(density_at_the_edge())
        for step in steps:
            problem = self._problem(step, leg.offset)
            if problem is not None:
                self._failed_at = step.positions
                trouble.append(problem)
            if trouble or self.course.is_done(self.recorded):
                return fresh  # what a run did past its end depends on how often it is looked at
            if step.number + leg.offset == len(self.recorded):
                self.recorded.append(step)
                fresh.append(step)
        return fresh

    def _problem(self, step: Step, offset: int) -> Ending | None:
        """Why a step is no label, or does not belong to the steps before it."""
        number = step.number + offset
        unusable = _unusable(step, number)
        if unusable is not None:
            return unusable
        if number > len(self.recorded):
            return Ending(Failure.PROGRAM, f"step {number} follows step {len(self.recorded) - 1}")
        if number < len(self.recorded):
            return _other_state(step, self.recorded[number], number)
        return _blown_up(step, self.recorded[-1], number) if number > 0 else None

    def _restart_is_written(self, folder: Path) -> bool:
        if not self.course.with_velocities:
            return True
        restart = read_restart(folder / RESTART)
        return restart is not None and restart.step >= len(self.recorded) - 1

    def _make_durable(self, reader: StepReader, folder: Path, fresh: list[Step]) -> None:
        """Steps that are given are still there, and can be gone on from, after a power cut."""
        if not fresh:
            return
        reader.make_durable()
        with suppress(FileNotFoundError), (folder / RESTART).open("rb") as file:
            os.fsync(file.fileno())

    # ------------------------------------------------------------------ runs of earlier attempts

    def _replayed(self) -> Iterator[Taken]:
        """Steps that earlier attempts recorded, as their files tell them."""
        for folder in self._folders():
            try:
                note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
                first, offset = int(note["first"]), int(note["offset"])
                handlers = tuple(str(change) for change in note["handlers"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # killed before it began
            if first > len(self.recorded):
                continue
            start = (
                self.recorded[first].positions if first < len(self.recorded) else self.course.start
            )
            reader = StepReader(folder, OutputReader(folder / OUTPUT), start, first - offset)
            for step in self._fresh(reader, Leg("", first, offset, start), []):
                yield Taken(step, handlers)

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("run-*") if path.is_dir())


def _unusable(step: Step, number: int) -> Ending | None:
    """An SCF that failed, or a label that is not all numbers."""
    evaluation = step.evaluation
    if not evaluation.converged:
        return Ending(Failure.NOT_CONVERGED, f"SCF run NOT converged in step {number}")
    if evaluation.forces is None:
        return Ending(Failure.PROGRAM, f"no forces were printed in step {number}")
    if not (np.isfinite(evaluation.energy) and np.isfinite(evaluation.forces).all()):
        return Ending(Failure.NON_FINITE, f"step {number} has a label that is not finite")
    return None


def _other_state(again: Step, known: Step, number: int) -> Ending | None:
    """A step that is evaluated again, to go on from it, must have its recorded energy."""
    energy, before = again.evaluation.energy, known.evaluation.energy
    if abs(energy - before) <= _SAME_ENERGY_HARTREE:
        return None
    return Ending(
        Failure.PROGRAM,
        f"step {number} has {energy:.8f} hartree when it is taken up again and had {before:.8f}: "
        "another state of the electrons?",
    )


def _blown_up(step: Step, before: Step, number: int) -> Ending | None:
    moved = float(np.abs(step.positions - before.positions).max())
    if moved <= MAX_STEP_ANGSTROM:
        return None
    return Ending(Failure.ABSURD, f"an atom moved {moved:.3g} Å in step {number}: it blew up")

"""What steps a run is to take: MD or an optimisation, from its start or from where one ended."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from labelers.cp2k import motion
from labelers.cp2k.handlers import Tree, Way
from labelers.cp2k.input import Box, Job, structure
from labelers.cp2k.restart import FROM_RESTART, newest_restart, take_wavefunction
from labelers.cp2k.steps import Step
from labelers.cp2k.units import FORCE_EV_PER_ANGSTROM
from sis_engine.records import FloatArray, OptimiseSpec, SegmentSpec, System


@dataclass(frozen=True, eq=False)
class Leg:
    """One run's share of the way. text: its input

    first: number of the step it begins with, in the whole;  offset: what to add to CP2K's own
    positions: where it begins, Å, in CP2K's box
    """

    text: str
    first: int
    offset: int
    positions: FloatArray


class Course(Protocol):
    """What :class:`labelers.cp2k.stepped.Stepped` must know of MD and of optimisations.

    start: (n_atoms, 3), Å, in CP2K's box;  exit_file: ends a run after the step in hand
    """

    @property
    def start(self) -> FloatArray: ...

    @property
    def exit_file(self) -> str: ...

    @property
    def with_velocities(self) -> bool: ...

    def leg(
        self,
        way: Way,
        recorded: Sequence[Step],
        earlier: Sequence[Path],
        folder: Path,
        *,
        warm: bool,
    ) -> Leg:
        """The next run, its files put into ``folder``.

        earlier: folders of the runs so far;  warm: begin with their wavefunction
        """
        ...

    def is_done(self, recorded: Sequence[Step]) -> bool: ...


@dataclass(frozen=True, eq=False)
class MdCourse:
    """A segment: ``n_steps`` frames, the start is the first."""

    system: System
    box: Box
    force_eval: Tree
    spec: SegmentSpec
    positions: FloatArray
    velocities: FloatArray
    exit_file: str = "sis.EXIT_MD"
    with_velocities: bool = True

    @property
    def start(self) -> FloatArray:
        return np.asarray(self.positions + self.box.shift)

    def is_done(self, recorded: Sequence[Step]) -> bool:
        return len(recorded) >= self.spec.n_steps

    def leg(
        self,
        way: Way,
        recorded: Sequence[Step],
        earlier: Sequence[Path],
        folder: Path,
        *,
        warm: bool,
    ) -> Leg:
        """CP2K's restart file brings positions, velocities, thermostat and random numbers."""
        restart = newest_restart(earlier, recorded)
        first = 0 if restart is None else restart.step
        if restart is not None:
            shutil.copyfile(restart.path, folder / FROM_RESTART)
        frozen = frozenset(self.system.frozen)
        moving = [k for k in range(self.system.frame.n_atoms) if k not in frozen]
        job = Job(
            "MD",
            _guessing(self.force_eval, way, earlier if warm else (), folder),
            motion.md(self.spec, self.spec.n_steps - 1 - first, moving if frozen else None),
            seed=self.spec.seed,
            ext_restart=None if restart is None else FROM_RESTART,
        )
        lines = structure(self.box, motion.kinds_of(self.system), self.positions, self.velocities)
        begin = self.start if restart is None else restart.positions
        return Leg(job.text(lines), first, 0, begin)


@dataclass(frozen=True, eq=False)
class OptimiseCourse:
    """An optimisation: steps until the largest force is small enough."""

    system: System
    box: Box
    force_eval: Tree
    spec: OptimiseSpec
    positions: FloatArray
    exit_file: str = "sis.EXIT_GEO"
    with_velocities: bool = False

    @property
    def start(self) -> FloatArray:
        return np.asarray(self.positions + self.box.shift)

    def is_done(self, recorded: Sequence[Step]) -> bool:
        if len(recorded) >= self.spec.max_steps:
            return True
        forces = None if not recorded else recorded[-1].evaluation.forces
        if forces is None:
            return False
        largest = float(np.sqrt((forces**2).sum(axis=1).max())) * FORCE_EV_PER_ANGSTROM
        return largest <= self.spec.max_force

    def leg(
        self,
        way: Way,
        recorded: Sequence[Step],
        earlier: Sequence[Path],
        folder: Path,
        *,
        warm: bool,
    ) -> Leg:
        """From the last step on: an optimiser's memory is short, and its end is what counts."""
        first = max(len(recorded) - 1, 0)
        begin = recorded[-1].positions if recorded else self.start
        job = Job(
            "GEO_OPT",
            _guessing(self.force_eval, way, earlier if warm else (), folder),
            motion.optimisation(self.spec, self.spec.max_steps - 1 - first),
        )
        lines = structure(self.box, self.system.frame.species, begin - self.box.shift)
        return Leg(job.text(lines), first, first, begin)


def _guessing(force_eval: Tree, way: Way, earlier: Sequence[Path], folder: Path) -> Tree:
    """FORCE_EVAL with a way to solve the SCF, and the wavefunction to begin with."""
    found = copy.deepcopy(force_eval)
    dft = found["dft"]
    dft["scf"] = copy.deepcopy(way.scf)
    guess = take_wavefunction(earlier, folder)
    if guess is None:
        dft["scf"]["scf_guess"] = "ATOMIC"
    else:
        dft["scf"]["scf_guess"] = "RESTART"
        dft["wfn_restart_file_name"] = guess
    return found

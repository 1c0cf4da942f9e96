"""A cheap potential as the reference: whole campaigns in minutes, every part but DFT real."""

from __future__ import annotations

import re
import time
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from ase.calculators.calculator import CalculatorError, SCFError

from labelers.geometry import absurdity, check_geometry
from labelers.single_points import points_of
from labelers.teacher.ase_teacher import AsePotential
from labelers.teacher.config import AseTeacher, LammpsTeacher, TeacherConfig
from labelers.teacher.examples import example_potential
from labelers.teacher.lammps_teacher import LammpsPotential
from sis_engine.errors import (
    ConfigurationError,
    ProgramError,
    ProgramHung,
)
from sis_engine.execution.lending import Lender
from sis_engine.interfaces import Capability, Context, LabelTask, ProgramReport
from sis_engine.records import (
    Failure,
    Frame,
    Label,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    Origin,
    System,
)


class Potential(Protocol):
    """What a teacher asks: one frame, one label."""

    @property
    def program(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def gives_virial(self) -> bool: ...

    def settings(self) -> dict[str, str]: ...

    def check(self, elements: tuple[str, ...]) -> None: ...

    def evaluate(self, frame: Frame) -> Label: ...

    def close(self) -> None: ...

    def doctor(self) -> ProgramReport: ...


_NOT_CONVERGED = re.compile(
    r"(not|n't|fail\w* to|without) (\w+ )?converg|unconverged", re.IGNORECASE
)
"""ASE has a class for it (``SCFError``) that few calculators use: tblite's says it in words."""


def _did_not_converge(error: Exception) -> bool:
    """Whether a calculator's error is about the frame, and not about its program."""
    said = isinstance(error, CalculatorError) and _NOT_CONVERGED.search(str(error)) is not None
    return said or isinstance(error, SCFError)


def _potential(config: AseTeacher | LammpsTeacher) -> Potential:
    return AsePotential(config) if isinstance(config, AseTeacher) else LammpsPotential(config)


class TeacherLabeler:
    """Single points by any ASE calculator or LAMMPS pair style."""

    Config: ClassVar[type[TeacherConfig]] = TeacherConfig

    def __init__(self, config: TeacherConfig) -> None:
        self.config = config
        self.potential = _potential(config.potential)
        capabilities = {Capability.SINGLE_POINT, Capability.SIDE_BY_SIDE}
        if self.potential.gives_virial:
            capabilities.add(Capability.VIRIAL)
        self.capabilities: frozenset[Capability] = frozenset(capabilities)
        self._potentials = Lender(
            partial(_potential, config.potential), lambda one: one.close(), self.potential
        )
        # A kept-alive program must not outlive the labeler.
        self._finalizer = weakref.finalize(self, self._potentials.close)

    @classmethod
    def from_config(cls, config: TeacherConfig) -> Self:
        return cls(config)

    @classmethod
    def example(cls, frame: Frame) -> dict[str, Any]:
        """For ``sis init``: a potential for the elements of ``frame``."""
        return {"potential": example_potential(tuple(sorted(set(frame.species))))}

    @property
    def quick(self) -> bool:
        """A label starts no program."""
        return isinstance(self.config.potential, AseTeacher)

    def level_of_theory(self, system: System) -> LevelOfTheory:
        settings: dict[str, str | int] = {"charge": system.charge}
        settings |= self.potential.settings()
        return LevelOfTheory(
            program=self.potential.program,
            version_class=self.potential.version,
            method="teacher",
            settings=tuple(sorted(settings.items())),
        )

    def check(self, system: System) -> None:
        """Raise ConfigurationError or ProgramError if this system cannot be labelled."""
        pbc = system.frame.pbc
        if any(pbc) and not all(pbc):
            raise ConfigurationError(
                f"system {system.name!r} is periodic along {pbc}",
                key=f"systems.{system.name}",
                allowed="periodic in all three directions or in none",
            )
        self.potential.check(tuple(sorted(set(system.frame.species))))
        check_geometry(system, self.config.shortest_angstrom)
        try:
            self._evaluate(system.frame)
        except ProgramError:
            raise
        except (CalculatorError, NotImplementedError, KeyError, ValueError) as error:
            raise ConfigurationError(
                f"{self.potential.program} cannot label system {system.name!r}: {error!r}",
                key="labeler.potential",
                hint="does the potential know all elements of this system?",
            ) from error

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        """One result per frame as it finishes. Raises StopRequested between frames."""
        level = self.level_of_theory(task.system)
        for frame, origin in points_of(task, context, "the teacher"):
            yield self._point(frame, level, origin)

    def doctor(self) -> tuple[ProgramReport, ...]:
        return (self.potential.doctor(),)

    def _point(self, frame: Frame, level: LevelOfTheory, origin: Origin) -> Labelled | LabelFailure:
        begun = time.perf_counter()
        reason = absurdity(frame, self.config.shortest_angstrom)
        if reason is not None:
            return LabelFailure(frame, level, origin, Failure.BAD_GEOMETRY, reason)
        try:
            label = self._evaluate(frame)
        except ProgramError as error:
            kind = Failure.OUT_OF_TIME if isinstance(error, ProgramHung) else Failure.PROGRAM
            return self._failed(frame, level, origin, kind, str(error), begun)
        except (CalculatorError, ValueError, ArithmeticError) as error:
            kind = Failure.NOT_CONVERGED if _did_not_converge(error) else Failure.PROGRAM
            return self._failed(frame, level, origin, kind, repr(error), begun)
        if not (np.isfinite(label.energy) and np.isfinite(label.forces).all()):
            message = f"the label is not finite (energy {label.energy} eV)"
            return self._failed(frame, level, origin, Failure.NON_FINITE, message, begun)
        largest = float(np.sqrt((label.forces**2).sum(axis=1).max()))
        if not largest <= self.config.max_force:
            message = f"largest force {largest:.3g} eV/Å, above {self.config.max_force:.3g}"
            return self._failed(frame, level, origin, Failure.ABSURD, message, begun)
        seconds = time.perf_counter() - begun
        return Labelled(frame, label, level, origin, self.potential.version, seconds)

    def _evaluate(self, frame: Frame) -> Label:
        with self._potentials.lent() as potential:
            return potential.evaluate(frame)

    def _failed(
        self,
        frame: Frame,
        level: LevelOfTheory,
        origin: Origin,
        reason: Failure,
        message: str,
        begun: float,
    ) -> LabelFailure:
        seconds = time.perf_counter() - begun
        return LabelFailure(frame, level, origin, reason, message, seconds=seconds)

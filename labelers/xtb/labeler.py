"""GFN1-xTB and GFN2-xTB labels through tblite, in process.

Conventions, each checked by a finite difference in the tests: tblite's energy is the free energy
at the electronic temperature, to which its gradient belongs; its virial is +dE/d(strain).
Every SCF starts cold in a calculator of its own unless ``warm_start`` is set: a fresh calculator
costs nothing measurable beside the SCF, and the label is then a function of the frame.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import metadata
from typing import Any, ClassVar, Self

import numpy as np
from ase.data import atomic_numbers

from labelers.electrons import check_electrons
from labelers.geometry import absurdity, check_geometry
from labelers.single_points import points_of
from labelers.xtb.config import XtbConfig
from labelers.xtb.openmp import gnu_openmp, openmp_threads
from sis_engine.errors import ConfigurationError, ProgramMissing, ProgramUnsuitable
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
from sis_engine.units import (
    BOHR_ANGSTROM,
    BOLTZMANN_EV_PER_K,
    HARTREE_EV,
    HARTREE_PER_BOHR_EV_PER_ANGSTROM,
)

LAST_ELEMENT = 86
"""GFN1 and GFN2 have parameters for H to Rn."""
SHORTEST_ANGSTROM = 0.4
"""Below this no two atoms meet in chemistry (H-H is 0.74 Å), and tblite may fail in any way."""
OLDEST_TBLITE = (0, 8)
"""The oldest that this labeler was tested with."""
_INSTALL = "pip install 'sis-engine[xtb]'"
_REASONS = (
    ("not converged", Failure.NOT_CONVERGED),
    ("Too close", Failure.BAD_GEOMETRY),
    ("eigenvalue", Failure.SOLVER),
    ("sygvd", Failure.SOLVER),
    ("sygvr", Failure.SOLVER),
    ("potrf", Failure.SOLVER),
)


class XtbLabeler:
    """Single points by GFN1-xTB or GFN2-xTB; virials of periodic frames; partial charges."""

    Config: ClassVar[type[XtbConfig]] = XtbConfig
    quick: ClassVar[bool] = True

    def __init__(self, config: XtbConfig) -> None:
        self.config = config
        capabilities = {Capability.SINGLE_POINT, Capability.VIRIAL}
        if config.charges:
            capabilities.add(Capability.CHARGES)
        if not config.warm_start:  # its order of frames is part of it
            capabilities.add(Capability.SIDE_BY_SIDE)
        self.capabilities: frozenset[Capability] = frozenset(capabilities)
        self._density: tuple[tuple[str, ...], Any] | None = None
        self._known_version: str | None = None

    @classmethod
    def from_config(cls, config: XtbConfig) -> Self:
        return cls(config)

    def level_of_theory(self, system: System) -> LevelOfTheory:
        version = self._version()
        settings: dict[str, str | int | float | bool | None] = {
            "accuracy": self.config.accuracy,
            "charge": system.charge,
            "electronic_temperature_k": self.config.electronic_temperature_k,
            "multiplicity": system.multiplicity,
        }
        return LevelOfTheory(
            program="tblite",
            version_class=".".join(version.split(".")[:2]),
            method=self.config.method,
            settings=tuple(sorted(settings.items())),
        )

    def check(self, system: System) -> None:
        """Raise ConfigurationError or ProgramError if this system cannot be labelled."""
        problem = _version_problem(self._version())
        if problem is not None:
            raise ProgramUnsuitable(problem, hint=_INSTALL)
        unknown = sorted(
            {s for s in system.frame.species if not 0 < atomic_numbers.get(s, 0) <= LAST_ELEMENT}
        )
        if unknown:
            raise ConfigurationError(
                f"{self.config.method} has no parameters for {', '.join(unknown)}",
                key=f"systems.{system.name}",
                allowed="H to Rn",
            )
        check_electrons(system)
        self._check_periodicity(system)
        check_geometry(system, SHORTEST_ANGSTROM)

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        """One result per frame as it finishes. Raises StopRequested between frames."""
        level = self.level_of_theory(task.system)
        for frame, origin in points_of(task, context, "the xtb labeler"):
            yield self._point(task.system, frame, level, origin, context.threads)

    def doctor(self) -> tuple[ProgramReport, ...]:
        try:
            version = self._version()
        except ProgramMissing as error:
            return (ProgramReport("tblite", None, None, error.message, _INSTALL),)
        problem = _version_problem(version)
        mend = None if problem is None else _INSTALL
        if problem is None and gnu_openmp() is None:
            problem = "its OpenMP threads cannot be limited at run time (no libgomp.so.1)"
            mend = f"export OMP_NUM_THREADS={self.config.threads}"
        return (ProgramReport("tblite", "tblite (in process)", version, problem, mend),)

    def _version(self) -> str:
        """Looked up once: reading a package's metadata takes milliseconds, as a label does."""
        if self._known_version is None:
            self._known_version = _tblite_version()
        return self._known_version

    # ------------------------------------------------------------------ one frame

    def _point(
        self, system: System, frame: Frame, level: LevelOfTheory, origin: Origin, threads: int
    ) -> Labelled | LabelFailure:
        begun = time.perf_counter()
        reason = absurdity(frame, SHORTEST_ANGSTROM)
        if reason is not None:
            return LabelFailure(frame, level, origin, Failure.BAD_GEOMETRY, reason)
        try:
            with openmp_threads(min(self.config.threads, max(threads, 1))):
                label = self._evaluate(system, frame)
        except (RuntimeError, ValueError) as error:  # tblite's own errors derive from these
            seconds = time.perf_counter() - begun
            failure = _classified(str(error))
            return LabelFailure(frame, level, origin, failure, str(error), seconds=seconds)
        seconds = time.perf_counter() - begun
        if not (np.isfinite(label.energy) and np.isfinite(label.forces).all()):
            message = f"tblite returned a label that is not finite (energy {label.energy} eV)"
            return LabelFailure(frame, level, origin, Failure.NON_FINITE, message, seconds=seconds)
        return Labelled(frame, label, level, origin, self._version(), seconds)

    def _evaluate(self, system: System, frame: Frame) -> Label:
        result = self._calculator(system, frame).singlepoint(self._warm(frame))
        if self.config.warm_start:
            self._density = (frame.species, result)
        return Label(
            energy=result["energy"] * HARTREE_EV,
            forces=-result["gradient"] * HARTREE_PER_BOHR_EV_PER_ANGSTROM,
            virial=-result["virial"] * HARTREE_EV if any(frame.pbc) else None,
            charges=result["charges"] if self.config.charges else None,
        )

    def _calculator(self, system: System, frame: Frame) -> Any:
        from tblite.interface import Calculator

        periodic = any(frame.pbc)
        calculator = Calculator(
            self.config.method,
            np.array([atomic_numbers[symbol] for symbol in frame.species]),
            np.asarray(frame.positions / BOHR_ANGSTROM),
            float(system.charge),
            system.multiplicity - 1,
            np.asarray(frame.cell) / BOHR_ANGSTROM if periodic else None,
            np.array(frame.pbc) if periodic else None,
            color=False,
            logger=_silent,
        )
        temperature = self.config.electronic_temperature_k * BOLTZMANN_EV_PER_K / HARTREE_EV
        calculator.set("verbosity", 0)
        calculator.set("accuracy", self.config.accuracy)
        calculator.set("temperature", temperature)
        calculator.set("max-iter", self.config.max_iterations)
        return calculator

    def _warm(self, frame: Frame) -> Any:
        """The last frame's density, where it is asked for and of the same atoms."""
        if not self.config.warm_start or self._density is None:
            return None
        species, result = self._density
        return result if species == frame.species else None

    # ------------------------------------------------------------------ checks

    def _check_periodicity(self, system: System) -> None:
        pbc = system.frame.pbc
        if any(pbc) and not all(pbc):
            raise ConfigurationError(
                f"system {system.name!r} is periodic along {pbc}",
                key=f"systems.{system.name}",
                allowed="periodic in all three directions or in none (tblite)",
                hint="give a slab a cell with vacuum and make it periodic in all directions",
            )
        asked = self.config.charges and not self.config.periodic_gfn2_charges
        if all(pbc) and asked and self.config.method == "GFN2-xTB":
            raise ConfigurationError(
                f"GFN2-xTB charges of the periodic system {system.name!r}: codes disagree on them",
                key="labeler.charges",
                allowed="charges: false, method: GFN1-xTB, or periodic_gfn2_charges: true",
            )


def _classified(message: str) -> Failure:
    for words, reason in _REASONS:
        if words in message:
            return reason
    return Failure.PROGRAM


def _tblite_version() -> str:
    try:
        return metadata.version("tblite")
    except metadata.PackageNotFoundError as error:
        raise ProgramMissing(
            "tblite is not installed in this Python environment", hint=_INSTALL
        ) from error


def _version_problem(version: str) -> str | None:
    """Why this tblite will not do, or ``None``."""
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts >= OLDEST_TBLITE:
        return None
    return f"tblite {version} is too old: {'.'.join(map(str, OLDEST_TBLITE))} or newer is needed"


def _silent(message: str) -> None:
    """Swallows tblite's log."""

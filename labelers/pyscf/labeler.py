"""Hybrid DFT labels of clusters through PySCF: energies and forces for a second level of theory.

Each label is an SCF of its own from the densities of the atoms, in a worker process: what hangs,
crashes or fills the memory there takes nothing of the engine with it, and a label is a function of
its frame. Conventions: PySCF gives hartree, and the gradient in hartree/bohr; forces are minus it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from labelers.electrons import check_electrons
from labelers.endings import CURABLE, PASSING, Ending
from labelers.geometry import absurdity
from labelers.pyscf.config import PyscfConfig
from labelers.pyscf.doctor import INSTALL, Installed, installed, reports, version_class
from labelers.pyscf.handlers import Way, ways
from labelers.pyscf.session import ending_of, failure_of_death, worker_settings
from labelers.single_points import points_of
from labelers.tasks import free_folder
from sis_engine.errors import (
    ConfigurationError,
    ProgramError,
    ProgramFailed,
    ProgramHung,
    ProgramUnsuitable,
)
from sis_engine.execution.lending import Lender
from sis_engine.execution.worker import Reply, Worker, WorkerDied
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
from sis_engine.units import HARTREE_EV, HARTREE_PER_BOHR_EV_PER_ANGSTROM


class PyscfLabeler:
    """Single points of clusters by Kohn-Sham DFT with any functional and basis of PySCF."""

    Config: ClassVar[type[PyscfConfig]] = PyscfConfig

    def __init__(self, config: PyscfConfig) -> None:
        self.config = config
        capabilities = {Capability.SINGLE_POINT}
        if config.side_by_side:
            capabilities.add(Capability.SIDE_BY_SIDE)
        self.capabilities: frozenset[Capability] = frozenset(capabilities)
        self._settings = worker_settings(config)
        self._workers = Lender(Worker, Worker.close, Worker())
        # A process that is kept for the next label must not outlive the labeler.
        self._finalizer = weakref.finalize(self, self._workers.close)
        self._installed: Installed | None = None

    @classmethod
    def from_config(cls, config: PyscfConfig) -> Self:
        return cls(config)

    def close(self) -> None:
        """End the worker processes; the next label starts another."""
        self._workers.close()

    @property
    def not_exact_because(self) -> str | None:
        """Why a killed and resumed run is not bit by bit one that was never killed."""
        if self.config.threads != 1:
            return "several threads add up in any order (labeler.threads: 1)"
        if self.config.device != "cpu":
            return "a GPU adds up in any order (labeler.device: cpu)"
        return None

    def level_of_theory(self, system: System) -> LevelOfTheory:
        """Raises ProgramError without PySCF."""
        installed, config = self._what_is_installed(), self.config
        settings: dict[str, str | int | float | bool | None] = {
            "charge": system.charge,
            "convergence_hartree": config.convergence_hartree,
            "density_fitting": config.density_fitting,
            "dispersion_version": version_class(installed.dispersion),
            "grid_level": config.grid_level,
            "grid_response": config.grid_response,
            "multiplicity": system.multiplicity,
        }
        return LevelOfTheory(
            program="pyscf",
            version_class=version_class(installed.pyscf) or "",
            method=config.method,
            settings=tuple(sorted(settings.items())),
        )

    # ------------------------------------------------------------------ checks

    def check(self, system: System) -> None:
        """Raise ConfigurationError or ProgramError if this system cannot be labelled."""
        if any(system.frame.pbc):
            raise ConfigurationError(
                f"system {system.name!r} is periodic along {system.frame.pbc}",
                key=f"systems.{system.name}",
                allowed="clusters: not periodic in any direction",
                hint="sis carve cuts clusters out of periodic frames",
            )
        check_electrons(system)
        reason = absurdity(system.frame, self.config.shortest_angstrom)
        if reason is not None:
            raise ConfigurationError(
                f"system {system.name!r}: {reason}",
                key=f"systems.{system.name}",
                hint="mend the structure file (overlapping atoms, a wrong unit?)",
            )
        self._check_packages()
        reply = self._asked("check", self._physics(system, system.frame))
        if reply.kind in {"functional", "basis"}:
            raise ConfigurationError(
                f"PySCF cannot calculate system {system.name!r} by {self.config.method}: "
                f"{reply.error}",
                key=f"labeler.{reply.kind}",
                hint="names are PySCF's, for example wb97x-d3bj and def2-tzvpd",
            )
        if reply.result is None:
            raise ProgramFailed(f"PySCF raised {reply.kind}: {reply.error}")
        if reply.result["vv10"] and system.multiplicity > 1:
            raise ConfigurationError(
                f"system {system.name!r} is unrestricted, and PySCF has no VV10 forces for that",
                key="labeler.functional",
                hint="wb97x-d3bj has D3(BJ) in VV10's place",
            )

    def _check_packages(self) -> None:
        for report in self.doctor():
            if report.problem is not None:
                raise ProgramUnsuitable(report.problem, hint=report.mend)

    def doctor(self) -> tuple[ProgramReport, ...]:
        try:
            found = self._what_is_installed()
        except ProgramError as error:
            return (ProgramReport("pyscf", None, None, error.message, INSTALL),)
        return reports(found, self.config, str(self._settings.python))

    def _what_is_installed(self) -> Installed:
        """Asked once of the worker's own environment."""
        if self._installed is None:
            result = self._asked("versions", {}).result
            self._installed = installed(result or {}, self.config.device)
        return self._installed

    def _asked(self, operation: str, request: dict[str, Any]) -> Reply:
        """A question that leaves no files."""
        with tempfile.TemporaryDirectory(prefix="sis-pyscf-") as folder:
            context = Context(Path(folder), patience=self._patience_with_questions)
            with self._workers.lent() as worker:
                return worker.ask(
                    self._settings, Path(folder), {"operation": operation, **request}, context
                )

    @property
    def _patience_with_questions(self) -> float:
        """Limits on a label's time are not for questions: these take as long as a start may."""
        config = self.config
        return max(1.0, config.start_timeout_s / min(config.timeout_s, config.silent_timeout_s))

    # ------------------------------------------------------------------ labels

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        """One result per frame as it finishes. Raises StopRequested between and within frames."""
        level = self.level_of_theory(task.system)
        for frame, origin in points_of(task, context, "the pyscf labeler"):
            yield self._point(task.system, frame, level, origin, context)

    def _point(
        self, system: System, frame: Frame, level: LevelOfTheory, origin: Origin, context: Context
    ) -> Labelled | LabelFailure:
        begun = time.perf_counter()
        failed = partial(LabelFailure, frame, level, origin)
        reason = absurdity(frame, self.config.shortest_angstrom)
        if reason is None and any(frame.pbc):
            reason = "the frame is periodic, and this labeler has clusters only"
        if reason is not None:
            return failed(Failure.BAD_GEOMETRY, reason)
        folder = free_folder(context.workdir, "point")
        tried: list[str] = []
        ending = Ending(Failure.PROGRAM, "there is no way to solve the SCF")
        for number, way in enumerate(ways(self.config.max_cycles)):
            tried += [change for change in way.changes if change not in tried]
            outcome = self._attempt(system, frame, way, folder / str(number), context)
            if isinstance(outcome, Label):
                shutil.rmtree(folder, ignore_errors=True)
                return Labelled(
                    frame,
                    outcome,
                    level,
                    origin,
                    self._what_is_installed().exact,
                    time.perf_counter() - begun,
                    handlers=way.changes,
                )
            ending = outcome
            if ending.reason not in CURABLE:
                break
        return failed(
            ending.reason,
            ending.message,
            retry_can_help=ending.reason in PASSING,
            directory=folder,
            seconds=time.perf_counter() - begun,
            handlers=tuple(tried),
        )

    def _attempt(
        self, system: System, frame: Frame, way: Way, folder: Path, context: Context
    ) -> Label | Ending:
        """The label, or why this way led to none. Raises StopRequested and ProgramMissing."""
        cores = max(context.threads, 1)
        request = {
            "operation": "label",
            **self._physics(system, frame),
            "solver": asdict(way.solver),
            "threads": min(self.config.threads or cores, cores),
        }
        try:
            with self._workers.lent() as worker:
                reply = worker.ask(self._settings, folder, request, context)
        except WorkerDied as died:
            return Ending(failure_of_death(died), died.message)
        except ProgramHung as error:
            return Ending(Failure.OUT_OF_TIME, error.message)
        except ProgramFailed as error:
            return Ending(Failure.PROGRAM, error.message)
        if reply.result is None:
            return ending_of(reply)
        return _label_of(reply.result)

    def _physics(self, system: System, frame: Frame) -> dict[str, Any]:
        """What the label's value depends on, in the worker's words."""
        config = self.config
        return {
            "species": list(frame.species),
            "positions_angstrom": frame.positions.tolist(),
            "charge": system.charge,
            "multiplicity": system.multiplicity,
            "functional": config.functional,
            "basis": config.basis,
            "density_fitting": config.density_fitting,
            "grid_level": config.grid_level,
            "grid_response": config.grid_response,
            "convergence_hartree": config.convergence_hartree,
            "memory_mb": config.memory_mb,
            "gpu": self._what_is_installed().gpu is not None,
        }


def _label_of(result: dict[str, Any]) -> Label | Ending:
    energy = result["energy"] * HARTREE_EV
    forces = -np.array(result["gradient"]) * HARTREE_PER_BOHR_EV_PER_ANGSTROM
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        words = f"PySCF returned a label that is not finite ({energy} eV)"
        return Ending(Failure.NON_FINITE, words)
    return Label(energy, forces)

"""Labels from an ASE calculator."""

from __future__ import annotations

import importlib
import inspect
import json
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np

from labelers.geometry import atoms_of
from labelers.teacher.config import AseTeacher
from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import ProgramReport
from sis_engine.records import Frame, Label

ALLOWED_PACKAGES = ("ase.calculators.", "tblite.ase.")
"""Importing a module runs its code: names from elsewhere must be called trusted by the user."""


class AsePotential:
    """One calculator object, asked for one frame at a time."""

    def __init__(self, config: AseTeacher) -> None:
        self._config = config
        self._calculator: Any = None

    @property
    def program(self) -> str:
        return self._config.calculator

    @property
    def version(self) -> str:
        return _version_of(self._config.calculator.split(".", 1)[0])

    @property
    def gives_virial(self) -> bool:
        return self._config.virial

    def settings(self) -> dict[str, str]:
        """What changes its labels' values."""
        return {"arguments": json.dumps(self._config.arguments, sort_keys=True)}

    def check(self, elements: tuple[str, ...]) -> None:
        """Elements are the calculator's affair: it is asked with the system's own frame."""
        del elements
        self._loaded()

    def evaluate(self, frame: Frame) -> Label:
        """Force-consistent energy where the calculator has one; stress as a virial."""
        atoms = atoms_of(frame)
        calculator = self._loaded()
        calculator.reset()
        atoms.calc = calculator
        virial = None
        if self._config.virial and all(frame.pbc):
            # ASE: stress = +dE/d(strain) / V.
            virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
        forces = np.asarray(atoms.get_forces())
        energy = calculator.results.get("free_energy")
        return Label(atoms.get_potential_energy() if energy is None else energy, forces, virial)

    def close(self) -> None:
        """Nothing is kept open."""

    def doctor(self) -> ProgramReport:
        try:
            self._class()
        except ConfigurationError as error:
            return ProgramReport(self.program, None, None, error.message, error.hint)
        return ProgramReport(self.program, "ASE calculator (in process)", self.version)

    def _loaded(self) -> Any:
        if self._calculator is None:
            self._refuse_unknown_arguments()
            try:
                self._calculator = self._class()(**self._config.arguments)
            except (TypeError, ValueError, NotImplementedError) as error:
                raise ConfigurationError(
                    f"{self._config.calculator} does not take these arguments: {error}",
                    key="labeler.potential.arguments",
                ) from error
        return self._calculator

    def _refuse_unknown_arguments(self) -> None:
        """ASE calculators that take ``**kwargs`` keep a misspelt one without a word."""
        made = self._class()
        known = set(inspect.signature(made).parameters)
        defaults = getattr(made, "default_parameters", None)
        unknown = sorted(set(self._config.arguments) - known - set(defaults or ()))
        if defaults and unknown:
            raise ConfigurationError(
                f"{self._config.calculator} has no argument {unknown[0]!r}",
                key="labeler.potential.arguments",
                allowed=", ".join(sorted(set(defaults) | known - {"kwargs", "self"})),
            )

    def _class(self) -> Any:
        name = self._config.calculator
        if not self._config.trusted and not name.startswith(ALLOWED_PACKAGES):
            raise ConfigurationError(
                f"calculator {name!r} is not one of ASE's",
                key="labeler.potential.calculator",
                allowed="a name below ase.calculators or tblite.ase",
                hint="set `trusted: true` beside it if you trust that module's code",
            )
        module, _, attribute = name.rpartition(".")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(
                f"calculator {name!r} cannot be imported: {error}",
                key="labeler.potential.calculator",
                hint="install its package, or mend the name (package.module.Class)",
            ) from error


@cache
def _version_of(package: str) -> str:
    """Looked up once: reading a package's metadata takes longer than a cheap label."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"

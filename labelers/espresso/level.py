"""The level of theory: all that changes a label's value, and nothing else."""

from __future__ import annotations

import re

from labelers.espresso.launch import Launcher
from labelers.espresso.pseudopotentials import pseudopotential
from labelers.k_points import k_grid
from sis_engine.records import LevelOfTheory, System

INPUT_FORM = 1
"""Raised when what we write for the same settings gives other values."""
_CLASS = re.compile(r"\d+\.\d+")


def level_of(launcher: Launcher, system: System) -> LevelOfTheory:
    """Raises ConfigurationError where a pseudopotential is missing, ProgramError without pw.x."""
    config = launcher.config
    grid = k_grid(config.k_spacing_per_angstrom, system.frame) or (1, 1, 1)
    settings: dict[str, str | int | float | bool | None] = {
        "charge": system.charge,
        "multiplicity": system.multiplicity,
        "input_form": INPUT_FORM,
        "cutoff_rydberg": config.cutoff_rydberg,
        "density_cutoff_rydberg": config.density_cutoff,
        "k_points": "x".join(str(n) for n in grid),
        "functional": config.functional,
        "threshold_rydberg": config.scf.threshold_rydberg,
        "smearing": None if config.smearing is None else config.smearing.kind,
        "smearing_ev": None if config.smearing is None else config.smearing.width_ev,
    }
    functionals = set()
    for element in sorted(set(system.frame.species)):
        found = pseudopotential(config, element)
        settings[f"pseudopotential:{element}"] = f"{found.file.name} {found.sha256}"
        functionals.add(found.functional)
    version = launcher.version
    known = _CLASS.match(version)
    return LevelOfTheory(
        program="pw.x",
        version_class=version if known is None else known[0],
        method=config.functional or ", ".join(sorted(functionals)),
        settings=tuple(sorted(settings.items())),
    )

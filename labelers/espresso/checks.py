"""All that can be wrong with a system, found before anything expensive starts."""

from __future__ import annotations

from labelers.espresso.launch import Launcher
from labelers.espresso.level import level_of
from labelers.espresso.pseudopotentials import pseudopotential
from labelers.geometry import check_geometry
from labelers.openmpi import find_mpirun
from sis_engine.errors import ConfigurationError
from sis_engine.records import System


def check_system(launcher: Launcher, system: System) -> None:
    """Raises ConfigurationError or ProgramError if this system cannot be labelled."""
    if not all(system.frame.pbc):
        raise ConfigurationError(
            f"system {system.name!r} is periodic along {system.frame.pbc}: plane waves need a cell",
            key=f"systems.{system.name}",
            allowed="periodic in all three directions",
            hint="give a cluster or a slab a cell with vacuum, periodic in all directions",
        )
    level_of(launcher, system)
    _check_electrons(launcher, system)
    check_geometry(system, launcher.config.shortest_angstrom)
    if launcher.config.ranks not in {None, 1}:
        find_mpirun(launcher.config.mpirun)


def _check_electrons(launcher: Launcher, system: System) -> None:
    """Fixed occupations need pairs, and a spin needs so many electrons over."""
    config = launcher.config
    electrons = -float(system.charge)
    for element in system.frame.species:
        electrons += pseudopotential(config, element).electrons
    unpaired = system.multiplicity - 1
    if electrons <= 0.0 or unpaired > electrons:
        raise ConfigurationError(
            f"{electrons:g} electrons are left with charge {system.charge}, "
            f"of which {unpaired} unpaired",
            key=f"systems.{system.name}.charge",
        )
    if config.smearing is None and round(electrons - unpaired) % 2:
        raise ConfigurationError(
            f"charge {system.charge} and multiplicity {system.multiplicity} do not go with "
            f"{electrons:g} electrons in fixed occupations",
            key=f"systems.{system.name}.multiplicity",
            allowed="another multiplicity or charge, or labeler.smearing (metals)",
        )

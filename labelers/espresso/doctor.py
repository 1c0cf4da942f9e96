"""What ``sis doctor`` says of Quantum ESPRESSO: program, pseudopotentials, and whether MPI fits."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import numpy as np

from labelers.espresso.config import EspressoConfig
from labelers.espresso.input import n_k_points, pw_input
from labelers.espresso.launch import INSTALL, Launcher
from labelers.espresso.process import PwProcess
from labelers.espresso.pseudopotentials import INSTALL as INSTALL_DATA
from labelers.espresso.pseudopotentials import folder_of, pseudopotential
from labelers.openmpi import INSTALL as INSTALL_MPI
from labelers.openmpi import find_mpirun
from sis_engine.errors import SisError
from sis_engine.interfaces import Context, ProgramReport
from sis_engine.records import Frame, Label, System

OLDEST = (6, 7)
"""The version this labeler was tested with; older ones may print other words."""


def reports(launcher: Launcher) -> tuple[ProgramReport, ...]:
    """Program, pseudopotentials, and two ranks that must find each other."""
    try:
        executable, version = launcher.executable, launcher.version
    except SisError as error:
        return (ProgramReport("pw.x", None, None, error.message, error.hint or INSTALL),)
    problem = _too_old(version)
    found = [ProgramReport("pw.x", str(executable), version, problem, problem and INSTALL)]
    try:
        found.append(ProgramReport("pseudopotentials", str(folder_of(launcher.config)), None))
        for element in launcher.config.pseudopotentials:
            pseudopotential(launcher.config, element)
    except SisError as error:
        hint = error.hint or INSTALL_DATA
        found[1:] = [ProgramReport("pseudopotentials", None, None, error.message, hint)]
        return tuple(found)
    if launcher.config.ranks != 1:
        found.append(_mpi(launcher.config))
    return tuple(found)


def _too_old(version: str) -> str | None:
    parts = tuple(
        int(part) for part in version.removesuffix("MaX").split(".")[:2] if part.isdigit()
    )
    if len(parts) == len(OLDEST) and parts >= OLDEST:
        return None
    return f"pw.x {version} is older than {'.'.join(map(str, OLDEST))}, which was tested"


def _mpi(config: EspressoConfig) -> ProgramReport:
    """One atom on two ranks: a launcher of another MPI makes two lone ones of them."""
    try:
        mpirun = str(find_mpirun(config.mpirun))
    except SisError as error:
        return ProgramReport("pw.x mpirun", None, None, error.message, error.hint or INSTALL_MPI)
    element = next(iter(config.pseudopotentials))
    frame = Frame((element,), np.zeros((1, 3)), 3.0 * np.eye(3), (True, True, True))
    system = System("atom", frame)
    asked = {
        "ranks": 2,
        "pools": 1,
        "cutoff_rydberg": 10.0,
        "density_cutoff_rydberg": 40.0,
        "k_spacing_per_angstrom": None,
        "smearing": {"width_ev": 0.5},
        "scf": {"threshold_rydberg": 1e-3},
        "virial": False,
        "silent_timeout_s": 120.0,
    }
    quick = EspressoConfig.model_validate(config.model_dump() | asked)
    with tempfile.TemporaryDirectory(prefix="sis-doctor-") as folder:
        try:
            process = PwProcess(
                Launcher(quick),
                pw_input(quick, quick.scf, system, frame),
                Path(folder),
                Context(Path(folder), threads=2),
                n_k_points(quick, system),
            )
            with contextlib.closing(process):
                found = process.ask(frame)
        except (SisError, OSError) as error:
            return ProgramReport("pw.x mpirun", mpirun, None, str(error), INSTALL_MPI)
    problem = None if isinstance(found, Label) else f"two ranks gave no energy: {found.message}"
    return ProgramReport("pw.x mpirun", mpirun, None, problem, problem and INSTALL_MPI)

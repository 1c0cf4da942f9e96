"""What ``sis doctor`` says of CP2K: program, version, data, and whether MPI fits."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from labelers.cp2k.config import Cp2kConfig, Gfn1Method
from labelers.cp2k.input import Job, box_of, force_eval, structure
from labelers.cp2k.launch import INSTALL, Launcher
from labelers.cp2k.run import Run, to_the_end
from labelers.openmpi import INSTALL as INSTALL_MPI
from labelers.openmpi import find_mpirun
from sis_engine.errors import SisError
from sis_engine.interfaces import Context, ProgramReport
from sis_engine.records import Frame, System

OLDEST = (2023, 1)
"""The version this labeler was tested with; older ones print other words."""


def reports(launcher: Launcher) -> tuple[ProgramReport, ...]:
    """Program, data folder, and two ranks that must find each other."""
    try:
        executable, build = launcher.executable, launcher.build
    except SisError as error:
        return (ProgramReport("cp2k", None, None, error.message, error.hint or INSTALL),)
    problem = _too_old(build.version)
    found = [ProgramReport("cp2k", str(executable), build.exact, problem, problem and INSTALL)]
    try:
        found.append(ProgramReport("cp2k data", str(launcher.data.path), None))
    except SisError as error:
        found.append(ProgramReport("cp2k data", None, None, error.message, error.hint or INSTALL))
        return tuple(found)
    if build.parallel and launcher.config.ranks != 1:
        found.append(_mpi(launcher))
    return tuple(found)


def _too_old(version: str) -> str | None:
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if len(parts) == len(OLDEST) and parts >= OLDEST:
        return None
    return f"CP2K {version} is older than {'.'.join(map(str, OLDEST))}, which was tested"


def _mpi(launcher: Launcher) -> ProgramReport:
    """A hydrogen molecule on two ranks: a launcher of another MPI makes two lone ones of them."""
    config = Cp2kConfig(
        method=Gfn1Method(),
        program=launcher.config.program,
        mpirun=launcher.config.mpirun,
        mpirun_arguments=launcher.config.mpirun_arguments,
        data_dir=launcher.config.data_dir,
        ranks=2,
        virial=False,
        silent_timeout_s=60.0,
    )
    own = Launcher(config)
    try:
        mpirun = str(find_mpirun(config.mpirun))
    except SisError as error:
        return ProgramReport("cp2k mpirun", None, None, error.message, error.hint or INSTALL_MPI)
    frame = Frame(("H", "H"), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.74]]))
    system = System("hydrogen", frame)
    box = box_of(config, system, frame)
    text = Job("ENERGY", force_eval(config, system)).text(
        structure(box, frame.species, frame.positions)
    )
    with tempfile.TemporaryDirectory(prefix="sis-doctor-") as folder:
        try:
            ending = to_the_end(Run.of(own, Path(folder), Context(Path(folder), threads=2), text))
        except SisError as error:
            return ProgramReport("cp2k mpirun", mpirun, None, error.message, error.hint)
    problem = None if ending is None else f"two ranks gave no energy: {ending.message}"
    return ProgramReport("cp2k mpirun", mpirun, None, problem, problem and INSTALL_MPI)

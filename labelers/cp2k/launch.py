"""The program: where it is, what it was built as, and how it is started on so many cores."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from labelers.cp2k.config import Cp2kConfig
from labelers.cp2k.data import DataFolder
from sis_engine.errors import ProgramUnsuitable
from sis_engine.execution.program import ProgramRun, find_program

INSTALL = "apt-get install cp2k cp2k-data (Debian), or set labeler.program"
INPUT, OUTPUT = "input.inp", "output.out"
_VERSION = re.compile(r"CP2K version (\S+)")
_REVISION = re.compile(r"revision (\S+)")
_DATA_DIR = re.compile(r'__DATA_DIR="?([^"\s]+)')
_ANSWER_S = 60.0
LONE_RANK = {"OMPI_MCA_ess_singleton_isolated": "1", "OMP_NUM_THREADS": "1"}
"""For questions to the program that are answered at once, without mpirun."""


@dataclass(frozen=True)
class Build:
    """What ``cp2k.psmp --version`` says. parallel: built with MPI"""

    version: str
    revision: str
    data_dir: Path | None
    parallel: bool

    @property
    def exact(self) -> str:
        return f"{self.version} ({self.revision})"


@dataclass(frozen=True)
class Launcher:
    """How one calculation is started."""

    config: Cp2kConfig

    @property
    def executable(self) -> Path:
        return find_program("cp2k.psmp", self.config.program, install=INSTALL)

    @property
    def build(self) -> Build:
        return _build(self.executable)

    @property
    def data(self) -> DataFolder:
        """As CP2K finds it: the setting, CP2K_DATA_DIR, then the folder it was built for."""
        given = self.config.data_dir or os.environ.get("CP2K_DATA_DIR") or self.build.data_dir
        if given is None or not Path(given).is_dir():
            raise ProgramUnsuitable(
                f"CP2K's data folder {given} is not there",
                hint="apt-get install cp2k-data, or set labeler.data_dir",
            )
        return DataFolder(Path(given))

    def run(self, folder: Path, cores: int, patience: float) -> ProgramRun:
        """A run of the input in ``folder``. patience: factor on the time limits"""
        config = self.config
        wall = config.wall_timeout_s
        run = ProgramRun(
            arguments=(str(self.executable), "-i", INPUT, "-o", OUTPUT),
            directory=folder,
            environment=self.environment,
            wall_timeout_s=None if wall is None else wall * patience,
            silent_timeout_s=config.silent_timeout_s * patience,
            watch=(OUTPUT,),
            check=False,
        )
        return config.mpi.launched(run, cores)

    @property
    def environment(self) -> tuple[tuple[str, str], ...]:
        return (("CP2K_DATA_DIR", str(self.data.path)),)


@lru_cache(maxsize=8)
def _build(executable: Path) -> Build:
    """Asked once a process: starting a program of 50 MB takes a moment."""
    done = subprocess.run(
        [str(executable), "--version"],
        capture_output=True,
        text=True,
        timeout=_ANSWER_S,
        check=False,
        env={**os.environ, **LONE_RANK},
    )
    version = _VERSION.search(done.stdout)
    if done.returncode != 0 or version is None:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise ProgramUnsuitable(
            f"{executable} --version does not answer as CP2K does: {' | '.join(said)}",
            hint=INSTALL,
        )
    # Its compiler options are wrapped after 68 characters, in the middle of words.
    whole = done.stdout.replace("\n   ", "")
    revision, data = _REVISION.search(whole), _DATA_DIR.search(whole)
    return Build(
        version=version[1],
        revision=revision[1] if revision else "unknown revision",
        data_dir=Path(data[1]) if data else None,
        parallel="parallel" in whole.split("compiler:", 1)[0].split(),
    )

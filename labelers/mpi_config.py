"""Settings that every labeler shares whose program runs under MPI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from labelers.openmpi import OPENMPI_ARGUMENTS, MpiLaunch
from sis_engine.interfaces import PluginConfig


class MpiProgramConfig(PluginConfig):
    """A program under MPI.

    ranks: MPI processes of one calculation; ``null``: as many as there are cores for it
    threads_per_rank: OpenMP threads of each; ranks times threads never exceed the cores
    mpirun: ``null``: that of OpenMPI on PATH
    mpirun_arguments: put between mpirun and the program
    side_by_side: several single points may run at a time, each on its share of the cores; ``false``
        where one fills the memory
    silent_timeout_s: a run that writes nothing for so long is stopped; one SCF cycle must fit in
    shortest_angstrom: closer atoms are a bad geometry and are not calculated
    """

    ranks: Annotated[int, Field(ge=1)] | None = None
    threads_per_rank: Annotated[int, Field(ge=1)] = 1
    program: Path | None = None
    mpirun: Path | None = None
    mpirun_arguments: tuple[str, ...] = OPENMPI_ARGUMENTS
    side_by_side: bool = True
    silent_timeout_s: Annotated[float, Field(gt=0.0)] = 3600.0
    shortest_angstrom: Annotated[float, Field(ge=0.0)] = 0.4

    @property
    def mpi(self) -> MpiLaunch:
        """How it is launched."""
        return MpiLaunch(self.ranks, self.threads_per_rank, self.mpirun, self.mpirun_arguments)

    @property
    def adds_up_in_any_order(self) -> str | None:
        """Why results are not bitwise the same each time, if so."""
        if (self.ranks, self.threads_per_rank) != (1, 1):
            return "several ranks or threads add up in any order (labeler.ranks: 1)"
        return None

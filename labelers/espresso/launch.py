"""The program: where it is, which version, and how it is started on so many cores."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from labelers.espresso.config import EspressoConfig
from labelers.espresso.output import version_of
from sis_engine.errors import ProgramUnsuitable
from sis_engine.execution.program import ProgramRun, find_program

INSTALL = "apt-get install quantum-espresso quantum-espresso-data (Debian), or set labeler.program"
INPUT, OUTPUT, CRASH = "pw.in", "pw.out", "CRASH"
_ANSWER_S = 120.0
_POLL_S = 0.002
"""We sleep on the socket, which an answer wakes; looking after the process is not to add to it."""


@dataclass(frozen=True)
class Launcher:
    """How one pw.x is started."""

    config: EspressoConfig

    @property
    def executable(self) -> Path:
        return find_program("pw.x", self.config.program, install=INSTALL)

    @property
    def version(self) -> str:
        """As it says of itself: ``6.7MaX``."""
        return _version(self.executable)

    def run(
        self, folder: Path, cores: int, patience: float, socket: Path, n_k_points: int
    ) -> ProgramRun:
        """A run of the input in ``folder`` that takes its frames from ``socket``.

        patience: factor on the time limits;  socket: i-PI's, whose folder and prefix pw.x knows
        """
        ranks, _ = self.config.mpi.shape(cores)
        pools = _pools(ranks, self.config.pools or n_k_points)
        name = socket.name.removeprefix("ipi_")
        run = ProgramRun(
            arguments=(
                str(self.executable),
                *("-in", INPUT),
                *("-nk", str(pools)),
                *("-ipi", f"{name}:UNIX"),
            ),
            directory=folder,
            stdout=OUTPUT,
            silent_timeout_s=self.config.silent_timeout_s * patience,
            poll_s=_POLL_S,
            remove=(socket,),
            check=False,
        )
        return self.config.mpi.launched(run, cores)


def _pools(ranks: int, most: int) -> int:
    """The most groups of equal size: k-points are the cheapest thing to share out."""
    return max(n for n in range(1, ranks + 1) if ranks % n == 0 and (n == 1 or n <= most))


@lru_cache(maxsize=8)
def _version(executable: Path) -> str:
    """Asked once a process, with an empty input; it leaves files of errors where it runs."""
    lone = {"OMPI_MCA_ess_singleton_isolated": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="sis-pw-") as folder:
        done = subprocess.run(
            [str(executable)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=False,
            env={**os.environ, **lone},
        )
    version = version_of(done.stdout)
    if version is None:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise ProgramUnsuitable(
            f"{executable} does not answer as pw.x does: {' | '.join(said)}", hint=INSTALL
        )
    return version

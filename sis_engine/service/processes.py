"""Engines as processes of their own: started, found again, ended softly and then hard."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from sis_engine.errors import InfrastructureError
from sis_engine.execution.program import find_program
from sis_engine.execution.warden import kill_session
from sis_engine.service.jobs import Process


class Engine:
    """One ``sis run`` in a session of its own, started by this daemon or by one before it.

    child: as this daemon started it; ``None``: it is somebody else's child by now
    """

    def __init__(self, process: Process, child: subprocess.Popen[bytes] | None = None) -> None:
        self.process = process
        self._child = child

    def ended(self) -> bool:
        """Has it ended? A child is reaped."""
        if self._child is not None:
            return self._child.poll() is not None
        return not is_alive(self.process)

    @property
    def exit_code(self) -> int | None:
        """``None``: it runs, or was not this daemon's child."""
        return None if self._child is None else self._child.returncode

    def ask_to_stop(self) -> None:
        """SIGTERM: it commits or drops what is in hand and ends."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to its session; its programs' wardens see it die and end theirs."""
        self._signal(signal.SIGKILL)
        if is_alive(self.process):
            kill_session(self.process.pid)
        if self._child is not None:  # reaped: no zombie stays behind
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(5.0)

    def _signal(self, number: int) -> None:
        if not self.ended() and is_alive(self.process):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.process.pid, number)


def start_engine(
    folder: Path,
    said: Path,
    *,
    approve: bool,
    environment: Mapping[str, str],
    cores: tuple[int, ...],
) -> Engine:
    """Continue the campaign in ``folder``; what it prints goes to the file ``said``.

    cores: CPU numbers it is bound to; empty: not bound
    Raises InfrastructureError when no process can be started.
    """
    arguments = [str(find_program("sis")), "run", str(folder), "--quiet"]
    if approve:
        arguments.append("--approve")
    try:
        with said.open("wb") as out:
            child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )
    except OSError as error:
        raise InfrastructureError(
            f"no engine could be started for {folder}: {error}",
            hint="check memory, the number of processes and the disk",
        ) from error
    if cores:  # its interpreter is only starting: all threads it will have come after this
        with contextlib.suppress(OSError):
            os.sched_setaffinity(child.pid, cores)
    return Engine(Process(child.pid, started_at(child.pid) or 0), child)


def is_alive(process: Process) -> bool:
    """Does this very process run? One that has ended and was not reaped does not."""
    return started_at(process.pid) == process.started


def started_at(pid: int) -> int | None:
    """Clock ticks from boot to its start; ``None``: there is no such process, or it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    columns = text.rpartition(b")")[2].split()
    return None if columns[0] in {b"Z", b"X"} else int(columns[19])

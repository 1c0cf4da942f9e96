"""One ``lmp`` process that reads commands from its standard input."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from pathlib import Path

from sis_engine.errors import ProgramFailed, ProgramHung
from sis_engine.execution.wheel_program import start_of

_DONE = "SIS-DONE"


class LammpsProcess:
    """Asked with commands, answers with the lines it printed.

    directory: where it runs;  silent_timeout_s: after so long without a line it is killed
    """

    def __init__(self, executable: Path, silent_timeout_s: float, directory: Path) -> None:
        self._timeout = silent_timeout_s
        self._directory = directory
        self._executable = executable
        self._asked = 0
        self._rest = b""
        start = start_of(executable)
        environment = os.environ | dict(start.environment) | {"OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [str(start.program), "-log", "none", "-nocite"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
        try:
            self.version = self._greeting()
        except BaseException:
            self.close()
            raise

    def ask(self, commands: tuple[str, ...]) -> tuple[str, ...]:
        """Lines printed by these commands. Raises ProgramFailed or ProgramHung."""
        self._asked += 1
        marker = f"{_DONE} {self._asked}"
        text = "\n".join((*commands, f'print "{marker}"')) + "\n"
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(text.encode())
                self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died: what it said before says why
        return self._until(marker)

    def close(self) -> None:
        """End it, kindly and then not."""
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self._kill()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _greeting(self) -> str:
        """The version from ``LAMMPS (22 Jul 2025 - Update 2)``, printed at start."""
        lines = self.ask(())
        banner = next((line for line in lines if line.startswith("LAMMPS (")), "LAMMPS (unknown)")
        return banner.removeprefix("LAMMPS (").rstrip(")")

    def _until(self, marker: str) -> tuple[str, ...]:
        lines: list[str] = []
        while True:
            line = self._line(lines)
            if line.startswith("ERROR"):
                self._kill()
                raise ProgramFailed(line, directory=self._directory)
            if line == marker:
                return tuple(lines)
            lines.append(line)

    def _line(self, before: list[str]) -> str:
        """The next line. A pipe is read as it comes: a hung program must not hang us."""
        stdout = self._process.stdout
        if stdout is None:
            raise ProgramFailed("lmp has no standard output", directory=self._directory)
        limit = time.monotonic() + self._timeout
        while b"\n" not in self._rest:
            ready, _, _ = select.select([stdout], [], [], max(limit - time.monotonic(), 0.0))
            if not ready:
                self._kill()
                raise ProgramHung(
                    f"lmp said nothing for {self._timeout:.0f} s and was stopped",
                    directory=self._directory,
                    hint="raise labeler.potential.silent_timeout_s if the potential is that slow",
                )
            piece = os.read(stdout.fileno(), 65536)
            if not piece:
                code = self._process.wait()
                said = " | ".join(before[-3:])
                raise ProgramFailed(
                    f"{self._executable} ended with exit code {code}: {said}",
                    directory=self._directory,
                )
            self._rest += piece
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode(errors="replace").rstrip()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

"""The engine's end of the worker process: start it, ask it, watch it, stop it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sis_engine.errors import (
    ProgramFailed,
    ProgramHung,
    ProgramMissing,
    StopRequested,
    TrainingDiverged,
)
from sis_engine.interfaces import Context

SCRIPT = Path(__file__).with_name("worker.py")
POLL_S = 0.02
LOG_TAIL_CHARACTERS = 1500
ERROR_CHARACTERS = 800


@dataclass(frozen=True)
class Settings:
    """How the worker is started, and the limits on its silence."""

    python: Path
    threads: int
    cpu_only: bool
    start_timeout_s: float
    silence_timeout_s: float
    timeout_s: float


@dataclass(frozen=True)
class Answer:
    """result: as the worker gave it;  seconds: by sub-step"""

    result: dict[str, Any]
    seconds: dict[str, float]


def environment(settings: Settings) -> dict[str, str]:
    """The process's variables: fixed thread counts, no forked data loaders, no GPU if so asked."""
    chosen = {
        "OMP_NUM_THREADS": str(settings.threads),
        "DP_INTRA_OP_PARALLELISM_THREADS": str(settings.threads),
        "DP_INTER_OP_PARALLELISM_THREADS": "1",
        "NUM_WORKERS": "0",
        "PYTHONUNBUFFERED": "1",
    }
    if settings.cpu_only:
        chosen |= {"DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **chosen}


class WorkerSession:
    """One worker process, started at the first request and again after its death.

    Requests are serial. A stop, a timeout or a divergence kills the whole process group.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[[subprocess.Popen[bytes]], WorkerSession] | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Stop the process; the next request starts another."""
        if self._finalizer is not None:
            self._finalizer()
        self._process = None

    def ask(
        self,
        folder: Path,
        request: Mapping[str, Any],
        context: Context,
        watch: Callable[[], None] = lambda: None,
    ) -> Answer:
        """Send ``request`` to be worked on in ``folder``; ``watch`` is called now and then.

        Raises TrainingDiverged, ProgramFailed, ProgramHung, ProgramMissing, StopRequested, and
        whatever ``watch`` raises.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "request.json").write_text(json.dumps(dict(request), indent=1))
        (folder / "answer.json").unlink(missing_ok=True)
        with self._lock:
            try:
                process = self._running(folder, context)
                return self._answer(process, folder, context, watch)
            except BaseException:
                self.close()
                raise

    def _answer(
        self,
        process: subprocess.Popen[bytes],
        folder: Path,
        context: Context,
        watch: Callable[[], None],
    ) -> Answer:
        _send(process, folder)
        begun = time.monotonic()
        last_sign, last_size = begun, -1
        while not (folder / "answer.json").is_file():
            _stop_if_asked(context)
            watch()
            now, size = time.monotonic(), _size_of_files(folder)
            if size != last_size:
                last_sign, last_size = now, size
            if process.poll() is not None and not (folder / "answer.json").is_file():
                raise ProgramFailed(
                    f"the DeePMD process died with code {process.returncode}{_tail(folder)}",
                    directory=folder,
                    hint="negative codes are signals; -9 is often a lack of memory: batch_size",
                )
            _within(now - begun, self.settings.timeout_s, "timeout_s", folder)
            _within(now - last_sign, self.settings.silence_timeout_s, "silence_timeout_s", folder)
            time.sleep(POLL_S)
        return _read_answer(folder)

    def _running(self, folder: Path, context: Context) -> subprocess.Popen[bytes]:
        """The live process, started if need be; returns when DeePMD is imported."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        ready = folder / "worker.ready"
        ready.unlink(missing_ok=True)
        process = self._start(folder, ready)
        begun = time.monotonic()
        while not ready.is_file():
            _stop_if_asked(context)
            if process.poll() is not None:
                raise ProgramFailed(
                    f"{self.settings.python} cannot run DeePMD-kit{_tail(folder, 'worker.log')}",
                    directory=folder,
                    hint=f"{self.settings.python} -m pip install 'deepmd-kit[torch,lmp]==3.2.0'",
                )
            limit = self.settings.start_timeout_s
            _within(time.monotonic() - begun, limit, "start_timeout_s", folder)
            time.sleep(POLL_S)
        return process

    def _start(self, folder: Path, ready: Path) -> subprocess.Popen[bytes]:
        command = [str(self.settings.python), str(SCRIPT), str(ready.resolve())]
        try:
            with (folder / "worker.log").open("ab") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=environment(self.settings),
                    start_new_session=True,
                )
        except OSError as error:
            raise ProgramMissing(
                f"cannot start {self.settings.python}: {error}",
                directory=folder,
                hint="trainer.python is the interpreter of DeePMD's environment",
            ) from error
        self._process = process
        self._finalizer = weakref.finalize(self, _kill, process)
        return process


class WorkerPool:
    """The one worker of a trainer, or of several that share it; another when settings change."""

    def __init__(self) -> None:
        self._session: WorkerSession | None = None

    def session(self, settings: Settings) -> WorkerSession:
        """The running session, if it was started with these settings."""
        if self._session is None or self._session.settings != settings:
            self.close()
            self._session = WorkerSession(settings)
        return self._session

    def close(self) -> None:
        """Stop the process; the next request starts another."""
        if self._session is not None:
            self._session.close()


def interpreter(configured: Path | None) -> Path:
    """The configured interpreter, or this one."""
    return Path(sys.executable) if configured is None else configured


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: it holds nothing that must be written."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def _send(process: subprocess.Popen[bytes], folder: Path) -> None:
    if process.stdin is None:
        raise ProgramFailed("the DeePMD process has no input", directory=folder)
    try:
        process.stdin.write(f"{folder.resolve()}\n".encode())
        process.stdin.flush()
    except BrokenPipeError as error:
        raise ProgramFailed("the DeePMD process is gone", directory=folder) from error


def _read_answer(folder: Path) -> Answer:
    given = json.loads((folder / "answer.json").read_text())
    if given["ok"]:
        return Answer(result=given["result"], seconds=given["seconds"])
    if given["kind"] == "diverged":
        raise TrainingDiverged(
            f"training diverged: {given['error']}\n  files: {folder}",
            hint="lower start_lr, or look for bad labels among the newest frames",
        )
    raise ProgramFailed(
        f"DeePMD-kit raised {given['kind']}: {given['error'][:ERROR_CHARACTERS]}", directory=folder
    )


def _stop_if_asked(context: Context) -> None:
    if context.stop():
        raise StopRequested("stopped while DeePMD-kit was running; nothing of it is kept")


def _within(seconds: float, limit: float, key: str, folder: Path) -> None:
    if seconds > limit:
        raise ProgramHung(
            f"DeePMD-kit: no end after {seconds:.0f} s{_tail(folder)}",
            directory=folder,
            hint=f"raise trainer.{key} (now {limit:g})",
        )


def _size_of_files(folder: Path) -> int:
    files = (
        folder / name for name in ("dp.log", *(path.name for path in folder.glob("*.lcurve.out")))
    )
    return sum(path.stat().st_size for path in files if path.is_file())


def _tail(folder: Path, name: str = "dp.log") -> str:
    path = folder / name
    text = path.read_text(errors="replace") if path.is_file() else ""
    return f"\n  last words:\n{text[-LOG_TAIL_CHARACTERS:]}" if text else ""

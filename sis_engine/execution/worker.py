"""The engine's end of a worker process: start it, ask it, watch it, stop it.

For programs that are Python packages and take seconds to start (DeePMD-kit, PySCF): the process
runs :mod:`sis_engine.execution.serve` and is kept for the next request. What hangs or runs out of
memory there takes nothing of the engine with it.
"""

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

from sis_engine.errors import ProgramFailed, ProgramHung, ProgramMissing, StopRequested
from sis_engine.execution.program import tail
from sis_engine.interfaces import Context

SERVER = Path(__file__).with_name("serve.py")
START_LOG = "worker.log"
POLL_S = 0.02
TAIL_CHARACTERS = 1500


class WorkerDied(ProgramFailed):
    """The process ended in the middle of a request. ``code``: negative: killed by that signal."""

    def __init__(self, message: str, code: int, *, directory: Path, hint: str) -> None:
        super().__init__(message, directory=directory, hint=hint)
        self.code = code


@dataclass(frozen=True)
class WorkerSettings:
    """What runs in the worker, and the limits on its silence.

    name: of the program, for messages;  operations: the script that :mod:`serve` loads
    environment: variables added to the engine's own
    key: of the part in the configuration ("trainer"), for hints;  install: mends a failed start
    silence_timeout_s: without growth of its log or of files that match ``signs`` (globs)
    """

    name: str
    python: Path
    operations: Path
    environment: tuple[tuple[str, str], ...]
    start_timeout_s: float
    silence_timeout_s: float
    timeout_s: float
    key: str
    install: str
    log: str
    signs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reply:
    """What the worker said.

    result: of the operation; ``None`` when it raised: then ``kind`` and ``error`` say what
    seconds: by sub-step
    """

    result: dict[str, Any] | None
    seconds: dict[str, float]
    kind: str = ""
    error: str = ""


class Worker:
    """One process, started at the first request (or by :meth:`begin`) and again after its death or
    for new settings.

    Requests are serial. A stop, a timeout and a death kill the whole process group.
    """

    def __init__(self) -> None:
        self._settings: WorkerSettings | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: Path | None = None
        """Appears when the process has started; ``None``: it has."""
        self._finalizer: weakref.finalize[[subprocess.Popen[bytes]], Worker] | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Stop the process; the next request starts another."""
        if self._finalizer is not None:
            self._finalizer()
        self._process = None

    def begin(self, settings: WorkerSettings, folder: Path) -> None:
        """Start it already, in ``folder``, and go on at once. What goes wrong is said by the next
        request. Raises ProgramMissing.
        """
        with self._lock:
            self._use(settings)
            if self._process is None or self._process.poll() is not None:
                folder.mkdir(parents=True, exist_ok=True)
                self._start(settings, folder)

    def ask(
        self,
        settings: WorkerSettings,
        folder: Path,
        request: Mapping[str, Any],
        context: Context,
        watch: Callable[[], None] = lambda: None,
    ) -> Reply:
        """Send ``request`` to be worked on in ``folder``; ``watch`` is called now and then.

        Raises WorkerDied, ProgramFailed, ProgramHung, ProgramMissing, StopRequested, and whatever
        ``watch`` raises. An exception in the operation is a reply.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "request.json").write_text(json.dumps(dict(request), indent=1))
        (folder / "answer.json").unlink(missing_ok=True)
        with self._lock:
            self._use(settings)
            try:
                process = self._running(settings, folder, context)
                return _replied(process, settings, folder, context, watch)
            except BaseException:
                self.close()
                raise

    def _use(self, settings: WorkerSettings) -> None:
        if settings != self._settings:
            self.close()
            self._settings = settings

    def _running(
        self, settings: WorkerSettings, folder: Path, context: Context
    ) -> subprocess.Popen[bytes]:
        """The live process, started if need be; returns when it has started."""
        process = self._process
        if process is None or process.poll() is not None:
            process = self._start(settings, folder)
        if self._ready is None:  # it has been ready: whoever asked may have removed the file since
            return process
        started_in, begun = self._ready.parent, time.monotonic()
        while not self._ready.is_file():
            _stop_if_asked(settings, context)
            if process.poll() is not None:
                raise ProgramFailed(
                    f"{settings.python} cannot run {settings.name}{_last(started_in, START_LOG)}",
                    directory=started_in,
                    hint=f"{settings.python} -m {settings.install}",
                )
            waited, limit = time.monotonic() - begun, settings.start_timeout_s
            _within(waited, limit, settings, "start_timeout_s", started_in)
            time.sleep(POLL_S)
        self._ready = None
        return process

    def _start(self, settings: WorkerSettings, folder: Path) -> subprocess.Popen[bytes]:
        ready = folder / "worker.ready"
        ready.unlink(missing_ok=True)
        command = [
            str(settings.python),
            str(SERVER),
            str(settings.operations),
            str(ready.resolve()),
            settings.log,
        ]
        try:
            with (folder / START_LOG).open("ab") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **dict(settings.environment)},
                    start_new_session=True,
                )
        except OSError as error:
            raise ProgramMissing(
                f"cannot start {settings.python}: {error}",
                directory=folder,
                hint=f"{settings.key}.python is the interpreter of {settings.name}'s environment",
            ) from error
        self._process = process
        self._ready = ready
        self._finalizer = weakref.finalize(self, _kill, process)
        return process


def interpreter(configured: Path | None) -> Path:
    """The configured interpreter, or this one."""
    return Path(sys.executable) if configured is None else configured


def _replied(
    process: subprocess.Popen[bytes],
    settings: WorkerSettings,
    folder: Path,
    context: Context,
    watch: Callable[[], None],
) -> Reply:
    _send(process, settings, folder)
    begun = time.monotonic()
    last_sign, last_size = begun, -1
    while not (folder / "answer.json").is_file():
        _stop_if_asked(settings, context)
        watch()
        now, size = time.monotonic(), _size_of_signs(settings, folder)
        if size != last_size:
            last_sign, last_size = now, size
        if process.poll() is not None and not (folder / "answer.json").is_file():
            raise WorkerDied(
                f"the {settings.name} process died with code {process.returncode}"
                f"{_last(folder, settings.log)}",
                process.returncode,
                directory=folder,
                hint="negative codes are signals; -9 is often a lack of memory",
            )
        limits = (
            (now - begun, settings.timeout_s, "timeout_s"),
            (now - last_sign, settings.silence_timeout_s, "silence_timeout_s"),
        )
        for seconds, limit, key in limits:
            _within(seconds, limit * context.patience, settings, key, folder)
        time.sleep(POLL_S)
    given = json.loads((folder / "answer.json").read_text())
    return Reply(
        given.get("result"), given["seconds"], given.get("kind", ""), given.get("error", "")
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: it holds nothing that must be written."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def _send(process: subprocess.Popen[bytes], settings: WorkerSettings, folder: Path) -> None:
    if process.stdin is None:
        raise ProgramFailed(f"the {settings.name} process has no input", directory=folder)
    try:
        process.stdin.write(f"{folder.resolve()}\n".encode())
        process.stdin.flush()
    except BrokenPipeError as error:
        raise ProgramFailed(f"the {settings.name} process is gone", directory=folder) from error


def _stop_if_asked(settings: WorkerSettings, context: Context) -> None:
    if context.stop():
        raise StopRequested(f"stopped while {settings.name} was running; nothing of it is kept")


def _within(seconds: float, limit: float, settings: WorkerSettings, key: str, folder: Path) -> None:
    if seconds > limit:
        raise ProgramHung(
            f"{settings.name}: no end after {seconds:.0f} s{_last(folder, settings.log)}",
            directory=folder,
            hint=f"raise {settings.key}.{key} (now {limit:g})",
        )


def _size_of_signs(settings: WorkerSettings, folder: Path) -> int:
    files = [folder / settings.log, *(p for sign in settings.signs for p in folder.glob(sign))]
    return sum(path.stat().st_size for path in files if path.is_file())


def _last(folder: Path, name: str) -> str:
    text = tail(folder / name, TAIL_CHARACTERS)
    return f"\n  last words:\n{text}" if text else ""

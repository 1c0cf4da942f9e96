"""One external program: argument list, own process group, time limits, no orphans."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from sis_engine.errors import ProgramFailed, ProgramHung, ProgramMissing, StopRequested
from sis_engine.execution.warden import kill_session, remove
from sis_engine.interfaces import never_stop

_WARDEN = Path(__file__).with_name("warden.py")
_FIRST_POLL_S = 0.01
_TAIL_BYTES = 8_000


@dataclass(frozen=True)
class ProgramRun:
    """What to run, where, and when to stop waiting.

    arguments: program and its arguments; never a shell string
    environment: variables added to the engine's own, as (name, value)
    stdout, stderr: file names in ``directory``
    max_output_bytes: a program that prints more than this is stopped (a full disk helps no one)
    wall_timeout_s: longest run;  silent_timeout_s: longest time without growth of stdout, stderr
        or the files in ``watch`` (names in ``directory``); ``None``: no limit
    grace_s: between TERM and KILL
    remove: files and folders elsewhere (sockets, shared memory) that do not outlive the program,
        nor the engine, however either ends
    check: a non-zero exit code raises ProgramFailed
    """

    arguments: tuple[str, ...]
    directory: Path
    environment: tuple[tuple[str, str], ...] = ()
    stdout: str = "stdout.txt"
    stderr: str = "stderr.txt"
    max_output_bytes: int = 2**30
    wall_timeout_s: float | None = None
    silent_timeout_s: float | None = None
    watch: tuple[str, ...] = ()
    grace_s: float = 5.0
    poll_s: float = 0.2
    remove: tuple[Path, ...] = ()
    check: bool = True


@dataclass(frozen=True)
class ProgramOutcome:
    """How a program ended.

    exit_code: negative: killed by that signal
    stdout_tail, stderr_tail: the last few kB, undecodable bytes replaced
    """

    exit_code: int
    seconds: float
    directory: Path
    stdout_tail: str
    stderr_tail: str


def find_program(name: str, configured: Path | None = None, *, install: str | None = None) -> Path:
    """Path of a program: as configured, else beside this interpreter (its venv), else on PATH.

    install: how to get it, for the message of :class:`ProgramMissing`
    """
    if configured is not None:
        found = shutil.which(str(configured))
        if found is None:
            raise ProgramMissing(
                f"{name}: the configured path {configured} is not an executable file",
                hint=install,
            )
        return Path(found).absolute()
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=str(beside)) or shutil.which(name)
    if found is None:
        raise ProgramMissing(
            f"{name} was not found in {beside} nor on PATH ({os.environ.get('PATH', '')})",
            hint=install,
        )
    return Path(found).absolute()


def run_program(
    run: ProgramRun,
    *,
    stop: Callable[[], bool] = never_stop,
    on_poll: Callable[[], None] | None = None,
) -> ProgramOutcome:
    """Run it to its end in its own session, output to files in ``run.directory``.

    stop: asked at every poll; when true the group gets TERM, then KILL, and StopRequested is
        raised.  on_poll: called at every poll (progress)

    Raises ProgramMissing, ProgramHung (silent or too long), ProgramFailed (exit code, or too
    much output), StopRequested. Nothing of its session outlives the call, nor the engine.
    """
    with contextlib.closing(polled_program(run, stop=stop)) as polls:
        while True:
            try:
                next(polls)
            except StopIteration as ended:
                outcome: ProgramOutcome = ended.value
                return outcome
            if on_poll is not None:
                on_poll()


def polled_program(
    run: ProgramRun, *, stop: Callable[[], bool] = never_stop
) -> Generator[None, None, ProgramOutcome]:
    """As :func:`run_program`, for a caller that reads what is written while it runs.

    Yields at every poll and returns the outcome; closing it kills the group at once.
    """
    started = time.monotonic()
    with _started(run) as process:
        reason = yield from _wait(process, run, stop)
        if reason is not None:
            _stop_group(process, run.grace_s)
    seconds = time.monotonic() - started
    outcome = ProgramOutcome(
        exit_code=process.returncode,
        seconds=seconds,
        directory=run.directory,
        stdout_tail=tail(run.directory / run.stdout),
        stderr_tail=tail(run.directory / run.stderr),
    )
    if reason is not None:
        raise reason
    if run.check and outcome.exit_code != 0:
        raise failure(run, outcome)
    return outcome


def failure(run: ProgramRun, outcome: ProgramOutcome) -> ProgramFailed:
    """What to raise for a program that ended badly: how, and the last lines it wrote."""
    code = outcome.exit_code
    how = f"exit code {code}" if code >= 0 else f"killed by {_signal_name(-code)}"
    lines = (outcome.stderr_tail.strip() or outcome.stdout_tail.strip()).splitlines()[-3:]
    said = f"; last lines: {' | '.join(lines)}" if lines else ""
    hint = f"read {run.stdout} and {run.stderr} there"
    if code == -signal.SIGKILL:
        hint = "killed from outside: out of memory, or the batch system? see `dmesg | tail`"
    return ProgramFailed(
        f"{Path(run.arguments[0]).name} failed after {outcome.seconds:.1f} s: {how}{said}",
        directory=run.directory,
        hint=hint,
    )


def tail(path: Path, n_bytes: int = _TAIL_BYTES) -> str:
    """The end of a text file, undecodable bytes replaced; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - n_bytes))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


@contextlib.contextmanager
def _started(run: ProgramRun) -> Iterator[subprocess.Popen[bytes]]:
    """The program under its warden; on leaving, the whole session is gone."""
    reading, writing = os.pipe()
    try:
        if shutil.which(run.arguments[0]) is None:
            raise ProgramMissing(
                f"{run.arguments[0]} is not an executable file", directory=run.directory
            )
        with (
            (run.directory / run.stdout).open("wb") as out,
            (run.directory / run.stderr).open("wb") as err,
        ):
            process = subprocess.Popen(
                (*_warden(run, reading), *run.arguments),
                cwd=run.directory,
                env={**os.environ, **dict(run.environment)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=(reading,),
                start_new_session=True,
            )
        try:
            yield process
        finally:
            _kill_group(process)
            process.wait()
    finally:
        os.close(reading)
        os.close(writing)
        remove([str(path) for path in run.remove])


def _warden(run: ProgramRun, pipe: int) -> tuple[str, ...]:
    removed = os.pathsep.join(str(path.absolute()) for path in run.remove)
    return (sys.executable, "-I", "-S", str(_WARDEN), str(pipe), removed)


def _wait(
    process: subprocess.Popen[bytes], run: ProgramRun, stop: Callable[[], bool]
) -> Generator[None, None, Exception | None]:
    """Wait for the end; the exception to raise when it has to be stopped before."""
    started = last_growth = time.monotonic()
    size = -1
    pause = _FIRST_POLL_S
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=pause)
            return None
        pause = min(run.poll_s, pause * 1.5)
        now = time.monotonic()
        if stop():
            return StopRequested(f"{Path(run.arguments[0]).name} was stopped on request")
        printed = _size(run, (run.stdout, run.stderr))
        new_size = printed + _size(run, run.watch)
        if new_size != size:
            size, last_growth = new_size, now
        reason = _overrun(run, now - started, now - last_growth, printed)
        if reason is not None:
            return reason
        yield


def _overrun(run: ProgramRun, total_s: float, silent_s: float, printed: int) -> Exception | None:
    name = Path(run.arguments[0]).name
    if run.wall_timeout_s is not None and total_s > run.wall_timeout_s:
        return ProgramHung(
            f"{name} ran longer than its limit of {run.wall_timeout_s:g} s and was stopped",
            directory=run.directory,
            hint="raise the time limit in its configuration if it was still working",
        )
    if run.silent_timeout_s is not None and silent_s > run.silent_timeout_s:
        return ProgramHung(
            f"{name} wrote nothing for {silent_s:.0f} s "
            f"(limit {run.silent_timeout_s:g} s) and was stopped",
            directory=run.directory,
            hint="see the last lines of its output there",
        )
    if printed > run.max_output_bytes:
        return ProgramFailed(
            f"{name} printed {printed} bytes (limit {run.max_output_bytes}) and was stopped",
            directory=run.directory,
            hint="see the last lines of its output there",
        )
    return None


def _size(run: ProgramRun, names: tuple[str, ...]) -> int:
    total = 0
    for name in names:
        with contextlib.suppress(OSError):
            total += (run.directory / name).stat().st_size
    return total


def _stop_group(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """TERM to the group, then wait for its leader at most ``grace_s``."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=grace_s)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """The warden's group and, for ranks of mpirun have groups of their own, its whole session."""
    # A number is not reused while it names a group or a session with members: where there is a
    # process of this number again, it is a stranger, and ours are all gone.
    if process.returncode is None or not Path(f"/proc/{process.pid}").exists():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        kill_session(process.pid)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

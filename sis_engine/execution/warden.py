"""Runs one program and takes its whole session down when the engine dies.

Usage: ``python -I -S warden.py FD REMOVED PROGRAM ARGUMENT…`` as the leader of a new session.
The engine holds the writing end of pipe FD; when the engine dies, however it dies, the kernel
closes it, the warden reads end-of-file and kills the session. (PR_SET_PDEATHSIG would reach only
the direct child, dies with the thread that started it, and exists on Linux only.)

The session and not only the process group: ``mpirun`` gives each rank a group of its own. REMOVED
are paths, with colons in between, that must not outlive it either.

Run by path, so it must import nothing of the engine, and little else: it starts in 15 ms.
"""

import _thread
import os
import signal
import sys
import time

NOT_STARTED = 127


def _kill_all_when_engine_dies(pipe: int, removed: list[str], killing: _thread.LockType) -> None:
    try:
        os.read(pipe, 1)  # the engine never writes: this returns at end-of-file only
    finally:
        killing.acquire()
        kill_session(os.getpid())
        remove(removed)
        os.killpg(0, signal.SIGKILL)


def kill_session(session: int) -> None:
    """SIGKILL to all of a session but this process, until none is left or can be killed.

    Where there is no /proc (not Linux) this does nothing: the process group is killed anyway.
    """
    for _ in range(100):  # one may fork while the others are killed
        members = [pid for pid in _processes() if _session(pid) == session and pid != os.getpid()]
        if not members:
            return
        for member in members:
            try:  # noqa: SIM105 - contextlib would be one more import
                os.kill(member, signal.SIGKILL)
            except OSError:  # gone, or not ours
                pass
        time.sleep(0.01)


def remove(paths: list[str]) -> None:
    """Files and whole folders, whether they are there or not."""
    for path in paths:
        try:
            os.unlink(path)  # noqa: PTH108 - pathlib would be one more import
        except (IsADirectoryError, PermissionError):  # the latter on macOS
            import shutil

            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - so is pathlib
    except OSError:
        return []


def _session(pid: int) -> int | None:
    """Of a living process. Its name, the second column, may hold blanks and brackets."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - see above
            state, _, _, session = file.read().rpartition(b")")[2].split()[:4]
    except (OSError, ValueError):
        return None
    return None if state in {b"Z", b"X"} else int(session)


def main(arguments: list[str]) -> int:
    """Exit code of the program; a program killed by a signal kills the warden by the same."""
    pipe, removed = int(arguments[0]), [path for path in arguments[1].split(os.pathsep) if path]
    program = arguments[2:]
    killing = _thread.allocate_lock()
    _thread.start_new_thread(_kill_all_when_engine_dies, (pipe, removed, killing))
    stops = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    try:
        child = os.posix_spawnp(program[0], program, os.environ, setsigdef=stops)
    except OSError as error:
        sys.stderr.write(f"could not start {program[0]}: {error}\n")
        return NOT_STARTED
    for stop in stops:  # the group's TERM is for the program; the warden waits for its end
        signal.signal(stop, signal.SIG_IGN)
    _, status = os.waitpid(child, 0)
    killing.acquire()  # held for good by the killer: this process must not end before its work has
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return os.WEXITSTATUS(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs one program and takes its whole process group down when the engine dies.

Usage: ``python -I -S warden.py FD PROGRAM ARGUMENT…`` as the leader of a new process group.
The engine holds the writing end of pipe FD; when the engine dies, however it dies, the kernel
closes it, the warden reads end-of-file and kills the group. (PR_SET_PDEATHSIG would reach only
the direct child, dies with the thread that started it, and exists on Linux only.)

Run by path, so it must import nothing of the engine, and little else: it starts in 15 ms.
"""

import _thread
import os
import signal
import sys

NOT_STARTED = 127


def _kill_group_when_engine_dies(pipe: int) -> None:
    try:
        os.read(pipe, 1)  # the engine never writes: this returns at end-of-file only
    finally:
        os.killpg(0, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Exit code of the program; a program killed by a signal kills the warden by the same."""
    pipe = int(arguments[0])
    _thread.start_new_thread(_kill_group_when_engine_dies, (pipe,))
    stops = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    try:
        child = os.posix_spawnp(arguments[1], arguments[1:], os.environ, setsigdef=stops)
    except OSError as error:
        sys.stderr.write(f"could not start {arguments[1]}: {error}\n")
        return NOT_STARTED
    for stop in stops:  # the group's TERM is for the program; the warden waits for its end
        signal.signal(stop, signal.SIG_IGN)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    return os.WEXITSTATUS(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -I -S misbehave.py HOW``: a program that lets its engine down."""

import os
import signal
import sys
import time


def hang() -> None:
    time.sleep(86400)


def ignore_term() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang()


def leave_children() -> None:
    """Some in sessions of their own, which a group's signal does not reach."""
    for own in (False, True, False, True):
        if os.fork() == 0:
            if own:
                os.setpgid(0, 0)
            hang()
    sys.exit(1)


def print_a_gigabyte() -> None:
    block = b"x" * (1 << 16)
    for _ in range(1 << 14):
        sys.stdout.buffer.write(block)


def print_other_bytes() -> None:
    sys.stderr.buffer.write(bytes(range(128, 256)) + b"\n")
    sys.exit(1)


def say_nothing() -> None:
    """Exit code 0, and nothing was done."""


def be_killed() -> None:
    sys.exit(137)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def fill_the_disk() -> None:
    """Where it is: until nothing fits any more, and then it fails at it."""
    scratch = os.open("scratch.dat", os.O_WRONLY | os.O_CREAT)
    while True:
        os.write(scratch, b"x" * (1 << 16))


def do_its_work() -> None:
    """Let nobody down."""
    print("0.0")  # noqa: T201 - its result


def write_nan() -> None:
    print("nan")  # noqa: T201 - its result


if __name__ == "__main__":
    globals()[sys.argv[1]]()

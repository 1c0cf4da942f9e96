"""Program starts and waits that fail, in a Python of their own: replaced there for good."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import subprocess, sys
from sis_engine.rehearsal import statements
from sis_engine.rehearsal.interposer import Fault, Mode, Operation

statements.arm(Fault(Operation[sys.argv[1]], Mode[sys.argv[2]], 2))
program = [sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"]
for _ in range(3):
    try:
        print(subprocess.Popen(program).wait(), end=" ")
    except OSError as error:
        print(type(error).__name__, end=" ")
print(statements.fired(), end="")
"""


def said(operation: str, mode: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, operation, mode], capture_output=True, text=True, check=True
    ).stdout


def test_the_second_program_cannot_be_started_and_no_other() -> None:
    assert said("SPAWN", "EAGAIN") == "3 BlockingIOError 3 1"


def test_the_second_exit_code_is_lost_as_where_another_took_it() -> None:
    assert said("WAIT", "LOST") == "3 0 3 1"

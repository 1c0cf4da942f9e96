"""Processes forked from one that has imported the engine: a life that is ended costs no imports."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.integration.killed_run"])


def forked(target: Callable[..., int], *arguments: str, said: Path, timeout_s: float) -> int:
    """The exit code of ``target(*arguments)`` in a process of its own; minus a signal's number.

    target: of a module's top level;  said: gets what the process prints
    """
    process = _CONTEXT.Process(target=_live, args=(target, arguments, said))
    process.start()
    process.join(timeout_s)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"{arguments} has not ended after {timeout_s} s: {said.read_text()}")
    code = process.exitcode
    process.close()
    return code


def _live(target: Callable[..., int], arguments: tuple[str, ...], said: Path) -> None:
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.exit(target(*arguments))

"""The C library that makes the k-th file operation fail: built once, armed after each fork."""

from __future__ import annotations

import ctypes
import enum
import errno
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")
LIBRARY = "faults.so"


class Operation(enum.Enum):
    """What may fail. The first seven are counted in C, the others in Python."""

    OPEN = "open"
    WRITE = "write"
    FSYNC = "fsync"
    RENAME = "rename"
    UNLINK = "unlink"
    TRUNCATE = "truncate"
    MKDIR = "mkdir"
    STATEMENT = "SQLite statement"
    SPAWN = "spawn"
    WAIT = "wait"


IN_C = tuple(Operation)[:7]
IN_PROGRAMS = frozenset({Operation.SPAWN, Operation.WAIT})
"""Met only where parts run programs."""


class Mode(enum.Enum):
    """How it fails."""

    COUNT = "counted only"
    EIO = "input/output error"
    ENOSPC = "no space left, once"
    FULL = "no space left, from then on"
    EAGAIN = "no more processes"
    LOST = "its exit code is lost"
    SHORT = "short write"
    DIE_BEFORE = "death before it"
    DIE_HALF_WAY = "death half way through"
    DIE_AFTER = "death after it"

    @property
    def is_death(self) -> bool:
        return self in {Mode.DIE_BEFORE, Mode.DIE_HALF_WAY, Mode.DIE_AFTER}


MODES: dict[Operation, tuple[Mode, ...]] = {
    Operation.OPEN: (Mode.EIO, Mode.ENOSPC, Mode.DIE_BEFORE),
    Operation.WRITE: (Mode.EIO, Mode.ENOSPC, Mode.FULL, Mode.SHORT, Mode.DIE_HALF_WAY),
    Operation.FSYNC: (Mode.EIO, Mode.DIE_BEFORE),
    Operation.RENAME: (Mode.EIO, Mode.ENOSPC, Mode.DIE_BEFORE, Mode.DIE_AFTER),
    Operation.UNLINK: (Mode.EIO, Mode.DIE_BEFORE),
    Operation.TRUNCATE: (Mode.EIO, Mode.DIE_BEFORE),
    Operation.MKDIR: (Mode.EIO, Mode.ENOSPC, Mode.DIE_BEFORE),
    Operation.STATEMENT: (Mode.EIO, Mode.ENOSPC, Mode.DIE_BEFORE),
    Operation.SPAWN: (Mode.EAGAIN, Mode.DIE_BEFORE),
    Operation.WAIT: (Mode.LOST, Mode.DIE_BEFORE),
}
"""What is rehearsed of each."""

_C_MODE = {
    Mode.COUNT: 0,
    Mode.EIO: 1,
    Mode.ENOSPC: 1,
    Mode.FULL: 1,
    Mode.SHORT: 2,
    Mode.DIE_BEFORE: 3,
    Mode.DIE_HALF_WAY: 4,
    Mode.DIE_AFTER: 5,
}
"""``enum mode`` of the C source; what is missing is met in Python only."""


@dataclass(frozen=True)
class Fault:
    """The ``k``-th operation of this kind, from 1, fails like this."""

    operation: Operation
    mode: Mode
    k: int

    def __str__(self) -> str:
        return f"{self.operation.value} {self.k}: {self.mode.value}"


def build(folder: Path) -> Path | None:
    """The library, built in ``folder`` unless it is there; ``None`` without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library = folder.absolute() / LIBRARY
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = library.with_name(f"{LIBRARY}.{os.getpid()}")
        options = ("-O1", "-shared", "-fPIC", "-o", str(made), str(SOURCE), "-ldl")
        subprocess.run((compiler, *options), check=True, capture_output=True)
        made.replace(library)
    return library


def is_loaded() -> bool:
    """Whether this process was started with the library in front of the C library."""
    return hasattr(ctypes.CDLL(None), "sis_fault_arm")


def arm(fault: Fault, folder: Path) -> None:
    """From now on the fault lies in wait for this process's operations in ``folder``."""
    number = IN_C.index(fault.operation) if fault.operation in IN_C else -1
    code = errno.EIO if fault.mode is Mode.EIO else errno.ENOSPC
    ctypes.CDLL(None).sis_fault_arm(
        os.fsencode(folder.absolute()),
        ctypes.c_int(number),
        ctypes.c_long(fault.k),
        ctypes.c_int(_C_MODE.get(fault.mode, 0)),
        ctypes.c_int(code),
        ctypes.c_int(fault.mode is Mode.FULL),
    )


def seen() -> dict[Operation, int]:
    """How many operations of each kind this process has done since it was armed."""
    library = ctypes.CDLL(None)
    library.sis_fault_seen.restype = ctypes.c_long
    return {item: int(library.sis_fault_seen(number)) for number, item in enumerate(IN_C)}


def fired() -> int:
    """How many operations this process has seen fail since it was armed."""
    library = ctypes.CDLL(None)
    library.sis_fault_fired.restype = ctypes.c_long
    return int(library.sis_fault_fired())


def jump_clock(after: int, seconds: int) -> None:
    """The clock of the day jumps by so much once this process has asked for it so often."""
    ctypes.CDLL(None).sis_clock_arm(ctypes.c_long(after), ctypes.c_long(seconds))

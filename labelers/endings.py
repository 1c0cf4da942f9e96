"""How a program's run ended without a label, classed by what to do next: what all codes share."""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sis_engine.records import Failure

CURABLE = frozenset({Failure.NOT_CONVERGED, Failure.SOLVER})
"""What another way to solve the SCF may cure."""
PASSING = frozenset({Failure.OUT_OF_TIME, Failure.OUT_OF_MEMORY})
"""What may pass when the same is tried again."""
SYSTEM_SAID = (
    (r"No space left on device|Disk quota exceeded|Input/output error", Failure.INFRASTRUCTURE),
    (r"Cannot allocate memory|out of memory|bad_alloc|Error allocating", Failure.OUT_OF_MEMORY),
    (r"MPI_INIT failed|There are not enough slots|orte_init failed", Failure.PROGRAM),
)
"""Words of the system, its libraries and MPI."""
_PROBE = ".room-left"


@dataclass(frozen=True)
class Ending:
    """Why a run gave no label. message: one line"""

    reason: Failure
    message: str


def ending_by_words(
    said: str, patterns: Sequence[tuple[str, Failure]], message: str | None = None
) -> Ending | None:
    """Class by the first pattern found. message: in place of the line that has it"""
    for pattern, reason in patterns:
        if found := re.search(pattern, said):
            return Ending(reason, message or _line_of(said, found.start()))
    return None


def ending_by_exit_code(code: int | None) -> Ending:
    """For a program that said nothing of use. code: ``None``: it was stopped from here"""
    if code in {-signal.SIGKILL, 128 + signal.SIGKILL}:
        return Ending(
            Failure.OUT_OF_MEMORY, "killed from outside: out of memory, or by the batch system?"
        )
    if code is None or code == 0:
        return Ending(Failure.PROGRAM, "the output was cut short")
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return Ending(Failure.PROGRAM, f"it crashed without a word ({how})")


def without_room(folder: Path) -> Ending | None:
    """Programs go on in silence on a full disk, and their files end in the middle of a line."""
    if has_room(folder):
        return None
    return Ending(Failure.INFRASTRUCTURE, f"there is no room left on the disk of {folder}")


def has_room(folder: Path) -> bool:
    """Whether a block can still be written."""
    probe = folder / _PROBE
    try:
        probe.write_bytes(b"\0" * 4096)
    except OSError as error:
        return error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
    finally:
        probe.unlink(missing_ok=True)
    return True


def _line_of(text: str, position: int) -> str:
    begin = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return text[begin : end if end >= 0 else None].strip()

"""How a run ended, classed by what to do next."""

from __future__ import annotations

import errno
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from labelers.cp2k.launch import OUTPUT
from sis_engine.execution.program import ProgramOutcome, tail
from sis_engine.records import Failure

_ABORT = re.compile(r"\[ABORT\].*?\n(.*?)\*{60,}", re.DOTALL)
_ART = re.compile(r"^[ *]*(?:\\___/|\|(?=\s)|O/\||/\| \||/ \\)?\s*|[\s*]+$")
_SAID = (
    (r"SCF run NOT converged", Failure.NOT_CONVERGED),
    (r"No space left on device|Disk quota exceeded|Input/output error", Failure.INFRASTRUCTURE),
    (r"Cannot allocate memory|out of memory|bad_alloc|Error allocating", Failure.OUT_OF_MEMORY),
    (r"exceeded requested execution time", Failure.OUT_OF_TIME),
    (r"GEOMETRY wrong|atoms? (?:are )?too close|Atoms? .* on top of", Failure.BAD_GEOMETRY),
    (r"[Cc]holesky|not positive definite|p?dpotrf|p?dsyev|ELPA.*(?:error|fail)", Failure.SOLVER),
    (r"[Dd]iagonali[sz]ation.*(?:fail|error)|matrix.*singular|is NaN|NaN detected", Failure.SOLVER),
    (r"MPI_INIT failed|There are not enough slots|orte_init failed", Failure.PROGRAM),
)
_PROBE = ".room-left"


@dataclass(frozen=True)
class Ending:
    """Why a run gave no label. message: one line"""

    reason: Failure
    message: str


def ending_of(folder: Path, outcome: ProgramOutcome | None, *, unconverged: bool) -> Ending:
    """Class a run that ended without its label, by what it and the system said.

    outcome: ``None`` when it was stopped from here
    """
    if not has_room(folder):
        return no_room(folder)
    abort = abort_message(tail(folder / OUTPUT, 64_000))
    said = "\n".join(
        part for part in (abort, "" if outcome is None else outcome.stderr_tail) if part
    )
    for pattern, reason in _SAID:
        if found := re.search(pattern, said):
            return Ending(reason, abort or _line_of(said, found.start()))
    if unconverged:
        return Ending(Failure.NOT_CONVERGED, "SCF run NOT converged")
    if abort is not None:
        return Ending(Failure.PROGRAM, abort)
    return _by_exit_code(None if outcome is None else outcome.exit_code)


def no_room(folder: Path) -> Ending:
    """On a full disk CP2K goes on in silence, and its files end in the middle of a line."""
    return Ending(Failure.INFRASTRUCTURE, f"there is no room left on the disk of {folder}")


def _by_exit_code(code: int | None) -> Ending:
    if code == -signal.SIGKILL or code == 128 + signal.SIGKILL:
        return Ending(
            Failure.OUT_OF_MEMORY, "killed from outside: out of memory, or by the batch system?"
        )
    if code is None or code == 0:
        return Ending(Failure.PROGRAM, "the output was cut short")
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return Ending(Failure.PROGRAM, f"it crashed without a word ({how})")


def abort_message(text: str) -> str | None:
    """The words in CP2K's [ABORT] box, as one line."""
    found = _ABORT.search(text)
    if found is None:
        return None
    lines = [_ART.sub("", line) for line in found[1].splitlines()]
    *words, place = [line for line in lines if line] or [""]
    return f"{' '.join(words)} ({place})" if words else place


def has_room(folder: Path) -> bool:
    """Whether a block can still be written. CP2K itself goes on in silence on a full disk."""
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

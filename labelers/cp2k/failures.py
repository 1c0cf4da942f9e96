"""How a run of CP2K ended, classed by what to do next."""

from __future__ import annotations

import re
from pathlib import Path

from labelers.cp2k.launch import OUTPUT
from labelers.endings import (
    SYSTEM_SAID,
    Ending,
    ending_by_exit_code,
    ending_by_words,
    without_room,
)
from sis_engine.execution.program import ProgramOutcome, tail
from sis_engine.records import Failure

_ABORT = re.compile(r"\[ABORT\].*?\n(.*?)\*{60,}", re.DOTALL)
_ART = re.compile(r"^[ *]*(?:\\___/|\|(?=\s)|O/\||/\| \||/ \\)?\s*|[\s*]+$")
_SAID = (
    (r"SCF run NOT converged", Failure.NOT_CONVERGED),
    *SYSTEM_SAID,
    (r"exceeded requested execution time", Failure.OUT_OF_TIME),
    (r"GEOMETRY wrong|atoms? (?:are )?too close|Atoms? .* on top of", Failure.BAD_GEOMETRY),
    (r"[Cc]holesky|not positive definite|p?dpotrf|p?dsyev|ELPA.*(?:error|fail)", Failure.SOLVER),
    (r"[Dd]iagonali[sz]ation.*(?:fail|error)|matrix.*singular|is NaN|NaN detected", Failure.SOLVER),
)
_CHARGES = "xTB Charges"
_UNCHECKED = (
    "charges out of range in an SCF that is not converged; CHECK_ATOMIC_CHARGES F in &XTB of the "
    "template lets it go on"
)


def ending_of(folder: Path, outcome: ProgramOutcome | None, *, unconverged: bool) -> Ending:
    """Class a run that ended without its label, by what it and the system said.

    outcome: ``None`` when it was stopped from here
    """
    no_room = without_room(folder)
    if no_room is not None:
        return no_room
    abort = abort_message(tail(folder / OUTPUT, 64_000))
    said = "\n".join(
        part for part in (abort, "" if outcome is None else outcome.stderr_tail) if part
    )
    if abort is not None and _CHARGES in abort:
        return Ending(Failure.SOLVER, f"{abort}: {_UNCHECKED}")
    known = ending_by_words(said, _SAID, abort)
    if known is not None:
        return known
    if unconverged:
        return Ending(Failure.NOT_CONVERGED, "SCF run NOT converged")
    if abort is not None:
        return Ending(Failure.PROGRAM, abort)
    return ending_by_exit_code(None if outcome is None else outcome.exit_code)


def abort_message(text: str) -> str | None:
    """The words in CP2K's [ABORT] box, as one line."""
    found = _ABORT.search(text)
    if found is None:
        return None
    lines = [_ART.sub("", line) for line in found[1].splitlines()]
    *words, place = [line for line in lines if line] or [""]
    return f"{' '.join(words)} ({place})" if words else place

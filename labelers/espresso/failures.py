"""How a run of pw.x ended, classed by what to do next."""

from __future__ import annotations

from pathlib import Path

from labelers.endings import (
    SYSTEM_SAID,
    Ending,
    ending_by_exit_code,
    ending_by_words,
    without_room,
)
from labelers.espresso.launch import CRASH, OUTPUT
from labelers.espresso.output import error_message, unconverged_message
from sis_engine.execution.program import ProgramOutcome, tail
from sis_engine.records import Failure

_SAID = (
    *SYSTEM_SAID,
    (r"Maximum CPU time exceeded", Failure.OUT_OF_TIME),
    (r"\balloc\w*: |[Ii]nsufficient (?:virtual )?memory", Failure.OUT_OF_MEMORY),
    (r"atoms #.*overlap|atoms are too close|lattice vectors are linearly", Failure.BAD_GEOMETRY),
    (r"error (?:opening|writing|while writing)", Failure.INFRASTRUCTURE),
    (r"too many bands are not converged|[Cc]holesky|not positive definite", Failure.SOLVER),
    (r"c_bands:|[rc]diaghg:|[rc]egterg:|eigenvectors failed|davidson", Failure.SOLVER),
    (r"smearing is needed|is not recognized|bad line in namelist", Failure.PROGRAM),
    (r"charge is wrong|cannot bracket Ef|is NaN|negative rho", Failure.SOLVER),
)


def ending_of(folder: Path, outcome: ProgramOutcome | None) -> Ending:
    """Class a run that ended before it answered, by what it and the system said.

    outcome: ``None`` when it was stopped from here
    """
    no_room = without_room(folder)
    if no_room is not None:
        return no_room
    # Words that were still in its buffers when it died stand in CRASH only.
    printed = f"{tail(folder / CRASH, 64_000)}\n{tail(folder / OUTPUT, 64_000)}"
    error, unconverged = error_message(printed), unconverged_message(printed)
    if unconverged is not None and error is None:
        return Ending(Failure.NOT_CONVERGED, unconverged)
    stderr = "" if outcome is None else outcome.stderr_tail
    known = ending_by_words("\n".join(part for part in (error, stderr) if part), _SAID, error)
    if known is not None:
        return known
    if error is not None:
        return Ending(Failure.PROGRAM, error)
    return ending_by_exit_code(None if outcome is None else outcome.exit_code)

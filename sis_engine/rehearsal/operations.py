"""The k-th operation fails, or the engine dies at it; then the campaign goes on undisturbed."""

from __future__ import annotations

import time
from pathlib import Path

from sis_engine.rehearsal.given import Changes, Ordeal, Undisturbed, prepare
from sis_engine.rehearsal.interposer import IN_PROGRAMS, Fault
from sis_engine.rehearsal.life import ENDED, UNEXPECTED, End, nothing
from sis_engine.rehearsal.programs import good_programs
from sis_engine.rehearsal.trial import Trial

WENT_ON = "went on by itself to the same end"
PAUSED = "paused with the reason; the next run came to the same end"
REFUSED = "stopped with a message; the next run came to the same end"
DIED = "the next run came to the same end"
NOT_MET = "there was no such operation"


def failed_operation(
    place: Path, compared: Undisturbed, fault: Fault, *, changes: Changes | None = None
) -> Trial:
    """One campaign whose first life meets the fault."""
    begun = time.monotonic()
    ordeal = Ordeal(prepare(place, changes), compared)
    first = good_programs if fault.operation in IN_PROGRAMS else nothing
    end = ordeal.live(fault=fault, first=first)
    met = end.killed or end.fired > 0
    if end.killed != fault.mode.is_death and met:
        ordeal.differences.append(f"exit code {end.code} after {fault}")
    ordeal.to_the_end()
    return Trial(
        name=str(fault),
        fault=f"{fault.operation.value}: {fault.mode.value}",
        outcome=_outcome(end) if met else NOT_MET,
        injected=int(met) if end.killed else end.fired,
        differences=tuple(ordeal.differences),
        recomputed=ordeal.recomputed,
        orphans=tuple(ordeal.orphans),
        seconds=time.monotonic() - begun,
    )


def _outcome(end: End) -> str:
    if end.killed:
        return DIED
    if end.code in ENDED:
        return WENT_ON
    if end.code == UNEXPECTED:
        return "an unexpected error"
    return PAUSED if end.code == 3 else REFUSED

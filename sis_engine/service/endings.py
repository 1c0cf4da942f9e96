"""What it means that an engine has ended, and what is done about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sis_engine.bookkeeping.states import State
from sis_engine.commands.status import state_of
from sis_engine.errors import SisError
from sis_engine.execution.program import tail
from sis_engine.service.jobs import LEAVES, Job, JobState, Wanted
from sis_engine.service.settings import ServiceConfig
from sis_engine.storage.ledger import Ledger, StageState

REFUSED = 2
"""Exit code of an engine that started nothing."""


@dataclass(frozen=True)
class Ending:
    """Where a campaign stands after its engine has ended.

    fault: the surroundings or the engine failed: it counts against the tries
    """

    state: JobState
    reason: str
    fault: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True)
class Traces:
    """What an engine left behind.

    exit_code: ``None``: it was not this daemon's child;  state, reason: as the ledger has them,
    ``None``: it was killed, or never came so far;  infrastructure: the surroundings failed
    """

    exit_code: int | None
    state: State | None
    reason: str
    said: str
    infrastructure: bool = False


def traces_of(folder: Path, exit_code: int | None, said: Path) -> Traces:
    """Look at the ledger and at the last words."""
    last_words = tail(said).strip()
    try:
        with Ledger(folder, read_only=True) as ledger:
            known = ledger.meta("state")
            state, reason = state_of(folder, ledger)
            last = ledger.events(limit=3)
    except SisError as error:
        return Traces(exit_code, None, str(error), last_words)
    if known in {None, State.RUNNING.value} or state is State.RUNNING:
        return Traces(exit_code, None, reason, last_words)
    infrastructure = any(row.kind == "infrastructure" and row.text == reason for row in last)
    return Traces(exit_code, state, reason, last_words, infrastructure)


def reached(folder: Path) -> str:
    """How far a campaign is: it differs when work got further."""
    try:
        with Ledger(folder, read_only=True) as ledger:
            done = sum(row.state is StageState.DONE for row in ledger.stages())
            return f"{len(ledger.generations())}/{done}/{sum(c.paid for c in ledger.counts())}"
    except SisError:
        return ""


def judge(job: Job, left: Traces, faults: int, config: ServiceConfig) -> Ending:
    """What follows. faults: in a row before this end, without progress between them."""
    if job.wanted in LEAVES:
        return Ending(LEAVES[job.wanted], _by_a_person(job.wanted))
    if left.exit_code == REFUSED:
        return Ending(JobState.FAILED, left.said or "the engine refused to start")
    if left.state is State.PAUSED and left.infrastructure:
        return _again(left.reason, faults, config.infrastructure_retry_after_s)
    if left.state is None or (left.exit_code or 0) < 0:
        return _again(_died(left), faults, config.retry_after_s)
    return Ending(JobState(left.state.value), left.reason)


def _again(reason: str, faults: int, waits: tuple[float, ...]) -> Ending:
    if faults >= len(waits):
        told = f"paused after {faults + 1} faults in a row without progress; the last: {reason}"
        return Ending(JobState.PAUSED, told, fault=True)
    told = f"{reason}\ntried again in {waits[faults]:g} s (fault {faults + 1} of {len(waits) + 1})"
    return Ending(JobState.QUEUED, told, fault=True, wait_s=waits[faults])


def _died(left: Traces) -> str:
    if left.exit_code is not None and left.exit_code < 0:
        how = f"the engine was killed by signal {-left.exit_code}"
        if left.exit_code == -9:
            how += " (out of memory? see `dmesg | tail`)"
    elif left.exit_code is None:
        how = "the engine ended while no daemon watched it"
    else:
        how = f"the engine ended with exit code {left.exit_code} and left no state"
    last = left.said.splitlines()[-3:]
    return how + (f"; last lines: {' | '.join(last)}" if last else "")


def _by_a_person(wanted: Wanted) -> str:
    return {
        Wanted.PAUSE: "paused by a person: `sis resume` goes on",
        Wanted.STOP: "stopped by a person: `sis resume` puts it back into the queue",
    }[wanted]

"""What follows when an engine has ended."""

from __future__ import annotations

import pytest

from sis_engine.bookkeeping.states import State
from sis_engine.service.endings import Ending, Traces, judge
from sis_engine.service.jobs import Job, JobState, Wanted
from sis_engine.service.settings import ServiceConfig

CONFIG = ServiceConfig(retry_after_s=(5.0, 30.0), infrastructure_retry_after_s=(600.0,))


def ending(left: Traces, faults: int = 0, wanted: Wanted = Wanted.RUN) -> Ending:
    return judge(Job("a", wanted=wanted), left, faults, CONFIG)


@pytest.mark.parametrize(
    ("code", "state", "expected"),
    [
        (0, State.STABLE, JobState.STABLE),
        (4, State.EXHAUSTED, JobState.EXHAUSTED),
        (1, State.FAILED, JobState.FAILED),
        (3, State.PAUSED, JobState.PAUSED),
        (None, State.STABLE, JobState.STABLE),
    ],
)
def test_what_the_ledger_says_holds(code: int | None, state: State, expected: JobState) -> None:
    found = ending(Traces(code, state, "because", ""))
    assert (found.state, found.reason, found.fault) == (expected, "because", False)


def test_a_killed_engine_is_tried_again_then_the_campaign_is_paused() -> None:
    killed = Traces(-9, None, "", "last words")
    waits = [ending(killed, faults).wait_s for faults in (0, 1)]
    assert waits == [5.0, 30.0]
    assert ending(killed, 0).state is JobState.QUEUED
    last = ending(killed, 2)
    assert last.state is JobState.PAUSED
    assert "3 faults in a row" in last.reason
    assert "signal 9" in last.reason
    assert "last words" in last.reason


def test_a_full_disk_is_tried_again_later_then_paused_with_its_reason() -> None:
    full = Traces(3, State.PAUSED, "disk full", "", infrastructure=True)
    first, second = ending(full, 0), ending(full, 1)
    assert (first.state, first.wait_s) == (JobState.QUEUED, 600.0)
    assert second.state is JobState.PAUSED
    assert "disk full" in second.reason


def test_an_old_state_in_the_ledger_does_not_hide_a_kill() -> None:
    assert ending(Traces(-11, State.PAUSED, "long ago", "")).fault


def test_a_refused_configuration_is_not_tried_again() -> None:
    found = ending(Traces(2, None, "", "sis: campaign.yaml:3 seed: wrong"))
    assert found.state is JobState.FAILED
    assert "seed: wrong" in found.reason


@pytest.mark.parametrize(
    ("wanted", "state"), [(Wanted.PAUSE, JobState.PAUSED), (Wanted.STOP, JobState.STOPPED)]
)
def test_a_request_is_not_a_fault_however_it_ended(wanted: Wanted, state: JobState) -> None:
    found = ending(Traces(-9, None, "", ""), wanted=wanted)
    assert (found.state, found.fault) == (state, False)

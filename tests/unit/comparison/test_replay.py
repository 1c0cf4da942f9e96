"""What stored MD does not tell of another sampler is said, not guessed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sis_engine.comparison.replay import Moment, _own, _untold, select
from sis_engine.plugins import Kind, configure
from sis_engine.records import (
    AuditRequest,
    AuditResult,
    AuditRound,
    Errors,
    Exhausted,
    Frame,
    LabelPlan,
    PlanOutcome,
    Purpose,
    Requests,
    Rung,
    Stable,
    Start,
)
from sis_engine.stages.decide import audited_frames


def given(*monitors: str) -> Any:
    verdicts = tuple(SimpleNamespace(monitor=name) for name in monitors)
    return SimpleNamespace(explorations=(), verdicts=verdicts)


PAPER = configure(Kind.SAMPLER, {"type": "sis-paper"}, key="sampler")
SIS = configure(Kind.SAMPLER, {"type": "sis"}, key="sampler")


def test_md_that_an_unknown_monitor_ended_would_have_gone_on():
    assert _untold(PAPER, given("geometry", "energy")) == (
        "the stored MD was ended by energy, geometry; with this sampler's monitors it had gone on"
    )


@pytest.mark.parametrize("monitors", [(), ("temperature",), ("temperature", "energy")])
def test_what_its_own_monitors_ended_or_nothing_did_is_told(monitors):
    assert _untold(PAPER, given(*monitors)) is None


def test_a_sampler_that_answers_every_monitor_is_always_told():
    assert _untold(SIS, given("geometry")) is None


class Auditing:
    """Asks for an audit of ``frames``, and labels what it was shown of one that failed."""

    needs = SimpleNamespace(members=1)

    def __init__(self, frames: list[Frame]) -> None:
        self.frames = frames

    def conditions(self, *_given: Any) -> tuple[()]:
        return ()

    def decide(self, given: Any) -> Any:
        if given.audit is None:
            return AuditRequest((plan("audit", Purpose.AUDIT, self.frames),), "is it right?")
        if given.audit.passed:
            return Stable("it is right")
        shown = [item.frame for item in given.audit_frames]
        return Requests((plan("learnt", Purpose.SINGLE, [*shown, frame(9)]),), "it is wrong")


def frame(number: int) -> Frame:
    return Frame(("Ar",), np.array([[float(number), 0.0, 0.0]]))


def plan(name: str, purpose: Purpose, frames: list[Frame]) -> LabelPlan:
    return LabelPlan(name, "s", purpose, tuple(Start(item) for item in frames))


def outcome(labelled: tuple[Any, ...]) -> PlanOutcome:
    n = len(labelled)
    return PlanOutcome("own", "s", Purpose.AUDIT, Rung.PREFERRED, None, labelled, (), n)


def moment(*, passed: bool, rounds: tuple[int, ...] = (2,)) -> Any:
    """A generation in which the campaign audited two frames. No label is known beforehand.

    rounds: frames of each of its audits, the first ones
    """
    labelled = tuple(
        SimpleNamespace(frame=frame(k), origin=SimpleNamespace(system="s")) for k in (0, 1)
    )
    result = AuditResult(Errors(2, 0.1, 1.0, 0.3, 0.001), 0.1, (), 0.001, 0, 0.25, 0.02, 2, passed)
    record = SimpleNamespace(
        number=3,
        seed=1,
        model=None,
        explorations=(),
        verdicts=(),
        triages=(),
        support=(),
        decision=Stable("x"),
        audits=tuple(AuditRound((outcome(labelled[:n]),), result) for n in rounds),
    )
    level = SimpleNamespace(fingerprint="level")
    labeler = SimpleNamespace(level_of_theory=lambda _system: level)
    parts = SimpleNamespace(systems=(), base_condition=None, labeler=labeler, system=lambda s: s)
    past = SimpleNamespace(
        history=(), after=lambda *_given: SimpleNamespace(reference_ends=()), parts=()
    )
    return Moment(SimpleNamespace(parts=parts), record, past, frozenset())


@pytest.mark.parametrize(
    ("passed", "word", "asked"), [(True, "stable", []), (False, "requests", [1])]
)
def test_an_audit_costs_what_was_asked_for_whether_it_passed_or_failed(passed, word, asked):
    """Three frames of its own choice; of a failed one's two frames and a new one only that."""
    found = select(moment(passed=passed), Auditing([frame(k) for k in (5, 6, 7)]))
    assert found.word == word
    assert [item.least for item in found.audits] == [3]
    assert [item.least for item in found.asked] == asked
    assert found.evaluations == 3 + sum(asked)


class Looking(Auditing):
    """One frame first; the rest where that one is right."""

    def decide(self, given: Any) -> Any:
        if given.audit is None:
            return AuditRequest((plan("look", Purpose.AUDIT, self.frames[:1]),), "is it right?")
        if given.audit.within_limits and given.audit.errors.n_frames < len(self.frames):
            return AuditRequest((plan("rest", Purpose.AUDIT, self.frames),), "is all of it?")
        return Stable("it is right") if given.audit.passed else Exhausted("it is wrong")


@pytest.mark.parametrize(
    ("passed", "word", "paid"), [(True, "stable", [1, 1]), (False, "exhausted", [1])]
)
def test_a_first_look_is_paid_once_and_its_rest_only_where_it_is_right(passed, word, paid):
    found = select(moment(passed=passed), Looking([frame(5), frame(6)]))
    assert found.word == word
    assert [item.least for item in found.audits] == paid


def test_the_campaigns_own_first_look_is_paid_once():
    own = _own(moment(passed=True, rounds=(1, 2)))
    assert [item.least for item in own.audits] == [1, 1]
    shown = audited_frames(moment(passed=True, rounds=(1, 2)).record.audits)
    assert [item.frame.key for item in shown] == [frame(0).key, frame(1).key]


def test_the_campaigns_own_audit_counts_likewise():
    own = _own(moment(passed=True))
    assert [item.least for item in own.audits] == [2]
    assert own.evaluations == 2


def test_an_audit_that_cannot_be_answered_counts_as_well():
    unanswered = replace(moment(passed=True), record=_without_audit(moment(passed=True).record))
    found = select(unanswered, Auditing([frame(5)]))
    assert (found.word, found.audited, found.evaluations) == ("audit", False, 1)


def _without_audit(record: Any) -> Any:
    return SimpleNamespace(**{**vars(record), "audits": ()})

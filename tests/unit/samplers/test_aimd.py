"""The baseline `aimd`: reference MD that goes on where it stood."""

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.records import (
    AuditRequest,
    Exhausted,
    Purpose,
    ReferenceEnd,
    Requests,
    Start,
)
from sis_engine.samplers.aimd import AimdConfig, AimdSampler
from sis_engine.samplers.sis_config import SegmentRule
from sis_engine.testing.sampler_contract import failed_input, surviving_input
from tests.unit.samplers.audits import audited


def with_end(given, velocities=0.01):
    system = given.systems[0]
    frame = replace(system.frame, positions=system.frame.positions + 0.1)
    start = Start(frame, 99.5, np.full(frame.positions.shape, velocities))
    return replace(given, reference_ends=(ReferenceEnd(system.name, "g0000-initial", start),))


def test_the_segment_goes_on_from_the_last_frame_with_its_velocities():
    given = with_end(failed_input())
    (plan,) = AimdSampler(AimdConfig()).decide(given).plans
    assert plan.purpose is Purpose.SEGMENT
    assert plan.continues
    assert [start.frame.key for start in plan.starts] == [given.reference_ends[0].start.frame.key]
    assert plan.starts[0].velocities is not None
    assert plan.segment.n_steps == 401  # the first of them is known
    assert "after g0000-initial" in plan.reason


def test_without_reference_md_it_begins_at_the_structure():
    given = failed_input()
    (plan,) = AimdSampler(AimdConfig(segment=SegmentRule(length_fs=10.0))).decide(given).plans
    assert plan.starts[0].frame.key == given.systems[0].frame.key
    assert plan.segment.n_steps == 20


def test_a_survivor_is_audited_and_a_failed_audit_is_learnt_and_answered_by_more_of_the_same():
    given = with_end(surviving_input())
    sampler = AimdSampler(AimdConfig())
    asked = sampler.decide(given)
    assert isinstance(asked, AuditRequest)
    decision = sampler.decide(audited(given, asked, 0.5, passed=False))
    assert isinstance(decision, Requests)
    assert [plan.purpose for plan in decision.plans] == [Purpose.SINGLE, Purpose.SEGMENT]


@pytest.mark.parametrize(("left", "n_steps"), [(500, 401), (100, 100), (51, 51)])
def test_a_budget_shortens_the_segment(left, n_steps):
    given = replace(with_end(failed_input()), evaluations_left=left)
    (plan,) = AimdSampler(AimdConfig()).decide(given).plans
    assert plan.segment.n_steps == n_steps


def test_a_budget_for_less_than_the_least_segment_is_exhausted():
    given = replace(with_end(failed_input()), evaluations_left=20)
    decision = AimdSampler(AimdConfig()).decide(given)
    assert isinstance(decision, Exhausted)
    assert "costs 401 evaluations and 20 are left" in decision.reason

"""Decisions of the lean SIS sampler: every idea is a switch."""

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.records import (
    AuditRequest,
    Exhausted,
    Inspected,
    InspectRequest,
    Purpose,
    Requests,
    Stable,
)
from sis_engine.samplers.lean import LeanSampler
from sis_engine.samplers.lean_config import LeanAudit, LeanConfig, UntilRule
from sis_engine.samplers.sis_config import SegmentRule
from sis_engine.testing.sampler_contract import failed_input, inspected, surviving_input
from sis_engine.testing.synthetic import example_context, exploration
from tests.unit.samplers.audits import audited

BY_TIME = {"choice": "random"}


def decide(given, **settings):
    """The decision, after the look it may ask for."""
    sampler = LeanSampler(LeanConfig(**settings))
    answer = sampler.decide(given)
    if isinstance(answer, InspectRequest):
        answer = sampler.decide(replace(given, inspected=inspected(answer)))
    return answer


def frames_of(plan):
    return [start.frame.key for start in plan.starts]


def replica_of(given, key):
    return next(
        run.replica.id for run in given.explorations for i in run.frames if i.frame.key == key
    )


def test_a_failure_is_answered_by_points_and_a_search_for_its_edge():
    decision = decide(failed_input())
    assert isinstance(decision, Requests)
    points, edge = decision.plans
    assert points.purpose is edge.purpose is Purpose.SINGLE
    assert len(points.starts) == 24
    assert points.segment is None
    assert edge.segment is None
    assert edge.bisect.max_evaluations == 7
    assert edge.starts[0].time_fs == 700.0  # the first bad frame is tried first
    assert "r2" in edge.reason


def test_the_pool_is_looked_at_before_far_points_are_chosen():
    answer = LeanSampler(LeanConfig()).decide(failed_input())
    assert isinstance(answer, InspectRequest)
    assert not answer.descriptors
    assert not answer.members
    assert answer.n_known == 1000
    (wanted,) = answer.unlike
    assert (wanted.system, wanted.n, len(wanted.besides)) == ("example", 18, 6)
    means = LeanSampler(LeanConfig(choice="farthest")).decide(failed_input())
    assert means.descriptors
    assert means.unlike == ()
    ((system, frames),) = answer.frames
    assert system == "example"
    assert len(frames) <= 400


def test_no_look_is_needed_where_time_alone_decides():
    assert isinstance(LeanSampler(LeanConfig(**BY_TIME)).decide(failed_input()), Requests)
    alone = LeanConfig(random_share=1.0)
    assert isinstance(LeanSampler(alone).decide(failed_input()), Requests)
    assert not LeanSampler(alone).needs.descriptors
    assert LeanSampler(LeanConfig()).needs.descriptors


def test_the_frames_that_were_found_unlike_follow_the_random_ones():
    sampler = LeanSampler(LeanConfig(points_per_system=8, edges_per_system=0))
    given = failed_input()
    asked = sampler.decide(given)
    (wanted,) = asked.unlike
    (seen,) = inspected(asked)
    assert len(wanted.besides) == 2
    (plan,) = sampler.decide(replace(given, inspected=(seen,))).plans
    keys = [seen.frames[row].frame.key for row in (*wanted.besides, *seen.unlike)]
    assert frames_of(plan) == keys


def test_far_points_are_unlike_the_random_ones_and_unlike_what_is_known():
    sampler = LeanSampler(
        LeanConfig(choice="farthest", points_per_system=4, random_share=0.5, edges_per_system=0)
    )
    given = failed_input()
    asked = sampler.decide(given)
    ((system, frames),) = asked.frames
    # All alike but three; one of these is known. The other two are the far ones.
    features = np.zeros((len(frames), 1))
    odd = [k for k, item in enumerate(frames) if item.time_fs > 0.0][5:8]
    features[odd] = [[10.0], [20.0], [30.0]]
    seen = Inspected(system, frames, features, known=np.array([[20.0]]))
    (plan,) = sampler.decide(replace(given, inspected=(seen,))).plans
    chosen = {start.frame.key for start in plan.starts}
    assert {frames[odd[0]].frame.key, frames[odd[2]].frame.key} <= chosen


def test_points_come_from_all_replicas_or_only_from_the_one_that_failed_first():
    given = failed_input()

    def replicas(**settings):
        (plan,) = decide(given, edges_per_system=0, **BY_TIME, **settings).plans
        return {replica_of(given, start.frame.key) for start in plan.starts}

    assert replicas() == {"r0", "r1", "r2", "r3"}
    assert replicas(merged=False) == {"r2"}


def test_a_window_keeps_to_the_time_before_a_catastrophe():
    given = failed_input()
    (plan,) = decide(given, edges_per_system=0, window_fs=200.0, **BY_TIME).plans
    times = {"r1": 3210.0, "r2": 700.0}
    for start in plan.starts:
        replica = replica_of(given, start.frame.key)
        assert times[replica] - 200.0 <= start.time_fs <= times[replica]


def test_points_of_one_replica_are_spaced():
    (plan,) = decide(
        failed_input(),
        edges_per_system=0,
        merged=False,
        spacing_fs=40.0,
        points_per_system=99,
        **BY_TIME,
    ).plans
    times = np.sort([start.time_fs for start in plan.starts])
    assert times[-1] == 700.0
    assert np.diff(times).min() >= 40.0


def test_segments_are_added_when_asked_for_and_end_when_the_model_is_right():
    decision = decide(
        failed_input(),
        segments_per_system=1,
        segment=SegmentRule(length_fs=100.0, timestep_fs=0.5),
        until=UntilRule(window_fs=5.0, check_every_fs=2.0),
        **BY_TIME,
    )
    plan = decision.plans[-1]
    assert plan.purpose is Purpose.SEGMENT
    assert plan.segment.n_steps == 200
    assert (plan.until.window, plan.until.check_every) == (10, 4)
    whole = decide(failed_input(), segments_per_system=1, until=None, **BY_TIME).plans[-1]
    assert whole.until is None


def test_early_audits_are_a_switch_and_their_frames_count_as_points():
    config = LeanConfig(audit=LeanAudit(early=True, frames_per_system=16), **BY_TIME)
    sampler = LeanSampler(config)
    asked = sampler.decide(failed_input())
    assert isinstance(asked, AuditRequest)
    for passed in (True, False):
        decision = sampler.decide(audited(failed_input(), asked, 0.1, passed=passed))
        learn, points = decision.plans[:2]
        assert len(learn.starts) + len(points.starts) == 24
        assert not {s.frame.key for s in learn.starts} & {s.frame.key for s in points.starts}
    unlearnt = LeanSampler(config.model_copy(update={"learn_passed": False}))
    decision = unlearnt.decide(audited(failed_input(), asked, 0.1, passed=True))
    assert len(decision.plans[0].starts) == 24


def test_a_failed_audit_is_learnt_and_counts_towards_the_points():
    given = surviving_input()
    asked = decide(given)
    assert isinstance(asked, AuditRequest)
    n_audited = sum(len(plan.starts) for plan in asked.plans)
    learn, points = decide(audited(given, asked, 0.5, passed=False)).plans
    assert len(learn.starts) == n_audited
    assert len(points.starts) == 24 - n_audited
    assert not set(frames_of(learn)) & set(frames_of(points))
    (alone,) = decide(audited(given, asked, 0.5, passed=False), points_per_system=n_audited).plans
    assert frames_of(alone) == frames_of(learn)


def test_a_passed_audit_is_stable():
    given, at_once = surviving_input(), {"audit": LeanAudit(first_look=None)}
    asked = decide(given, **at_once)
    assert isinstance(decide(audited(given, asked, 0.1, passed=True), **at_once), Stable)


def test_a_budget_cuts_points_but_never_what_is_paid_for():
    plans = decide(failed_input(evaluations_left=10), **BY_TIME).plans
    assert [len(plan.starts) for plan in plans] == [10]
    given = surviving_input()
    after = audited(given, decide(given), 0.5, passed=False)
    assert len(decide(replace(after, evaluations_left=0)).plans[0].starts) > 0


def test_mrmr_needs_members_and_says_so():
    with pytest.raises(ValueError, match="mrmr needs members"):
        LeanConfig(choice="mrmr")
    needs = LeanSampler(LeanConfig(choice="mrmr", members=4)).needs
    assert (needs.members, needs.watch) == (4, False)


def test_mrmr_takes_large_deviations():
    sampler = LeanSampler(
        LeanConfig(
            choice="mrmr", members=4, random_share=0.0, points_per_system=2, edges_per_system=0
        )
    )
    given = failed_input()
    (seen,) = inspected(sampler.decide(given))
    (plan,) = sampler.decide(replace(given, inspected=(seen,))).plans
    largest = max(seen.deviations, key=lambda item: item.force)
    first = seen.frames[seen.deviations.index(largest)]
    assert plan.starts[0].frame.key == first.frame.key


def test_nothing_to_label_is_refused():
    with pytest.raises(ValueError, match="nothing would ever be labelled"):
        LeanConfig(points_per_system=0, edges_per_system=0)


def test_every_system_has_its_points():
    given = failed_input()
    other = replace(given.systems[0], name="other")
    run = exploration(replace(example_context(), system=other), "o0", failed_at_fs=2000.0)
    verdict = replace(given.verdicts[0], replica="o0", time_fs=2000.0)
    given = replace(
        given,
        systems=(*given.systems, other),
        explorations=(*given.explorations, run),
        verdicts=(*given.verdicts, verdict),
    )
    assert [plan.system for plan in decide(given).plans] == ["example", "other"] * 2


# --------------------------------------------------------------------------- a first look


THREE = {"min_survivors": 3}
WHOLE = {"audit": LeanAudit(first_look=None), **THREE}


def test_a_first_look_takes_few_frames_of_every_survivor():
    asked = decide(surviving_input(3), **THREE)
    everything = decide(surviving_input(3), **WHOLE)
    assert [len(plan.starts) for plan in asked.plans] == [3, 3, 3]
    for look, whole in zip(asked.plans, everything.plans, strict=True):
        assert look.id == f"{whole.id}-look"
        keys = frames_of(whole)
        assert set(frames_of(look)) <= set(keys)
        assert frames_of(look)[0] != keys[0]  # spread over the life, not its beginning
        assert frames_of(look)[-1] != keys[-1]


def test_a_model_that_is_wrong_at_first_sight_costs_no_whole_audit():
    given = surviving_input(3)
    decision = decide(audited(given, decide(given, **THREE), 0.3, passed=False), **THREE)
    assert isinstance(decision, Requests)
    assert [len(plan.starts) for plan in decision.plans] == [9, 15]


def test_a_look_that_breaks_a_limit_or_lacks_a_label_is_not_worth_the_rest():
    given = surviving_input(3)
    looked_at = audited(given, decide(given, **THREE), 0.1, passed=False)
    assert isinstance(decide(looked_at, **THREE), AuditRequest)
    for worse in ({"within_limits": False}, {"n_failed": 1}):
        found = replace(looked_at, audit=replace(looked_at.audit, **worse))
        assert isinstance(decide(found, **THREE), Requests), worse


def test_a_budget_that_holds_the_whole_audit_holds_its_two_parts():
    given = replace(surviving_input(3), evaluations_left=33)
    look = decide(given, **THREE)
    paid = replace(audited(given, look, 0.1, passed=False), evaluations_left=33 - 9)
    assert isinstance(decide(paid, **THREE), AuditRequest)
    assert isinstance(decide(replace(given, evaluations_left=32), **THREE), Exhausted)


def test_a_model_that_may_be_right_is_judged_on_all_frames():
    given = surviving_input(3)
    rest = decide(audited(given, decide(given, **THREE), 0.1, passed=False), **THREE)
    assert isinstance(rest, AuditRequest)
    everything = decide(given, **WHOLE)
    assert [frames_of(plan) for plan in rest.plans] == [frames_of(p) for p in everything.plans]
    assert isinstance(decide(audited(given, rest, 0.1, passed=True), **THREE), Stable)
    assert isinstance(decide(audited(given, rest, 0.1, passed=False), **THREE), Requests)


def test_a_first_look_never_ends_a_campaign_as_stable():
    given = surviving_input(3)
    looked_at = audited(given, decide(given, **THREE), 0.1, passed=True)
    assert isinstance(decide(looked_at, **THREE), AuditRequest)

"""Decisions of the SIS sampler."""

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.records import (
    AuditRequest,
    Exhausted,
    Exit,
    Purpose,
    Quantity,
    Requests,
    Stable,
    Verdict,
)
from sis_engine.samplers.sis import SisSampler
from sis_engine.samplers.sis_config import AuditRule, BisectRule, SegmentRule, SisConfig
from sis_engine.testing.sampler_contract import failed_input, surviving_input
from sis_engine.testing.synthetic import example_context, exploration, planted
from tests.unit.samplers.audits import audited, unlabelled


def decide(given, **settings):
    """Without early audits, which are tested by themselves."""
    settings = {**settings, "audit": {"early": False, **settings.get("audit", {})}}
    return SisSampler(SisConfig(**settings)).decide(given)


def verdict(replica, time_fs, monitor="temperature"):
    return Verdict(replica, monitor, "temperature_k above 1000 K", time_fs, 2000.0, 1000.0)


def moved(run):
    """The same life with other frames."""
    frames = [
        replace(item, frame=replace(item.frame, positions=item.frame.positions + 0.01))
        for item in run.frames
    ]
    return replace(run, frames=tuple(frames))


# --------------------------------------------------------------------------- catastrophes


def test_one_segment_is_asked_from_the_earliest_failure():
    decision = decide(failed_input())
    assert isinstance(decision, Requests)
    (plan,) = decision.plans
    assert "r2" in plan.reason
    assert plan.purpose is Purpose.SEGMENT
    assert plan.segment.n_steps == 400
    assert plan.segment.temperature_k == 300.0
    assert plan.bisect.max_evaluations == 8
    assert plan.optimise is not None
    assert "2 of 4 replicas failed, first at 0.700 ps" in decision.reason


def test_a_request_tells_value_and_limit_of_the_catastrophe_apart():
    given = failed_input()
    near = tuple(replace(v, value=-1450.757, limit=-1450.463) for v in given.verdicts)
    (plan,) = decide(replace(given, verdicts=near)).plans
    assert "value −1450.76, limit −1450.46" in plan.reason


def test_several_replicas_may_be_used():
    decision = decide(failed_input(), segments_per_system=2)
    assert [plan.reason.split(":")[0] for plan in decision.plans] == ["r2", "r1"]
    assert len({plan.segment.seed for plan in decision.plans}) == 2


def test_each_system_has_its_own_earliest_failure():
    given = failed_input()
    other = replace(given.systems[0], name="other")
    run = exploration(replace(example_context(), system=other), "o0", failed_at_fs=2000.0)
    given = replace(
        given,
        systems=(*given.systems, other),
        explorations=(*given.explorations, run),
        verdicts=(*given.verdicts, verdict("o0", 2000.0)),
    )
    assert [plan.system for plan in decide(given).plans] == ["example", "other"]


def test_starts_go_back_in_time_from_before_t_cp_to_the_replicas_own_start():
    (plan,) = decide(failed_input()).plans
    times = [start.time_fs for start in plan.starts]
    assert 600.0 < times[0] <= 690.0
    assert times == sorted(times, reverse=True)
    assert times[-1] == 0.0
    assert plan.starts[0].model_forces is not None
    assert plan.starts[0].velocities is None


def test_t_next_lies_where_the_trace_was_last_inside_the_inner_band():
    given = failed_input()
    hot = planted(given.explorations[2].trace, Quantity.TEMPERATURE, 550.0, 800.0)
    runs = list(given.explorations)
    runs[2] = replace(runs[2], trace=hot)
    (plan,) = decide(replace(given, explorations=tuple(runs))).plans
    assert 500.0 < plan.starts[0].time_fs <= 540.0


def test_an_energy_above_what_labels_support_is_outside_the_inner_band():
    given = failed_input()
    support = given.support[0]
    high = planted(
        given.explorations[2].trace, Quantity.POTENTIAL_ENERGY, 500.0, support.energy_max + 5.0
    )
    runs = list(given.explorations)
    runs[2] = replace(runs[2], trace=high)
    (plan,) = decide(replace(given, explorations=tuple(runs))).plans
    assert plan.starts[0].time_fs <= 490.0


def test_a_failure_at_step_0_starts_from_the_structure():
    given = failed_input()
    runs = (exploration(example_context(), "r0", failed_at_fs=0.0),)
    given = replace(given, explorations=runs, verdicts=(verdict("r0", 0.0),))
    (plan,) = decide(given).plans
    assert [start.frame.key for start in plan.starts] == [given.systems[0].frame.key]


def test_frames_that_are_not_finite_are_no_starts():
    given = failed_input()
    run = given.explorations[2]
    broken = replace(run.frames[-5].frame, positions=np.full((32, 3), np.nan))
    frames = (*run.frames[:-5], replace(run.frames[-5], frame=broken), *run.frames[-4:])
    runs = (*given.explorations[:2], replace(run, frames=frames), given.explorations[3])
    (plan,) = decide(replace(given, explorations=runs)).plans
    assert all(np.isfinite(start.frame.positions).all() for start in plan.starts)


def test_bounds_on_a_start_come_from_the_labels_and_do_not_ratchet():
    given = failed_input()
    (plan,) = decide(given).plans
    assert plan.bounds.max_force == 15.0
    assert plan.bounds.reference_energy == pytest.approx(given.support[0].energy_max)
    # One labelled frame 50 eV up (a bisected catastrophe) must not open the gate for the next.
    high = replace(given.support[0], energy_max=given.support[0].energy_max + 50.0)
    (plan,) = decide(replace(given, support=(high,))).plans
    assert plan.bounds.reference_energy < given.support[0].energy_max + 2.0


def test_single_points_up_to_t_cp_are_added_when_asked_for():
    decision = decide(failed_input(), single_points=3)
    points = decision.plans[1]
    assert points.purpose is Purpose.SINGLE
    assert points.segment is None
    assert [start.time_fs for start in points.starts] == [700.0, 695.0, 690.0]


def test_seeds_depend_on_campaign_and_generation_only():
    given = failed_input()

    def seed_of(**change):
        return decide(replace(given, **change)).plans[0].segment.seed

    assert seed_of() == seed_of(history=())
    assert len({seed_of(), seed_of(seed=8), seed_of(generation=3)}) == 3


# --------------------------------------------------------------------------- budget


def test_a_segment_is_shortened_to_what_is_left():
    (plan,) = decide(failed_input(evaluations_left=207)).plans
    assert plan.segment.n_steps == 200


def test_too_small_a_budget_is_exhausted_with_the_figures():
    decision = decide(failed_input(evaluations_left=20))
    assert isinstance(decision, Exhausted)
    assert "407 evaluations and 20 are left" in decision.reason


def test_an_audit_beyond_the_budget_is_exhausted():
    decision = decide(replace(surviving_input(), evaluations_left=10))
    assert isinstance(decision, Exhausted)
    assert "audit" in decision.reason


# --------------------------------------------------------------------------- survival and audit


def test_fourteen_survivors_are_audited_before_anything_is_called_stable():
    given = surviving_input(14)
    decision = decide(given)
    assert isinstance(decision, AuditRequest)
    assert len(decision.plans) == 14
    assert sum(len(plan.starts) for plan in decision.plans) >= 30
    for plan in decision.plans:
        times = np.array([start.time_fs for start in plan.starts])
        assert times.min() >= 250.0
        assert np.diff(times).min() >= 100.0


def test_audit_frames_are_spread_over_the_life_and_fresh_each_time():
    given = surviving_input(4)

    def times(**change):
        decision = decide(replace(given, **change), min_survivors=4)
        return [start.time_fs for plan in decision.plans for start in plan.starts]

    first = np.array(times()).reshape(4, 8)
    assert (first[:, 0] < 2500.0).all()
    assert (first[:, -1] > 7500.0).all()
    assert times() == times()
    assert times() != times(seed=8)


def test_too_few_survivors_are_no_proof():
    decision = decide(surviving_input(4))
    assert isinstance(decision, Exhausted)
    assert "needs 14" in decision.reason
    assert isinstance(decide(surviving_input(4), min_survivors=4), AuditRequest)


def test_the_number_of_survivors_follows_the_bound_asked_for():
    assert SisConfig().required_survivors == 14
    assert SisConfig(survival_probability=0.9).required_survivors == 29
    assert SisConfig(survival_probability=0.5, survival_confidence=0.9).required_survivors == 4


def test_a_passed_audit_is_stable():
    given = surviving_input()
    decision = decide(audited(given, decide(given), 0.1, passed=True))
    assert isinstance(decision, Stable)
    assert "14 replicas" in decision.reason


def test_a_failed_audit_learns_its_frames_and_starts_from_the_worst():
    given = surviving_input()
    audit = decide(given)
    after = audited(given, audit, 0.35, passed=False)
    decision = decide(after)
    assert isinstance(decision, Requests)
    learn, mend = decision.plans
    assert {s.frame.key for s in learn.starts} == {i.frame.key for i in after.audit_frames}
    assert learn.segment is None
    assert mend.segment is not None
    assert mend.bisect is None
    assert mend.starts[0].frame.key in {i.frame.key for i in after.audit_frames}
    assert "force error" in decision.reason


def test_an_audit_that_finds_invented_frames_goes_back_to_before_the_first():
    given = surviving_input()
    after = audited(
        given, decide(given), 3.0, passed=False, wrong=lambda start: start.time_fs > 5000.0
    )
    mend = decide(after).plans[1]
    assert mend.bisect is not None
    bad = [i.frame.key for i in after.audit_frames]
    first_start = mend.starts[0]
    assert first_start.time_fs >= 4000.0
    assert first_start.frame.key not in bad


def test_an_audit_that_got_no_label_goes_back_to_before_its_first_frame():
    """The model lives, but where no frame can be labelled: that is a catastrophe too."""
    given = surviving_input()
    asked = decide(given)
    first = asked.plans[0].starts[0]
    after = unlabelled(given, asked)
    decision = decide(after)
    assert isinstance(decision, Requests)
    assert "got no label" in decision.reason
    (mend,) = decision.plans
    assert (mend.segment.n_steps, mend.bisect.max_evaluations) == (400, 8)
    assert mend.optimise is not None
    assert all(start.time_fs < first.time_fs for start in mend.starts)
    own = given.explorations[0].replica.start
    assert mend.starts[-1].frame.key == own.key
    assert "not one frame of example got a label" in mend.reason
    # too little is left for it
    decision = decide(replace(after, evaluations_left=3))
    assert isinstance(decision, Exhausted)
    # nothing of the kind where what was asked for was labelled
    assert len(decide(audited(given, asked, 0.35, passed=False)).plans) == 2


def test_only_a_system_without_any_label_of_its_audit_is_mended_like_that():
    given = surviving_input()
    other = replace(given.systems[0], name="other")
    context = replace(example_context(), system=other)
    runs = tuple(moved(exploration(context, f"o{k}")) for k in range(14))
    given = replace(
        given, systems=(*given.systems, other), explorations=(*given.explorations, *runs)
    )
    asked = decide(given)
    half = replace(asked, plans=tuple(plan for plan in asked.plans if plan.system == "example"))
    after = audited(given, half, 0.35, passed=False)
    after = replace(after, audit=replace(after.audit, n_failed=20))
    plans = [plan for plan in decide(after).plans if plan.segment is not None]
    assert [(plan.system, plan.bisect is None) for plan in plans] == [
        ("example", True),
        ("other", False),
    ]


def test_a_survivor_that_no_label_can_be_had_of_is_mended_beside_the_failures():
    sampler = SisSampler(SisConfig())
    asked = sampler.decide(failed_input())
    decision = sampler.decide(unlabelled(failed_input(), asked))
    assert [plan.id for plan in decision.plans] == ["g0002-cp-0-example", "g0002-audit-0-example"]
    assert "r0" in decision.plans[1].reason


def test_learning_costs_nothing_and_is_done_when_the_budget_is_spent():
    given = surviving_input()
    after = audited(given, decide(given), 0.35, passed=False)
    decision = decide(replace(after, evaluations_left=0))
    assert [plan.segment for plan in decision.plans] == [None]


def test_a_replica_that_failed_for_another_reason_is_not_called_stable():
    given = surviving_input()
    crashed = exploration(example_context(), "r99", failed_at_fs=500.0)
    decision = decide(replace(given, explorations=(*given.explorations, crashed)))
    assert isinstance(decision, Exhausted)
    assert "r99" in decision.reason
    assert "triage" in decision.reason


def test_the_target_grows_by_generation_and_only_the_full_one_is_stable():
    sampler = SisSampler(SisConfig(duration_schedule_ps=(0.5, 1.0, 2.0)))
    base = example_context().condition
    lengths = [sampler.conditions(base, g)[0].duration_ps for g in range(5)]
    assert lengths == [0.5, 1.0, 2.0, 10.0, 10.0]
    short = tuple(exploration(example_context(duration_ps=2.0), f"r{k}", seed=k) for k in range(14))
    given = replace(surviving_input(), explorations=short)
    audit = sampler.decide(given)
    assert isinstance(audit, AuditRequest)
    decision = sampler.decide(audited(given, audit, 0.1, passed=True))
    assert isinstance(decision, Requests)
    assert "2 ps" in decision.reason


# --------------------------------------------------------------------------- the paper


def test_published_takes_a_fixed_back_off_and_every_frame_and_no_search():
    (plan,) = decide(
        replace(failed_input(), verdicts=(verdict("r1", 3210.0),)), published=True
    ).plans
    assert len(plan.starts) == 1
    assert 2100.0 <= plan.starts[0].time_fs <= 2210.0
    assert (plan.segment.n_steps, plan.segment.timestep_fs, plan.segment.stride) == (2500, 1.0, 1)
    assert plan.bisect is None
    assert plan.optimise is not None


def test_published_sees_temperature_only():
    given = surviving_input()
    given = replace(given, verdicts=(verdict("r0", 900.0, monitor="energy"),))
    assert isinstance(decide(given, published=True), Stable)
    assert isinstance(decide(given), Requests)


def test_published_is_stable_without_an_audit():
    decision = decide(surviving_input(1), published=True)
    assert isinstance(decision, Stable)
    assert "no audit" in decision.reason


def test_published_is_not_stable_in_a_window_that_will_be_narrower():
    given = replace(surviving_input(1), settled=False)
    decision = decide(given, published=True)
    assert isinstance(decision, Requests)
    assert decision.plans == ()
    assert "a later generation narrows" in decision.reason


def test_a_replica_cut_short_has_not_survived():
    given = surviving_input(14)
    cut = replace(given.explorations[0], md_ps=3.0, exit=Exit.COMPLETED)
    decision = decide(replace(given, explorations=(cut, *given.explorations[1:])))
    assert isinstance(decision, Exhausted)


# --------------------------------------------------------------------------- settings


def test_every_number_is_configurable_and_unknown_keys_are_refused():
    config = SisConfig(
        segment=SegmentRule(length_fs=50.0, timestep_fs=1.0, stride=5, thermostat="langevin"),
        bisect=BisectRule(max_relative_error=0.3, max_evaluations=4),
        audit=AuditRule(early=False),
    )
    (plan,) = SisSampler(config).decide(failed_input()).plans
    assert (plan.segment.n_steps, plan.segment.stride) == (50, 5)
    assert plan.segment.thermostat == "langevin"
    assert plan.bisect.max_relative_error == 0.3
    with pytest.raises(ValueError, match="segment_length"):
        SisConfig(segment_length=5)  # type: ignore[call-arg]


# --------------------------------------------------------------------------- early audits


def test_survivors_beside_a_failure_are_audited_before_the_answer():
    decision = SisSampler(SisConfig()).decide(failed_input())
    assert isinstance(decision, AuditRequest)
    assert [plan.id.rpartition("-")[2] for plan in decision.plans] == ["r0", "r3"]


def test_a_failed_early_audit_adds_its_frames_and_segments_to_the_answer():
    sampler = SisSampler(SisConfig())
    asked = sampler.decide(failed_input())
    decision = sampler.decide(audited(failed_input(), asked, 0.6, passed=False))
    assert isinstance(decision, Requests)
    assert sum(plan.purpose is Purpose.SINGLE for plan in decision.plans) == 1
    assert sum(plan.purpose is Purpose.SEGMENT for plan in decision.plans) == 2
    assert "2 of 4 replicas failed" in decision.reason


def test_a_passed_early_audit_never_ends_a_campaign_in_which_something_failed():
    sampler = SisSampler(SisConfig())
    asked = sampler.decide(failed_input())
    decision = sampler.decide(audited(failed_input(), asked, 0.01, passed=True))
    assert isinstance(decision, Requests)
    assert all(plan.purpose is Purpose.SEGMENT for plan in decision.plans)


def test_published_asks_for_no_early_audit():
    assert isinstance(SisSampler(SisConfig(published=True)).decide(failed_input()), Requests)

"""The sampler `hybrid`: reference MD in turn with a cheap force field's."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from sis_engine.records import DriftRequest, Exhausted, Purpose, ReferenceEnd, Requests, Start
from sis_engine.samplers.hybrid import CheapMd, HybridConfig, HybridSampler
from sis_engine.testing.sampler_contract import drifted, failed_input

CONFIG = HybridConfig(force_field={"type": "teacher"})


def test_the_default_turn_is_half_a_picosecond_after_five():
    asked = HybridSampler(CONFIG).decide(failed_input())
    assert isinstance(asked, DriftRequest)
    ((_, _, cheap),) = asked.starts
    # One frame more than steps: the first is where it starts from.
    assert (cheap.n_steps - 1) * cheap.timestep_fs == 5000.0
    given = replace(failed_input(), drifted=drifted(asked))
    (plan,) = HybridSampler(CONFIG).decide(given).plans
    assert plan.segment.n_steps * plan.segment.timestep_fs == 500.0
    assert plan.purpose is Purpose.SEGMENT


def test_the_cheap_md_goes_on_from_the_reference_and_the_reference_from_the_cheap_md():
    given = failed_input()
    system = given.systems[0]
    end = Start(replace(system.frame, positions=system.frame.positions + 0.1), 99.5)
    given = replace(given, reference_ends=(ReferenceEnd(system.name, "g0000-initial", end),))
    asked = HybridSampler(CONFIG).decide(given)
    assert asked.starts[0][1].frame.key == end.frame.key
    came = drifted(asked)
    (plan,) = HybridSampler(CONFIG).decide(replace(given, drifted=came)).plans
    assert [start.frame.key for start in plan.starts] == [came[0].start.frame.key]
    assert plan.continues
    assert plan.starts[0].velocities is not None
    assert "after 5 ps" in plan.reason


def test_where_the_force_fields_md_broke_off_the_plan_says_so():
    given = failed_input()
    came = drifted(HybridSampler(CONFIG).decide(given))
    came = tuple(replace(item, md_ps=0.2, message="it broke off at step 9") for item in came)
    decision = HybridSampler(CONFIG).decide(replace(given, drifted=came))
    assert isinstance(decision, Requests)
    assert "after 0.2 ps" in decision.plans[0].reason
    assert "broke off at step 9" in decision.plans[0].reason


def test_two_turns_draw_their_velocities_anew():
    sampler = HybridSampler(CONFIG)
    seeds = {
        sampler.decide(replace(failed_input(), generation=g)).starts[0][2].seed for g in (2, 3)
    }
    assert len(seeds) == 2


@pytest.mark.parametrize(("left", "n_steps"), [(2000, 1000), (300, 299)])
def test_a_budget_shortens_the_segment(left, n_steps):
    given = replace(failed_input(), evaluations_left=left)
    given = replace(given, drifted=drifted(HybridSampler(CONFIG).decide(given)))
    (plan,) = HybridSampler(CONFIG).decide(given).plans
    assert plan.segment.n_steps == pytest.approx(n_steps, abs=1)
    few = replace(given, evaluations_left=5)
    assert isinstance(HybridSampler(CONFIG).decide(few), Exhausted)


def test_settings_that_name_no_labeler_are_refused():
    with pytest.raises(ValidationError, match="which labeler moves"):
        HybridConfig(force_field={"potential": "lj"})
    with pytest.raises(ValidationError, match="length_ps"):
        CheapMd(length_ps=0.0)

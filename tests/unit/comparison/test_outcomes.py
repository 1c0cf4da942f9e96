"""Who is better, by how much, and how sure: planted differences, copies, censoring, false ends."""

import math

import numpy as np
import pytest

from sis_engine.comparison.outcomes import case_outcome
from sis_engine.comparison.reach import mean_interval_of
from tests.unit.comparison.samples import exam, run


def _outcome(results, arms=("sis", "other"), costs=(500, 1000)):
    found = case_outcome("", results, arms, arms[0], costs)
    assert found is not None
    return found


def _costs(random, n, mean, spread=0.3):
    return [int(mean * math.exp(spread * x)) for x in random.normal(size=n)]


def test_a_planted_difference_is_found_with_its_size():
    random = np.random.default_rng(1)
    dear = [run("sis", k, cost) for k, cost in enumerate(_costs(random, 6, 3000, 0.15))]
    cheap = [run("other", k, cost) for k, cost in enumerate(_costs(random, 6, 1000, 0.15))]
    (versus,) = _outcome([*dear, *cheap]).versus
    assert versus.reach_p == pytest.approx(2 / 924)  # as far as 12 runs can be apart
    assert versus.cost_ratio is not None
    assert versus.cost_ratio.lower < 1 / 3 < versus.cost_ratio.upper < 0.65


@pytest.mark.slow
def test_between_two_copies_of_an_arm_nothing_is_found_more_often_than_promised():
    random = np.random.default_rng(2)
    found = []
    for _ in range(40):
        first = [run("sis", k, cost) for k, cost in enumerate(_costs(random, 5, 1500))]
        second = [run("other", k, cost) for k, cost in enumerate(_costs(random, 5, 1500))]
        (versus,) = _outcome([*first, *second], costs=()).versus
        found.append((versus.reach_p < 0.05, versus.cost_ratio.lower > 1.0))
    assert np.mean(found, axis=0)[0] <= 0.125
    assert np.mean(found, axis=0)[1] <= 0.125


def test_identical_runs_differ_in_nothing():
    results = [run(arm, k, 1000 + 100 * k) for arm in ("sis", "other") for k in range(5)]
    (versus,) = _outcome(results).versus
    assert versus.reach_p == 1.0
    assert versus.survival_p is None  # nobody died in either
    assert versus.cost_ratio.value == 1.0
    assert versus.cost_ratio.alike


def test_runs_that_never_pass_are_censored_and_never_dropped():
    """By hand: horizon 4000; passed at 1000; evaluations spent at 2000; falsely stable at 500."""
    dead = {"end": "out_of_budget", "exams": (exam(300, lives=(1.0, 2.0, 3.0, 4.0)),)}
    results = [
        run("sis", 0, 1000),
        run("sis", 1, 2000, limit="evaluations", **dead),
        run("sis", 2, 500, exams=(exam(500, right=False),)),
        run("sis", 3, 600, end="exhausted", exams=(exam(600, right=False),)),
        run("sis", 4, 700, end="refused", exams=()),
        run("sis", 5, 800, limit="generations", **dead),
        run("sis", 6, 800, limit="evaluations_by_purpose", **dead),
        run("sis", 7, 3000, limit="wall_hours", **dead),
        run("sis", 8, 900, **dead),  # a file of before that does not say what ended it
    ]
    (arm,) = _outcome(results, arms=("sis",)).arms
    assert arm.reach.times == (1000, 2000, 4000, 4000, 4000, 4000, 4000, 3000, 4000)
    assert arm.reach.censored == (False, *(True,) * 8)
    assert arm.reach.restricted_mean.value == pytest.approx(1000 + 8 / 9 * 3000)
    assert (arm.passed.value, arm.passed.n) == (pytest.approx(1 / 9), 9)
    assert (arm.false_stable.value, arm.false_stable.n) == (0.5, 2)


def test_an_arm_that_uses_up_its_generations_early_is_not_ahead_of_one_that_passes():
    """``sis`` passes 8 of 8 at 450; the other 1 of 8 at 420, else out of generations near 400.

    Censored where they stopped, the other came out ahead (p = 0.0099).
    """
    own = [run("sis", k, 450) for k in range(8)]
    spent = {"end": "out_of_budget", "limit": "generations"}
    other = [run("other", 0, 420)]
    other += [
        run("other", k, 398 + k, exams=(exam(390, right=False),), **spent) for k in range(1, 8)
    ]
    found = _outcome([*own, *other])
    (versus,) = found.versus
    assert [arm.reach.n_reached for arm in found.arms] == [8, 1]
    assert found.arms[1].reach.restricted_mean.value == pytest.approx((420 + 7 * 4000) / 8)
    assert versus.cost_ratio.value == pytest.approx((420 + 7 * 4000) / 8 / 450)
    assert versus.cost_ratio.lower > 1.0
    assert versus.reach_p < 0.05  # and behind, not ahead


def test_the_horizon_is_the_largest_budget_of_any_phase():
    settings = {"campaign.budget.evaluations": 500, "then.1.budget.evaluations": 3000}
    settings |= {"examiner.budget.evaluations": None}
    assert _outcome([run("sis", 0, 900, settings=settings)], arms=("sis",)).horizon == 3000.0


def test_stable_by_its_own_word_is_not_enough_and_passing_without_it_neither():
    silent = run("sis", 0, 1000, end="out_of_budget")
    (arm,) = _outcome([silent], arms=("sis",)).arms
    assert arm.reach.n_reached == 0
    assert arm.first_pass.times == (1000.0,)
    assert arm.first_pass.n_reached == 1


def test_at_a_cost_the_model_that_was_there_by_then_counts():
    bad, good = exam(400, relative=0.5, right=False), exam(900, relative=0.1)
    results = [run("sis", k, 900, exams=(bad, good)) for k in range(3)]
    results.append(run("sis", 3, 900, exams=(good,)))
    (arm,) = _outcome(results, arms=("sis",), costs=(300, 500, 2000)).arms
    before, between, after = arm.by_cost
    assert (before.n_with_model, between.n_with_model, after.n_with_model) == (0, 3, 4)
    assert before.values["relative"] is None
    assert between.values["relative"].value == pytest.approx(0.5)
    assert after.values["relative"].value == pytest.approx(0.1)  # it keeps its last model
    assert (after.values["passed"].value, after.values["passed"].n) == (1.0, 4)


def test_a_model_that_lives_and_is_wrong_counts_as_falsely_stable_at_its_cost():
    results = [run("sis", k, 900, exams=(exam(400, right=False), exam(900))) for k in range(4)]
    (arm,) = _outcome(results, arms=("sis",), costs=(500, 1000)).arms
    first, last = (point.values["lives_but_wrong"].value for point in arm.by_cost)
    assert (first, last) == (1.0, 0.0)


def test_figures_that_need_md_are_missing_where_it_died():
    dead = exam(900, lives=(0.1, 0.2, 0.1, 0.3))
    (arm,) = _outcome([run("sis", 0, 900, exams=(dead,))], arms=("sis",)).arms
    assert arm.final["md_relative"] is None
    assert arm.final["survived"].value == 0.0


def test_acceleration_ratios_are_of_runs_that_passed_in_both_forms():
    """20 ps seen to live, 1000 evaluations of 0.5 fs: 40; over 0.5 ps of reference MD: 40."""
    results = [run("sis", 0, 1000), run("sis", 1, 2000, exams=(exam(2000, right=False),))]
    (arm,) = _outcome(results, arms=("sis",)).arms
    assert (arm.acceleration.value, arm.acceleration.n) == (pytest.approx(40.0), 1)
    assert arm.acceleration_paper.value == pytest.approx(40.0)


def test_runs_that_cost_all_the_same_give_no_interval_and_no_certainty():
    (arm,) = _outcome([run("sis", k, 450) for k in range(5)], arms=("sis",)).arms
    mean = arm.reach.restricted_mean
    assert (mean.value, mean.lower, mean.upper, mean.alike) == (450.0, None, None, True)


@pytest.mark.parametrize("n_runs", [5, 8])
def test_the_interval_knows_that_a_few_runs_say_little_of_the_share_that_arrives(n_runs):
    """Nine of ten arrive, at 90; else 800. Bootstrapped runs alone cover 0.44 and 0.56."""
    random, covered = np.random.default_rng(3), []
    for _ in range(60):
        there = random.random(n_runs) < 0.9
        costs = np.round(random.normal(90.0, 8.0, n_runs)).astype(int)
        pairs = [(float(c) if ok else 800.0, not ok) for c, ok in zip(costs, there, strict=True)]
        if not there.any():
            continue
        found = mean_interval_of(pairs, 800.0)
        covered.append(found.lower <= 0.9 * 90.0 + 0.1 * 800.0 <= found.upper)
    assert np.mean(covered) >= 0.9


def test_what_a_passed_run_costs_counts_the_runs_that_did_not():
    wrong = (exam(300, right=False),)
    results = [run("sis", k, 500) for k in range(3)] + [run("sis", 3, 300, exams=wrong)]
    (arm,) = _outcome(results, arms=("sis",)).arms
    assert arm.price.value == pytest.approx(1800 / 3)
    assert arm.price.lower < 600 < arm.price.upper
    (none,) = _outcome([run("sis", 0, 300, exams=wrong)], arms=("sis",)).arms
    assert none.price is None


def test_an_arm_of_which_nothing_passed_has_no_mean():
    wrong = (exam(1500, right=False),)
    results = [run("sis", k, 1500, end="out_of_budget", exams=wrong) for k in range(5)]
    (arm,) = _outcome(results, arms=("sis",)).arms
    assert arm.reach.restricted_mean is None
    assert arm.reach.n_reached == 0


def test_replicas_that_all_lived_are_bounded_by_the_number_of_seeds():
    """Clopper-Pearson of five of five seeds: 0.025^(1/5) = 0.478."""
    (arm,) = _outcome([run("sis", k, 900) for k in range(5)], arms=("sis",)).arms
    survived = arm.final["survived"]
    assert (survived.value, survived.upper) == (1.0, 1.0)
    assert survived.lower == pytest.approx(0.025**0.2)


def test_a_share_of_replicas_that_is_the_same_in_every_seed_has_no_interval():
    half = (exam(900, lives=(20.0, 20.0, 3.0, 4.0)),)
    (arm,) = _outcome([run("sis", k, 900, exams=half) for k in range(5)], arms=("sis",)).arms
    survived = arm.final["survived"]
    assert (survived.value, survived.lower, survived.alike) == (0.5, None, True)


def test_lives_are_compared_with_replicas_of_a_seed_kept_together():
    short = [run("other", k, 900, exams=(exam(900, lives=(1.0, 2.0, 3.0, 2.5)),)) for k in range(5)]
    long = [run("sis", k, 900) for k in range(5)]
    (versus,) = _outcome([*long, *short]).versus
    assert versus.survival_p == pytest.approx(2 / 252)  # not 20 against 20 replicas


def test_the_p_values_of_several_arms_are_adjusted():
    random = np.random.default_rng(4)
    results = [run("sis", k, cost) for k, cost in enumerate(_costs(random, 5, 3000, 0.1))]
    for arm in ("a", "b"):
        results += [run(arm, k, cost) for k, cost in enumerate(_costs(random, 5, 1000, 0.1))]
    found = _outcome(results, arms=("sis", "a", "b")).versus
    assert [item.reach_p for item in found] == pytest.approx([2 / 252] * 2)
    assert [item.reach_p_adjusted for item in found] == pytest.approx([4 / 252] * 2)


def test_comparisons_that_cannot_be_tested_count_among_those_adjusted_for():
    """Planned: three. Of b there is no run, of c no model and so no life: 2 / 252 times three."""
    results = [run("sis", k, 900) for k in range(5)]
    short = exam(900, lives=(1.0, 2.0, 3.0, 2.5))
    results += [run("a", k, 900, exams=(short,)) for k in range(5)]
    results += [run("c", k, 700, end="refused", exams=()) for k in range(5)]
    a, c = _outcome(results, arms=("sis", "a", "b", "c")).versus
    assert a.survival_p == pytest.approx(2 / 252)
    assert a.survival_p_adjusted == pytest.approx(6 / 252)
    assert (c.survival_p, c.survival_p_adjusted) == (None, None)


def test_a_case_without_runs_has_no_outcome_and_an_arm_without_runs_is_left_out():
    assert case_outcome("x", [run("sis", 0, 900)], ("sis",), "sis", ()) is None
    found = _outcome([run("sis", 0, 900)])
    assert [arm.arm for arm in found.arms] == ["sis"]
    assert found.versus == ()

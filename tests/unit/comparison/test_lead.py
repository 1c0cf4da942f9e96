"""What the page says first: no winner that the runs do not show."""

import numpy as np
import pytest

from sis_engine.comparison.outcomes import case_outcome
from sis_engine.comparison.report.lead import lead, rivals
from tests.unit.comparison.samples import exam, run


def _case(costs_by_arm, baseline="sis"):
    """costs_by_arm: name to evaluations of runs that pass, a seed each; ``None``: one that never"""
    wrong = (exam(600, right=False),)
    results = [
        run(arm, k, cost) if cost is not None else run(arm, k, 600, exams=wrong, end="exhausted")
        for arm, costs in costs_by_arm.items()
        for k, cost in enumerate(costs)
    ]
    found = case_outcome("", results, tuple(costs_by_arm), baseline, ())
    assert found is not None
    return found


DEAR = [2900, 3000, 3100, 3050, 2950, 3020]
CHEAP = [900, 1000, 1100, 1050, 950, 1020]


def test_a_difference_that_the_tests_show_is_told():
    text = " ".join(lead(_case({"sis": DEAR, "other": CHEAP}), 2))
    assert text.startswith("other has the lowest restricted mean cost")
    assert "(6 of 6 runs got there; one that never does counts 4\u202f000)" in text
    assert ", less than sis (adjusted p < 0.05)." in text


def test_between_two_copies_there_is_no_winner():
    text = " ".join(lead(_case({"sis": DEAR, "other": DEAR[::-1]}), 2))
    assert text.startswith("no arm is shown to be cheapest.")
    assert "not distinguishable from" in text
    assert "less than" not in text


def test_arms_whose_intervals_overlap_are_not_told_apart():
    random = np.random.default_rng(3)
    sis, other = (list(map(int, mean + 400 * random.normal(size=6))) for mean in (1500, 1400))
    case = _case({"sis": sis, "other": other})
    assert case.versus[0].cost_ratio.lower < 1.0 < case.versus[0].cost_ratio.upper
    assert lead(case, len(case.arms))[0].startswith("no arm is shown to be cheapest.")


@pytest.mark.parametrize(("n", "few"), [(1, True), (2, True), (3, True), (4, False)])
def test_a_sample_that_can_tell_nothing_says_so_first(n, few):
    """Two arms: p can be no less than 2 / C(2n, n): 0.1 for three seeds, 0.029 for four."""
    (first, *_) = lead(_case({"sis": DEAR[:n], "other": CHEAP[:n]}), 2)
    assert first.startswith("too few runs to tell arms apart") == few


def test_the_number_of_arms_counts_when_a_sample_is_judged():
    """Four seeds and three arms: 2 / 70 doubled by Holm is beyond 0.05."""
    case = _case({"sis": DEAR[:4], "other": CHEAP[:4], "third": DEAR[:4]})
    assert lead(case, len(case.arms))[0].startswith("too few runs to tell arms apart")


def test_arms_that_have_no_run_yet_count_too():
    case = _case({"sis": DEAR[:4], "other": CHEAP[:4]})
    assert lead(case, 3)[0].startswith("too few runs to tell arms apart")


def test_an_arm_of_which_more_runs_passed_is_named():
    """Mean of five at 100 and one at the horizon of 4000: 750; all six of the other at 2000."""
    case = _case({"sis": [2000, 2010, 2020, 2030, 2040, 2050], "other": [100] * 5 + [None]})
    assert "other has the lowest" in lead(case, len(case.arms))[0]
    assert "(5 of 6 runs got there;" in lead(case, len(case.arms))[0]
    assert lead(case, len(case.arms))[1] == "more runs got there of sis (6 of 6)."


def test_pairs_that_nobody_planned_pay_for_all_pairs():
    """Of three arms: Holm doubles the smaller p against the baseline, all pairs triple it."""
    case = _case({"sis": DEAR, "a": CHEAP, "b": [cost + 1000 for cost in CHEAP]})
    best = case.arms[1]
    assert {item.arm.arm: item.n_tests for item in rivals(case, best, len(case.arms))} == {
        "sis": 2,
        "b": 3,
    }
    assert all(item.apart for item in rivals(case, best, len(case.arms)))


def test_runs_that_cost_all_the_same_are_told_apart_by_their_ranks_alone():
    case = _case({"sis": [450] * 6, "other": [300] * 6})
    assert case.versus[0].cost_ratio.alike
    assert "less than sis" in lead(case, len(case.arms))[0]
    assert "[" not in lead(case, len(case.arms))[0]


def test_an_arm_by_itself_is_not_the_best_of_anything():
    (text,) = lead(_case({"sis": CHEAP}), 1)
    assert "there is no other arm" in text
    assert "lowest" not in text


def test_where_nothing_passed_nothing_is_cheapest():
    assert lead(_case({"sis": [None] * 4}), 1)[0] == (
        "no arm reached a model that is stable and passes."
    )

"""What is known of how long a campaign may take, and that nothing more is said."""

from __future__ import annotations

import json

import pytest

from sis_engine.bookkeeping.outlook import NO_ETA, Outlook, look_ahead
from sis_engine.config.campaign import BudgetConfig

FIRST = (("label", 5.0), ("train-1", 60.0), ("explore", 10.0))
SECOND = (("label", 20.0), ("train-1", 40.0), ("train-2", 30.0), ("explore", 100.0))
THIRD = (("label", 10.0), ("train-1", 40.0), ("explore", 80.0))


def test_the_end_of_a_campaign_is_never_made_up() -> None:
    for outlook in (Outlook(), Outlook((FIRST, SECOND), 3, 100, 60.0)):
        assert outlook.lines()[0] == NO_ETA
        assert outlook.as_json()["eta_s"] is None
    assert Outlook().lines()[1:] == ("no budget bounds it",)


def test_the_generation_in_hand_goes_on_as_the_last_one_that_had_its_stage() -> None:
    outlook = Outlook((FIRST, SECOND, THIRD))
    assert outlook.generation_left_s("train-1", 15.0, 25.0) == pytest.approx(15.0 + 80.0)
    assert outlook.generation_left_s("train-1", None, 25.0) == pytest.approx(15.0 + 80.0)
    assert outlook.generation_left_s("train-1", None, 90.0) == pytest.approx(80.0)
    assert outlook.generation_left_s("train-2", None, 10.0) == pytest.approx(20.0 + 100.0)
    assert outlook.generation_left_s("test", 5.0, 5.0) is None
    assert Outlook().generation_left_s("label", 5.0, 5.0) is None


def test_the_budget_bounds_generations_evaluations_and_wall_time() -> None:
    outlook = look_ahead(
        BudgetConfig(generations=10, evaluations=4000, wall_hours=2.0),
        earlier=[FIRST, SECOND, THIRD],
        spent={"initial": 500, "audit": 120},
        wall_s=1800.0,
    )
    assert (outlook.generations_left, outlook.evaluations_left) == (7, 3380)
    assert outlook.wall_left_s == pytest.approx(5400.0)
    assert outlook.longest_generation_s == pytest.approx(190.0)
    assert outlook.rest_at_longest_s == pytest.approx(7 * 190.0)
    assert outlook.lines(gone_s=60.0, paid=80) == (
        NO_ETA,
        "at most 7 generations (budget.generations): 0:22:10 if each takes as long as the longest "
        "(0:03:10)",
        "no generation begins after 1:29:00 (budget.wall_hours)",
        "3300 evaluations left (budget.evaluations)",
    )
    assert json.loads(json.dumps(outlook.as_json()))["stage_seconds"][1]["train-2"] == 30.0


def test_the_generation_in_hand_counts_among_the_longest() -> None:
    """The rest may not be shorter than what is left of the one that runs."""
    outlook = Outlook((FIRST,), generations_left=9, in_hand_s=250.0)
    assert outlook.longest_generation_s == pytest.approx(250.0)
    assert outlook.rest_at_longest_s == pytest.approx(9 * 250.0)
    assert "0:37:30 if each takes as long as the longest (0:04:10)" in outlook.lines()[1]
    assert Outlook((FIRST,), 9, in_hand_s=5.0).longest_generation_s == pytest.approx(75.0)


def test_before_the_first_generation_its_length_is_not_known() -> None:
    outlook = look_ahead(BudgetConfig(generations=1), earlier=[], spent={}, wall_s=5.0)
    assert outlook.rest_at_longest_s is None
    assert outlook.lines()[1] == (
        "at most 1 generation (budget.generations), of a length not known yet"
    )


def test_a_spent_budget_leaves_nothing_not_less() -> None:
    outlook = look_ahead(
        BudgetConfig(generations=1, evaluations=10, wall_hours=0.001),
        earlier=[FIRST, SECOND],
        spent={"initial": 50},
        wall_s=100.0,
    )
    left = (outlook.generations_left, outlook.evaluations_left, outlook.wall_left_s)
    assert left == (0, 0, 0.0)

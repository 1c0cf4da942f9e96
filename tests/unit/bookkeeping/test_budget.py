"""Budgets: what may still be spent."""

import numpy as np

from sis_engine.bookkeeping.budget import over_budget
from sis_engine.config.campaign import BudgetConfig
from sis_engine.labelling.costs import nothing_is_known
from sis_engine.records import Frame, LabelPlan, Purpose, SegmentSpec, Start

PLAN = LabelPlan(
    "p",
    "s",
    Purpose.SEGMENT,
    (Start(Frame(("Ar",), np.zeros((1, 3)))),),
    segment=SegmentSpec(n_steps=100, timestep_fs=1.0, temperature_k=300.0),
)


def over(budget, spent, plans=(PLAN,), generation=1, hours=0.0, is_known=nothing_is_known):
    return over_budget(
        BudgetConfig(**budget),
        generation=generation,
        plans=plans,
        is_known=is_known,
        spent={Purpose(name): n for name, n in spent.items()},
        hours=hours,
    )


def test_within_every_limit_the_next_generation_may_start():
    assert over({"generations": 3, "evaluations": 200}, {"initial": 100}) is None


def test_a_round_that_does_not_fit_names_what_it_needs_and_what_is_left():
    found = over({"evaluations": 150}, {"initial": 100})
    assert found.limit == "evaluations"
    assert "at least 100 evaluations" in found.reason
    assert "50 of budget.evaluations = 150" in found.reason


def test_a_purpose_that_is_overspent_stops_even_when_no_plan_is_of_it():
    found = over({"evaluations_by_purpose": {"audit": 10}}, {"audit": 12})
    assert found.limit == "evaluations_by_purpose"
    assert "budget.evaluations_by_purpose.audit = 10" in found.reason


def test_a_purpose_spent_to_the_last_evaluation_stops_only_who_needs_more():
    budget = {"evaluations_by_purpose": {"segment": 100}}
    assert over(budget, {"segment": 100}, plans=()) is None
    assert over(budget, {"segment": 100}) is not None


def test_generations_and_hours_are_limits():
    generations, hours = over({"generations": 1}, {}), over({"wall_hours": 2.0}, {}, hours=2.5)
    assert (generations.limit, hours.limit) == ("generations", "wall_hours")
    assert "budget.generations = 1" in generations.reason
    assert "budget.wall_hours = 2" in hours.reason


def test_labels_that_the_bank_has_cost_nothing():
    points = LabelPlan("q", "s", Purpose.SINGLE, PLAN.starts * 3)
    assert over({"evaluations": 100}, {"initial": 99}, plans=(points,)) is not None
    known = over(
        {"evaluations": 100}, {"initial": 99}, plans=(points,), is_known=lambda _, __: True
    )
    assert known is None

"""What plans cost, by purpose, and how a budget is shared out among them."""

from collections import Counter

import numpy as np
import pytest

from sis_engine.labelling.costs import Purse, costs_of, least_of, shared_out
from sis_engine.records import (
    AcceptBounds,
    Allowance,
    BisectSpec,
    Frame,
    LabelPlan,
    OptimiseSpec,
    Purpose,
    SegmentSpec,
    Start,
)

STARTS = tuple(Start(Frame(("Ar",), np.full((1, 3), float(k)))) for k in range(4))
KNOWN = {start.frame.key for start in STARTS[:2]}
SEGMENT = SegmentSpec(n_steps=100, timestep_fs=1.0, temperature_k=300.0)
SINGLE, BISECT, SEGMENTS, OPTIMISE = (
    Purpose.SINGLE,
    Purpose.BISECT,
    Purpose.SEGMENT,
    Purpose.OPTIMISE,
)


def points(purpose=SINGLE, starts=STARTS):
    return LabelPlan("p", "s", purpose, starts)


def segment(**parts):
    return LabelPlan("q", "s", SEGMENTS, STARTS, segment=SEGMENT, **parts)


SEARCH = segment(
    bisect=BisectSpec(0.5, 3), bounds=AcceptBounds(5.0), optimise=OptimiseSpec(max_steps=50)
)


def is_known(system, frame):
    return system == "s" and frame.key in KNOWN


@pytest.mark.parametrize(
    ("plan", "least", "most"),
    [
        (points(), {SINGLE: 4}, {SINGLE: 4}),
        (segment(), {SEGMENTS: 100}, {SEGMENTS: 103}),
        (SEARCH, {BISECT: 1, SEGMENTS: 99}, {BISECT: 3, OPTIMISE: 49, SEGMENTS: 99}),
    ],
)
def test_costs_are_counted_by_purpose(plan, least, most):
    costs = costs_of(plan)
    assert (+costs.least, +costs.most) == (Counter(least), Counter(most))


@pytest.mark.parametrize(
    ("plan", "least", "most"),
    [
        (points(), {SINGLE: 2}, {SINGLE: 2}),
        (SEARCH, {SEGMENTS: 99}, {BISECT: 2, OPTIMISE: 49, SEGMENTS: 99}),
    ],
)
def test_what_the_bank_knows_costs_nothing(plan, least, most):
    costs = costs_of(plan, is_known)
    assert (+costs.least, +costs.most) == (Counter(least), Counter(most))
    assert +least_of([plan, plan], is_known) == Counter(least) + Counter(least)


def test_every_plan_is_sure_of_its_least_cost_and_the_first_gets_what_is_beyond():
    costs = [costs_of(SEARCH), costs_of(points()), costs_of(SEARCH)]
    first, second, third = shared_out(costs, Allowance(214))
    assert (first.total, second.total, third.total) == (110, 4, 100)


def test_a_limit_on_one_purpose_is_shared_out_as_well():
    costs = [costs_of(SEARCH), costs_of(SEARCH)]
    first, second = shared_out(costs, Allowance(None, ((BISECT, 4),)))
    assert (first.of(BISECT), second.of(BISECT)) == (3, 1)
    assert first.of(OPTIMISE) is None
    first, second = shared_out(costs, Allowance(200, ((OPTIMISE, 10),)))
    assert (first.of(OPTIMISE), second.total) == (0, 100)


def test_shares_never_come_to_more_than_there_is():
    random = np.random.default_rng(4)
    for _ in range(200):
        plans = [(points(), SEARCH, segment())[k] for k in random.integers(0, 3, 4)]
        costs = [costs_of(plan, is_known) for plan in plans]
        least = sum((item.least for item in costs), Counter()).total()
        left = Allowance(
            least + int(random.integers(0, 200)),
            ((OPTIMISE, int(random.integers(0, 60))), (BISECT, 4 + int(random.integers(0, 8)))),
        )
        shares = shared_out(costs, left)
        assert sum(share.total for share in shares) <= left.total
        for purpose, limit in left.by_purpose:
            assert sum(share.of(purpose) for share in shares) <= limit


def test_a_purse_keeps_back_what_it_is_told_to():
    purse = Purse(Allowance(10, ((BISECT, 4),)))
    assert purse.most(BISECT, 8) == 4
    assert purse.most(BISECT, 8, keep=8) == 2
    purse.spend(BISECT, 3)
    assert purse.most(BISECT, 8) == 1
    assert purse.most(SEGMENTS, 8) == 7
    assert Purse(Allowance()).most(SEGMENTS, 8, keep=100) == 8

"""The baselines `random` and `stride`: which frames of the model's MD are labelled."""

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.records import AuditRequest, Exhausted, Purpose, Requests
from sis_engine.samplers.pool import pool_of
from sis_engine.samplers.random import RandomConfig, RandomSampler, drawn
from sis_engine.samplers.stride import StrideConfig, StrideSampler
from sis_engine.samplers.times import strided, time_shares
from sis_engine.testing.sampler_contract import failed_input, surviving_input
from tests.unit.samplers.audits import audited

BOTH = [(RandomSampler, RandomConfig), (StrideSampler, StrideConfig)]


both = pytest.mark.parametrize(("sampler", "config"), BOTH, ids=["random", "stride"])


def test_a_frame_stands_for_the_time_half_way_to_its_neighbours():
    assert time_shares(np.array([0.0, 100.0, 110.0, 120.0])).tolist() == [50.0, 55.0, 10.0, 5.0]
    assert time_shares(np.array([7.0])).tolist() == [1.0]
    assert time_shares(np.zeros(0)).tolist() == []


def test_draws_are_in_proportion_to_the_weights():
    weights = np.array([1.0, 2.0, 7.0])
    hits = np.bincount([drawn(weights, 1, seed)[0] for seed in range(4000)], minlength=3)
    np.testing.assert_allclose(hits / 4000, weights / 10, atol=0.025)


def test_a_draw_has_each_index_once_and_never_more_than_there_are():
    assert drawn(np.ones(5), 9, 1).tolist() == [0, 1, 2, 3, 4]
    chosen = drawn(np.ones(100), 30, 1)
    assert len(set(chosen.tolist())) == 30
    assert chosen.tolist() == sorted(chosen.tolist())


def test_what_has_no_weight_is_drawn_last():
    assert drawn(np.array([0.0, 1.0, 1.0]), 2, 3).tolist() == [1, 2]


def test_a_stride_is_even_in_time_not_in_number():
    # 10 sparse frames of 100 fs, then 10 dense ones of 10 fs
    shares = np.array([100.0] * 10 + [10.0] * 10)
    assert strided(shares, 5).tolist() == [1, 3, 5, 7, 9]
    assert strided(np.ones(4), 2).tolist() == [1, 3]
    assert strided(np.ones(3), 5).tolist() == [0, 1, 2]


def test_no_frame_after_a_catastrophe_is_in_the_pool():
    given = failed_input()
    early = replace(given.verdicts[1], time_fs=500.0)  # r2 ran on to 700 fs
    pool = pool_of(replace(given, verdicts=(given.verdicts[0], early)), "example")
    own = [item for item in given.explorations[2].frames if item.time_fs > 500.0]
    assert own
    assert not {i.frame.key for i in own} & {i.frame.key for i in pool.frames}


def test_a_pool_weighs_time_as_the_replicas_spent_it():
    pool = pool_of(failed_input(), "example")
    assert pool.share_fs.sum() == pytest.approx(10000.0 + 3210.0 + 700.0 + 10000.0)


@both
def test_every_system_gets_the_same_number_of_single_points(sampler, config):
    decision = sampler(config(labels_per_system=40)).decide(failed_input())
    assert isinstance(decision, Requests)
    (plan,) = decision.plans
    assert plan.purpose is Purpose.SINGLE
    assert plan.segment is None
    assert len(plan.starts) == 40
    assert all(start.model_forces is not None for start in plan.starts)
    assert "2 of 4 replicas failed" in decision.reason


def test_random_differs_by_seed_and_generation_and_stride_does_not():
    def keys(sampler, config, **change):
        (plan,) = sampler(config()).decide(replace(failed_input(), **change)).plans
        return [start.frame.key for start in plan.starts]

    assert keys(*BOTH[0]) == keys(*BOTH[0])
    assert keys(*BOTH[0]) != keys(*BOTH[0], seed=8)
    assert keys(*BOTH[0]) != keys(*BOTH[0], generation=3)
    assert keys(*BOTH[1]) == keys(*BOTH[1], seed=8)


@both
def test_a_budget_cuts_the_number_of_points(sampler, config):
    decision = sampler(config()).decide(failed_input(evaluations_left=7))
    assert [len(plan.starts) for plan in decision.plans] == [7]
    decision = sampler(config()).decide(failed_input(evaluations_left=0))
    assert isinstance(decision, Exhausted)
    assert "costs 100 evaluations and 0 are left" in decision.reason


@both
def test_a_failed_audit_counts_towards_the_labels_of_its_generation(sampler, config):
    given = surviving_input(14)
    chosen = sampler(config(labels_per_system=50))
    asked = chosen.decide(given)
    assert isinstance(asked, AuditRequest)
    decision = chosen.decide(audited(given, asked, 0.5, passed=False))
    assert isinstance(decision, Requests)
    learn, points = decision.plans
    assert len(learn.starts) + len(points.starts) == 50
    assert not {s.frame.key for s in learn.starts} & {s.frame.key for s in points.starts}

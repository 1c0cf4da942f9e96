"""What the examiner labels, and when a model passes."""

import numpy as np
import pytest

from sis_engine.comparison.config import ExaminerConfig
from sis_engine.comparison.examiner import alive_frames, audit_plans, evenly, too_few_lived
from sis_engine.comparison.reference import thinned
from sis_engine.comparison.results import LifeResult
from sis_engine.comparison.structure import compare_pairs, compare_species
from sis_engine.records import (
    Condition,
    Ensemble,
    Exit,
    Exploration,
    ExploreResult,
    Frame,
    Life,
    MdFrame,
    PlanOutcome,
    Purpose,
    Replica,
    Rung,
    System,
    Trace,
)
from tests.unit.storage.storage_samples import make_labelled

CONFIG = ExaminerConfig.model_validate(
    {"reference": {"length_ps": 1.0}, "burn_in_ps": 0.1, "decorrelation_fs": 50.0, "replicas": 4}
)


def _frame(shift=0.0):
    positions = np.array([[0.0, 0, 0], [1.5 + shift, 0, 0], [0, 3.0, 0], [4.0, 4.0, 1.0]])
    return Frame(("C", "C", "H", "H"), positions)


def _run(name, *, n=100, every_fs=10.0):
    system = System("little", _frame())
    condition = Condition("md", Ensemble.NVT, 300.0, 0.5, n * every_fs / 1000.0)
    replica = Replica(name, system, _frame(), condition, 1)
    frames = tuple(MdFrame(_frame(0.001 * k), every_fs * k) for k in range(n))
    trace = Trace(name, np.zeros(0), (), np.zeros((0, 0)))
    return Exploration(replica, trace, frames, Exit.COMPLETED, n * every_fs / 1000.0, 1.0)


def _explored(lived):
    runs = tuple(_run(f"r{k}") for k in range(len(lived)))
    lives = tuple(
        Life(0, f"r{k}", "little", "md", 1, 1.0 if own else 0.3, censored=own)
        for k, own in enumerate(lived)
    )
    return ExploreResult(runs, (), (), (), lives, ())


def test_frames_are_late_enough_far_enough_apart_and_before_the_end():
    times = [item.time_fs for item in alive_frames(_run("r"), 600.0, CONFIG)]
    assert times == [100.0 + 50.0 * k for k in range(10)]


def test_frames_that_are_not_finite_are_no_frames():
    run = _run("r", n=20)
    broken = Frame(("C", "C", "H", "H"), np.full((4, 3), np.nan))
    run = Exploration(
        run.replica, run.trace, (*run.frames, MdFrame(broken, 250.0)), run.exit, 1.0, 1.0
    )
    assert all(np.isfinite(i.frame.positions).all() for i in alive_frames(run, None, CONFIG))


def test_only_survivors_are_audited_and_share_the_frames():
    plans = audit_plans(_explored((True, False, True)), CONFIG, 20)
    assert [plan.id for plan in plans] == ["exam-r0", "exam-r2"]
    assert [len(plan.starts) for plan in plans] == [10, 10]
    assert audit_plans(_explored((False, False)), CONFIG, 20) == ()


def test_evenly_takes_the_ends_and_no_more_than_asked():
    frames = _run("r").frames
    chosen = evenly(frames, 5)
    assert (len(chosen), chosen[0], chosen[-1]) == (5, frames[0], frames[-1])
    assert evenly(frames[:3], 5) == list(frames[:3])


def test_enough_replicas_have_to_live_in_every_system_by_itself():
    """Of system a four of four, of b three of four: 7 of 8 together, but b alone has 75 %."""

    def lives(system, n_lived):
        return [LifeResult(system=system, time_ps=1.0, censored=k < n_lived) for k in range(4)]

    strict = CONFIG.model_copy(update={"min_survival": 0.8})
    assert too_few_lived([*lives("a", 4), *lives("b", 3)], strict) == (
        "b: 3 of 4 replicas lived, 80% have to",
    )
    mild = CONFIG.model_copy(update={"min_survival": 0.75})
    assert too_few_lived([*lives("a", 4), *lives("b", 3)], mild) == ()


def test_the_reference_is_thinned_after_its_burn_in():
    """0.1 ps of 0.5 fs are 200 steps; then every 20th."""
    items = make_labelled(300)
    outcome = PlanOutcome("p0", "cluster", Purpose.TEST, Rung.PREFERRED, 0, items, (), 300)
    kept = thinned(outcome, CONFIG.reference)
    assert [item.origin.index for item in kept.labelled] == [200, 220, 240, 260, 280]


def test_the_same_structure_has_no_error_beyond_the_references_own():
    frames = [_frame(0.01 * k) for k in range(20)]
    for pair in compare_pairs("little", frames, frames):
        assert pair.error == 0.0
        assert pair.floor >= 0.0
    moved = [_frame(1.0 + 0.01 * k) for k in range(20)]
    errors = {pair.pair: pair.error for pair in compare_pairs("little", moved, frames)}
    assert errors["C", "C"] == pytest.approx(2.0, abs=0.01)  # two densities that do not overlap
    assert compare_pairs("little", frames[:3], frames) == ()


def test_molecules_that_fall_apart_are_counted_and_their_bond_is_named():
    whole = [_frame() for _ in range(6)]
    apart = [MdFrame(_frame(0.0 if k < 3 else 1.0), 10.0 * k) for k in range(6)]
    found = compare_species("little", [apart], whole)
    assert found.broken == (("C-C", 1.0),)
    assert found.reference_broken == ()
    assert found.order_agreement is None
    assert found.error == pytest.approx(1.5)  # half the time two C instead of one C2

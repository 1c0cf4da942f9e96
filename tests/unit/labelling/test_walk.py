from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sis_engine.errors import StopRequested
from sis_engine.interfaces import Capability, Context, SinglePoints
from sis_engine.labelling.banked import BankedLabeler
from sis_engine.labelling.costs import IsKnown, evaluations_of, nothing_is_known
from sis_engine.labelling.walk import ModelForces, walk
from sis_engine.records import (
    AcceptBounds,
    Allowance,
    BisectSpec,
    Failure,
    Frame,
    LabelFailure,
    Labelled,
    LabelPlan,
    OptimiseSpec,
    Origin,
    PlanOutcome,
    Purpose,
    Rung,
    SegmentSpec,
    Start,
    System,
    UntilSpec,
)
from sis_engine.testing.fakes import FakeBank, FakeLabeler
from sis_engine.testing.morse import Morse

SEGMENT = SegmentSpec(n_steps=6, timestep_fs=2.0, temperature_k=100.0, seed=5)
DIMER = System("dimer", Frame(("Ar", "Ar"), [[0, 0, 0], [2.6, 0, 0]]))


def start(distance: float, *, model_scale: float = 1.0) -> Start:
    """A dimer; the model's forces are the reference's times ``model_scale``."""
    frame = Frame(("Ar", "Ar"), [[0, 0, 0], [distance, 0, 0]])
    forces = model_scale * Morse().evaluate(frame)[1]
    return Start(frame, time_fs=10.0 * distance, model_forces=forces)


def plan(*starts: Start, **parts: object) -> LabelPlan:
    given = {"id": "p", "system": "dimer", "purpose": Purpose.SEGMENT, "segment": SEGMENT}
    return LabelPlan(starts=starts, **{**given, **parts})


class Walked:
    """A walk with what it sent out on the way."""

    def __init__(
        self,
        given: LabelPlan,
        bank: FakeBank | None = None,
        model_forces: ModelForces | None = None,
        allowance: Allowance | None = None,
        is_known: IsKnown = nothing_is_known,
        **context: object,
    ) -> None:
        self.labeler = FakeLabeler()
        self.bank = bank or FakeBank()
        self.sent: list[Labelled | LabelFailure] = []
        self.progress: list[dict[str, object]] = []
        source = BankedLabeler(self.labeler, self.bank)
        self.outcome: PlanOutcome = walk(
            given,
            DIMER,
            source,
            generation=3,
            context=Context(Path(), progress=self._note, **context),
            on_result=self.sent.append,
            model_forces=model_forces,
            allowance=allowance,
            is_known=is_known,
        )

    def _note(self, done: float, total: float | None, message: str = "", **facts: object) -> None:
        self.progress.append({"done": done, "total": total, "message": message, **facts})


def test_single_points_are_each_labelled_and_failures_do_not_stop_the_others() -> None:
    walked = Walked(plan(start(2.5), start(0.5), start(2.9), segment=None, purpose=Purpose.SINGLE))
    assert walked.outcome.rung is Rung.SINGLE_POINTS
    assert [r.origin.index for r in walked.outcome.labelled] == [0, 2]
    assert [f.reason for f in walked.outcome.failures] == [Failure.NOT_CONVERGED]
    assert walked.outcome.n_evaluations == 3
    assert walked.outcome.labelled[0].origin == Origin(Purpose.SINGLE, 3, "dimer", "p", 0, 25.0)


def test_a_plan_without_bounds_runs_from_the_first_start_and_pays_only_for_its_steps() -> None:
    walked = Walked(plan(start(2.6), start(2.7)))
    assert walked.outcome.rung is Rung.PREFERRED
    assert walked.outcome.start_index == 0
    assert walked.outcome.n_evaluations == 6 == walked.labeler.n_evaluations
    assert [r.origin.index for r in walked.outcome.labelled] == list(range(6))
    assert all(r.origin.purpose is Purpose.SEGMENT for r in walked.outcome.labelled)
    assert len({r.key for r in walked.outcome.labelled}) == 6


def test_a_start_beyond_the_bounds_is_kept_as_a_label_and_the_next_is_taken() -> None:
    walked = Walked(plan(start(1.6), start(2.6), bounds=AcceptBounds(max_force=1.0)))
    assert walked.outcome.rung is Rung.FURTHER_BACK
    assert walked.outcome.start_index == 1
    assert walked.outcome.n_evaluations == 7
    assert walked.outcome.labelled[0].origin.purpose is Purpose.BISECT
    assert "start 0 refused: largest force" in walked.outcome.message


def test_when_bounds_refuse_all_the_first_usable_start_is_optimised() -> None:
    walked = Walked(
        plan(
            start(0.3),
            start(1.9),
            start(2.0),
            bounds=AcceptBounds(max_force=1.0),
            optimise=OptimiseSpec(max_force=0.5, max_steps=40),
        )
    )
    assert walked.outcome.rung is Rung.OPTIMISED
    assert walked.outcome.start_index == 1
    purposes = [r.origin.purpose for r in walked.outcome.labelled]
    assert purposes.count(Purpose.SEGMENT) == 6
    # The optimised frame is the segment's first, so it appears there only.
    assert purposes.count(Purpose.OPTIMISE) >= 1
    first = walked.outcome.labelled[-6]
    assert np.sqrt((first.label.forces**2).sum(axis=1).max()) <= 0.5
    assert [f.reason for f in walked.outcome.failures] == [Failure.NOT_CONVERGED]


def test_nothing_that_can_be_labelled_is_rung_none_with_reasons() -> None:
    walked = Walked(
        plan(start(0.3), start(0.4), bounds=AcceptBounds(max_force=1.0), optimise=OptimiseSpec())
    )
    assert walked.outcome.rung is Rung.NONE
    assert walked.outcome.start_index is None
    assert "start 0 got no label" in walked.outcome.message
    assert "no start could be labelled" in walked.outcome.message


def test_bisection_finds_the_last_start_whose_model_error_is_within_bound() -> None:
    scales = [3.0] * 9 + [1.2] * 23
    starts = [start(2.0 + 0.01 * i, model_scale=scale) for i, scale in enumerate(scales)]
    walked = Walked(plan(*starts, bisect=BisectSpec(0.3, 8)))
    assert walked.outcome.rung is Rung.FURTHER_BACK
    assert walked.outcome.start_index == 9
    searched = [r for r in walked.sent if r.origin.purpose is Purpose.BISECT]
    assert 3 <= len(searched) <= 8
    assert walked.outcome.n_evaluations == len(searched) + 5


def test_a_search_that_fails_takes_the_best_start_that_bounds_accept() -> None:
    starts = [start(2.0 + 0.1 * i, model_scale=3.0 - 0.1 * i) for i in range(8)]
    bounds = AcceptBounds(max_force=20.0)
    walked = Walked(plan(*starts, bisect=BisectSpec(0.1, 3), bounds=bounds))
    assert walked.outcome.rung is Rung.FURTHER_BACK
    assert walked.outcome.start_index == 7
    assert "no start had a relative force error within 0.100 (3 looked at" in walked.outcome.message


def test_a_search_without_model_forces_falls_back_on_optimisation() -> None:
    starts = [replace(start(2.2), model_forces=None), replace(start(2.3), model_forces=None)]
    walked = Walked(plan(*starts, bisect=BisectSpec(0.1, 4), optimise=OptimiseSpec(0.5, 30)))
    assert walked.outcome.rung is Rung.OPTIMISED


@pytest.mark.parametrize("purpose", [Purpose.AUDIT, Purpose.TEST])
def test_audit_and_test_plans_skip_bounds_search_and_optimisation(purpose: Purpose) -> None:
    walked = Walked(
        plan(
            start(1.9),
            start(2.6),
            purpose=purpose,
            bounds=AcceptBounds(max_force=0.1),
            bisect=BisectSpec(0.01, 5),
            optimise=OptimiseSpec(),
        )
    )
    assert walked.outcome.rung is Rung.PREFERRED
    assert {r.origin.purpose for r in walked.sent} == {purpose}


def test_a_failure_inside_the_segment_keeps_what_was_labelled() -> None:
    # Two hot atoms thrown at each other end below the fake's convergence limit.
    hot = replace(SEGMENT, n_steps=400, temperature_k=4e6, thermostat="none", timestep_fs=0.2)
    walked = Walked(plan(start(2.6), segment=replace(hot, seed=1)))
    assert walked.outcome.rung is Rung.PREFERRED
    assert len(walked.outcome.failures) == 1
    assert 1 <= len(walked.outcome.labelled) < 400
    assert f"ended at step {len(walked.outcome.labelled)} of 400" in walked.outcome.message


def test_every_result_goes_out_as_it_finishes_with_progress() -> None:
    walked = Walked(plan(start(1.6), start(2.6), bounds=AcceptBounds(max_force=1.0)))
    assert len(walked.sent) == 8  # two trials, six steps, the first of which is the trial again
    assert [r.cached for r in walked.sent] == [False, False, True, *[False] * 5]
    last = walked.progress[-1]
    assert (last["done"], last["total"], last["evaluations"]) == (6, 6, 7)
    assert last["temperature_k"] == walked.outcome.labelled[-1].temperature_k


def test_walking_again_costs_nothing_and_ends_in_the_same_outcome() -> None:
    given = plan(start(1.6), start(2.6), bounds=AcceptBounds(max_force=1.0))
    first = Walked(given)
    second = Walked(given, first.bank)
    assert second.labeler.n_evaluations == 0
    assert second.outcome.n_evaluations == first.outcome.n_evaluations == 7
    assert [r.key for r in second.outcome.labelled] == [r.key for r in first.outcome.labelled]
    assert second.outcome.rung is first.outcome.rung


def test_a_stopped_walk_continues_where_it_stopped() -> None:
    given = plan(start(2.6))
    bank = FakeBank()
    with pytest.raises(StopRequested):
        Walked(given, bank, stop=lambda: len(bank.items) >= 4)
    walked = Walked(given, bank)
    assert walked.labeler.n_evaluations == 2
    assert len(walked.outcome.labelled) == 6


def test_a_plan_with_no_start_says_so() -> None:
    assert Walked(plan()).outcome.message == "the plan has no start"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (plan(start(2.6), start(2.7), segment=None), (2, 2)),
        (plan(start(2.6)), (6, 6)),
        (plan(start(2.6), start(2.7), bounds=AcceptBounds(1.0)), (6, 7)),
        (plan(start(2.6), start(2.7), bounds=AcceptBounds(1.0), optimise=OptimiseSpec()), (6, 56)),
        (plan(*[start(2.6)] * 64, bisect=BisectSpec(0.3, 8)), (6, 13)),
        (plan(start(2.6), bisect=BisectSpec(0.3, 8), purpose=Purpose.TEST), (6, 6)),
    ],
)
def test_the_quote_of_a_plan(given: LabelPlan, expected: tuple[int, int]) -> None:
    assert evaluations_of(given) == expected


def test_no_walk_costs_more_than_its_quote() -> None:
    for count in range(1, 12):
        starts = [start(1.5 + 0.02 * i, model_scale=3.0) for i in range(count)]
        given = plan(
            *starts,
            bisect=BisectSpec(0.3, 5),
            bounds=AcceptBounds(max_force=2.0),
            optimise=OptimiseSpec(0.5, 30),
        )
        assert Walked(given).outcome.n_evaluations <= evaluations_of(given)[1]


SEARCHING = {
    "bisect": BisectSpec(0.3, 5),
    "bounds": AcceptBounds(max_force=2.0),
    "optimise": OptimiseSpec(0.5, 30),
}


@pytest.mark.parametrize("near", [1.5, 2.45])
def test_no_walk_spends_more_than_it_is_allowed(near: float) -> None:
    starts = [start(near + 0.02 * i, model_scale=3.0) for i in range(7)]
    given = plan(*starts, **SEARCHING)
    least, most = evaluations_of(given)
    free = Walked(given).outcome
    for total in range(least, most + 1):
        outcome = Walked(given, allowance=Allowance(total)).outcome
        assert outcome.n_evaluations <= total
        if outcome.n_evaluations < free.n_evaluations:
            assert "the budget allows" in outcome.message
        else:
            assert [item.key for item in outcome.labelled] == [i.key for i in free.labelled]


def test_a_limit_on_optimisation_alone_ends_that_alone() -> None:
    given = plan(start(1.5), **SEARCHING)
    outcome = Walked(given, allowance=Allowance(None, ((Purpose.OPTIMISE, 2),))).outcome
    assert sum(item.origin.purpose is Purpose.OPTIMISE for item in outcome.labelled) <= 3
    assert "the budget allows 3 of 30 optimisation steps" in outcome.message


def test_a_segment_ends_where_the_allowance_does() -> None:
    given = plan(start(2.6), purpose=Purpose.TEST)
    outcome = Walked(given, allowance=Allowance(4)).outcome
    assert outcome.n_evaluations == len(outcome.labelled) == 4
    assert "the budget allows 4 of 6 steps" in outcome.message
    for none in (given, plan(start(2.6))):
        outcome = Walked(none, allowance=Allowance(0)).outcome
        assert (outcome.n_evaluations, outcome.rung) == (0, Rung.NONE)


def test_single_points_beyond_the_allowance_are_left_out_unless_they_are_known() -> None:
    starts = [start(2.6 + 0.1 * i) for i in range(5)]
    bank = Walked(plan(starts[3], id="before", segment=None)).bank
    outcome = Walked(
        plan(*starts, segment=None),
        bank,
        allowance=Allowance(2),
        is_known=lambda _, frame: frame.key == starts[3].frame.key,
    ).outcome
    assert [item.origin.index for item in outcome.labelled] == [0, 1, 3]
    assert outcome.n_evaluations == 2


def test_labels_of_another_plan_are_not_paid_for_again() -> None:
    first = Walked(plan(start(2.6)))
    second = Walked(plan(start(2.6), id="q"), first.bank)
    assert second.outcome.n_evaluations == 0
    assert all(r.cached for r in second.outcome.labelled)


def test_a_frame_that_cannot_be_labelled_is_not_tried_again() -> None:
    given = plan(start(0.5), segment=None, purpose=Purpose.SINGLE)
    first = Walked(given)
    second = Walked(given, first.bank)
    assert second.labeler.n_evaluations == 0
    assert [f.reason for f in second.outcome.failures] == [Failure.NOT_CONVERGED]


@pytest.mark.parametrize("reason", [Failure.INFRASTRUCTURE, Failure.OUT_OF_MEMORY])
def test_a_failure_of_the_surroundings_is_tried_again(reason: Failure) -> None:
    first = Walked(plan(start(0.5), segment=None, purpose=Purpose.SINGLE))
    (key, failure) = next(iter(first.bank.items.items()))
    first.bank.items[key] = replace(failure, reason=reason)
    second = Walked(plan(start(0.5), segment=None, purpose=Purpose.SINGLE), first.bank)
    assert second.labeler.n_evaluations == 1


def test_a_banked_label_without_what_the_labeler_now_gives_is_made_anew() -> None:
    labeler, bank = FakeLabeler(), FakeBank()
    frame = Frame(("Ar", "Ar"), [[0, 0, 0], [2.6, 0, 0]])
    origin = Origin(Purpose.SINGLE, 0, "dimer", "p", 0)
    task = SinglePoints(System("dimer", frame), (frame,), (origin,))
    list(BankedLabeler(labeler, bank).label(task, Context(Path())))
    list(BankedLabeler(labeler, bank).label(task, Context(Path())))
    assert labeler.n_evaluations == 1
    labeler.capabilities = labeler.capabilities | {Capability.CHARGES}
    list(BankedLabeler(labeler, bank).label(task, Context(Path())))
    assert labeler.n_evaluations == 2


def test_a_plan_that_continues_goes_on_with_the_velocities_of_its_start() -> None:
    first = Walked(plan(start(2.6))).outcome.labelled
    rest = SegmentSpec(n_steps=3, timestep_fs=2.0, temperature_k=100.0, seed=6, thermostat="none")
    end = Start(first[-1].frame, 10.0, first[-1].velocities)
    walked = Walked(plan(end, segment=rest, continues=True))
    np.testing.assert_array_equal(walked.outcome.labelled[0].velocities, first[-1].velocities)
    anew = Walked(plan(end, segment=rest)).outcome.labelled[0].velocities
    assert not np.array_equal(anew, first[-1].velocities)


def test_a_segment_in_two_pieces_is_the_segment_in_one() -> None:
    whole = replace(SEGMENT, n_steps=7, thermostat="none")
    one = Walked(plan(start(2.6), segment=whole)).outcome.labelled
    piece = Walked(plan(start(2.6), segment=replace(whole, n_steps=4))).outcome.labelled
    end = Start(piece[-1].frame, 6.0, piece[-1].velocities)
    rest = Walked(plan(end, segment=replace(whole, n_steps=4), continues=True)).outcome.labelled
    for ours, theirs in zip((*piece, *rest[1:]), one, strict=True):
        np.testing.assert_allclose(ours.frame.positions, theirs.frame.positions, atol=1e-12)


def test_a_search_without_a_segment_labels_what_it_looks_at_and_no_more() -> None:
    scales = (9.0, 9.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0)  # the model is right from start 4 on
    starts = [start(2.2 + 0.1 * k, model_scale=scale) for k, scale in enumerate(scales)]
    given = plan(*starts, segment=None, purpose=Purpose.SINGLE, bisect=BisectSpec(0.5, 8))
    walked = Walked(given)
    assert walked.outcome.rung is Rung.SINGLE_POINTS
    looked_at = sorted(item.origin.index for item in walked.outcome.labelled)
    assert {3, 4} <= set(looked_at)  # the first bad and the last good
    assert len(looked_at) < 8
    assert evaluations_of(given) == (1, 8)


def test_a_segment_ends_when_the_model_is_right_on_it() -> None:
    until = UntilSpec(max_relative_error=0.3, window=2, check_every=1)
    long = replace(SEGMENT, n_steps=30)
    seen = []

    def forces(system: System, frames: list[Frame]) -> np.ndarray:
        seen.append(len(frames))
        scale = 2.0 if len(seen) < 4 else 1.0  # wrong at first
        return scale * np.stack([Morse().evaluate(frame)[1] for frame in frames])

    walked = Walked(plan(start(2.6), segment=long, until=until), model_forces=forces)
    assert len(walked.outcome.labelled) == 5
    assert walked.outcome.n_evaluations == 5 == walked.labeler.n_evaluations
    assert seen == [2, 2, 2, 2]
    assert "ended at step 5" in walked.outcome.message
    assert walked.outcome.rung is Rung.PREFERRED


def test_a_segment_runs_to_its_length_while_the_model_is_wrong_or_absent() -> None:
    until = UntilSpec(max_relative_error=0.3, window=2, check_every=2)

    def wrong(system: System, frames: list[Frame]) -> np.ndarray:
        return np.full((len(frames), 2, 3), np.nan)

    for model_forces in (wrong, None):
        walked = Walked(plan(start(2.6), until=until), model_forces=model_forces)
        assert len(walked.outcome.labelled) == 6
        assert walked.outcome.message == ""

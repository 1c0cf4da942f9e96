"""What committed generations leave behind."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sis_engine.bookkeeping.past import ends_after, standing_still
from sis_engine.records import (
    Failure,
    Frame,
    GenerationSummary,
    Label,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    Life,
    Origin,
    PlanOutcome,
    Purpose,
    Rung,
    Verdict,
)

LEVEL = LevelOfTheory("fake", "1", "fake")


def outcome(plan, purpose, x, *, failed=False):
    """Two frames of one plan; the second, at ``x``, is the later one."""
    labelled = tuple(
        Labelled(
            Frame(("H",), np.array([[x * index, 0.0, 0.0]])),
            Label(0.0, np.zeros((1, 3))),
            LEVEL,
            Origin(purpose, 0, "one", plan, index, 0.5 * index),
            "1",
            0.1,
            velocities=np.full((1, 3), x),
        )
        for index in (1, 0)  # the order of results is not the order in time
    )
    failure = LabelFailure(
        labelled[0].frame, LEVEL, labelled[0].origin, Failure.NOT_CONVERGED, "no"
    )
    return PlanOutcome(
        plan, "one", purpose, Rung.PREFERRED, 0, labelled, (failure,) if failed else (), 2
    )


def test_reference_md_stands_at_the_last_frame_of_its_newest_segment():
    first = ends_after((), [outcome("a", Purpose.INITIAL, 1.0)])
    (end,) = ends_after(first, [outcome("b", Purpose.SEGMENT, 2.0)])
    assert (end.system, end.plan) == ("one", "b")
    assert end.start.frame.positions[0, 0] == 2.0
    assert end.start.velocities is not None
    assert end.start.velocities[0, 0] == 2.0


def test_single_points_tests_and_searches_move_no_end():
    first = ends_after((), [outcome("a", Purpose.INITIAL, 1.0)])
    others = [outcome(p.value, p, 9.0) for p in (Purpose.SINGLE, Purpose.TEST, Purpose.BISECT)]
    assert ends_after(first, others) == first


def test_a_segment_that_broke_off_is_continued_with_new_velocities():
    (end,) = ends_after((), [outcome("a", Purpose.SEGMENT, 1.0, failed=True)])
    assert end.start.velocities is None


def test_every_system_has_its_own_end():
    other = outcome("b", Purpose.SEGMENT, 2.0)
    ends = ends_after((), [outcome("a", Purpose.INITIAL, 1.0), replace(other, system="two")])
    assert [end.system for end in ends] == ["one", "two"]


# --------------------------------------------------------------------------- standing still


def _generation(number: int, **changes: Any) -> GenerationSummary:
    verdict = Verdict("r0", "energy", "below", 0.0, -1.0, 0.0)
    life = Life(number, "r0", "s", "md", 1, 0.0, False, verdict)
    return replace(GenerationSummary(number, (life,), "same", 0, asked=1), **changes)


def test_answers_that_taught_nothing_are_in_vain_after_three():
    history = [_generation(number) for number in range(4)]
    assert standing_still(history[:3]) is None
    told = standing_still(history)
    assert told is not None
    assert "generations 0 to 3 failed with the same model" in told


@pytest.mark.parametrize(
    "changes", [{"model_id": "other"}, {"asked": 0}, {"lives": ()}, {"lives": "survived"}]
)
def test_whoever_learnt_waits_or_lived_goes_on(changes):
    if changes.get("lives") == "survived":
        changes = {"lives": (Life(2, "r0", "s", "md", 1, 1.0, True),)}
    history = [_generation(number) for number in range(4)]
    history[2] = replace(history[2], **changes)
    assert standing_still(history) is None

"""What of a plan's labels becomes data."""

import numpy as np

from sis_engine.records import (
    Frame,
    Label,
    Labelled,
    LevelOfTheory,
    Origin,
    PlanOutcome,
    Purpose,
    Rung,
)
from sis_engine.stages.merge import thinned

LEVEL = LevelOfTheory("fake", "1", "fake")


def labelled(purpose, index):
    frame = Frame(("Ar",), np.array([[float(index), 0.0, 0.0]]))
    origin = Origin(purpose, 1, "s", "plan", index)
    return Labelled(frame, Label(0.0, np.zeros((1, 3))), LEVEL, origin, "1", 0.0)


def outcome(*items):
    return PlanOutcome("plan", "s", Purpose.SEGMENT, Rung.PREFERRED, 0, items, (), len(items))


def test_a_stride_thins_the_segment_and_keeps_every_single_point():
    points = [labelled(Purpose.BISECT, k) for k in range(5)]
    segment = [labelled(Purpose.SEGMENT, k) for k in range(9)]
    kept = thinned(outcome(*points, *segment), 4).labelled
    assert [i.origin.index for i in kept if i.origin.purpose is Purpose.BISECT] == [0, 1, 2, 3, 4]
    assert [i.origin.index for i in kept if i.origin.purpose is Purpose.SEGMENT] == [0, 4, 8]


def test_without_a_stride_nothing_is_thinned():
    given = outcome(*(labelled(Purpose.SEGMENT, k) for k in range(3)))
    assert thinned(given, 1) is given

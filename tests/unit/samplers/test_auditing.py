"""Which frames of a survivor an audit draws, and how many there can be."""

from __future__ import annotations

import numpy as np
import pytest

from sis_engine.records import Frame, MdFrame
from sis_engine.samplers.auditing import most_frames, spread
from sis_engine.samplers.stopping_config import AuditFrames

RULE = AuditFrames(burn_in_ps=0.25, decorrelation_fs=100.0)


def kept(duration_ps: float, every_fs: float) -> tuple[MdFrame, ...]:
    frame = Frame(("Li",), np.zeros((1, 3)))
    times = np.arange(0.0, 1000.0 * duration_ps + 1e-6, every_fs)
    return tuple(MdFrame(frame, float(time)) for time in times)


def times_of(frames: tuple[MdFrame, ...]) -> np.ndarray:
    return np.array([item.time_fs for item in frames])


@pytest.mark.parametrize("seed", range(20))
def test_as_many_as_there_is_room_for_are_found(seed):
    """Drawn at random, 8 of 8 found room in three of five replicas of 1 ps."""
    found = times_of(spread(kept(1.0, 50.0), 11, RULE, seed))
    assert len(found) == most_frames(1.0, 0.05, 0.25, 100.0) == 8
    assert np.diff(found).min() >= 100.0
    assert found[0] >= 250.0


@pytest.mark.parametrize("seed", range(20))
def test_fewer_are_drawn_at_random_one_from_each_stretch(seed):
    found = times_of(spread(kept(5.0, 50.0), 8, RULE, seed))
    assert len(found) == 8
    assert (np.histogram(found, np.linspace(250.0, 5000.0, 9))[0] <= 2).all()
    assert np.diff(found).min() >= 100.0


def test_which_are_drawn_hangs_on_the_seed():
    frames = kept(5.0, 50.0)
    drawn = {tuple(times_of(spread(frames, 8, RULE, seed))) for seed in range(5)}
    assert len(drawn) == 5
    assert len({tuple(times_of(spread(frames, 8, RULE, 1))) for _ in range(2)}) == 1


@pytest.mark.parametrize(
    ("duration_ps", "every_ps", "expected"),
    [(1.0, 0.05, 8), (1.0, 0.1, 8), (1.0, 0.06, 7), (0.25, 0.05, 1), (0.2, 0.05, 0), (1.0, 0.2, 4)],
)
def test_the_most_that_there_can_be(duration_ps, every_ps, expected):
    assert most_frames(duration_ps, every_ps, 0.25, 100.0) == expected
    assert len(spread(kept(duration_ps, 1000.0 * every_ps), 100, RULE, 0)) <= expected

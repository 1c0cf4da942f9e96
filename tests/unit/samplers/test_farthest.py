"""Farthest-point selection against values worked by hand."""

import numpy as np
import pytest

from sis_engine.samplers.farthest import farthest

LINE = np.array([[0.0], [1.0], [4.0], [6.0], [10.0]])


def test_a_line_worked_by_hand():
    # From 0: distances 0 1 4 6 10 → 10. Nearest of {0, 10}: 1, 4, 4 → 4 (first of the tie).
    # Nearest of {0, 4, 10}: 1 → 1, 6 → 2: 6 comes before 1.
    assert farthest(LINE, 5, first=0).tolist() == [0, 4, 2, 3, 1]
    assert farthest(LINE, 3, first=0).tolist() == [0, 4, 2]


def test_it_begins_at_the_point_farthest_from_the_mean():
    # the mean is 4.2: 10 is 5.8 away, 0 only 4.2
    assert farthest(LINE, 2).tolist() == [4, 0]


def test_what_is_known_counts_as_chosen():
    assert farthest(LINE, 2, known=np.array([[0.0], [10.0]])).tolist() == [2, 3]


def test_doubles_are_not_paid_for():
    features = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [3.0, 4.0]])
    assert farthest(features, 4, first=0).tolist() == [0, 1]
    assert farthest(features, 4, known=features).tolist() == []


@pytest.mark.parametrize("n", [0, -3])
def test_nothing_is_chosen_of_nothing(n):
    assert farthest(LINE, n).tolist() == []
    assert farthest(np.zeros((0, 2)), 5).tolist() == []


def test_the_cover_is_within_twice_the_best():
    """Gonzalez's bound, on points whose best cover is known: k tight clusters."""
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = np.concatenate([c + rng.uniform(-0.5, 0.5, (50, 2)) for c in centres])
    chosen = points[farthest(points, 4)]
    radius = np.min(np.linalg.norm(points[:, None] - chosen[None], axis=2), axis=1).max()
    assert radius <= 2.0 * np.hypot(0.5, 0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_points_that_are_not_finite_are_never_chosen_and_spoil_no_choice(value):
    broken = np.concatenate([[[value]], LINE, [[value]]])
    assert farthest(broken, 7, first=1).tolist() == [1, 5, 3, 4, 2]
    assert farthest(broken, 7, first=0)[0] == 5  # as without a point to begin with
    assert farthest(broken, 2).tolist() == [5, 1]
    known = np.array([[0.0], [value], [10.0]])
    assert farthest(broken, 2, known=known).tolist() == [3, 4]
    assert farthest(broken[:1], 2).tolist() == []

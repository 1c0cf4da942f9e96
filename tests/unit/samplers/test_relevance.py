"""MRMR against values worked by hand."""

import numpy as np
import pytest

from sis_engine.samplers.relevance import mrmr, similarities


def test_similarity_falls_with_distance_on_the_scale_of_the_median():
    # distances 1, 2, 1: the median of two different rows is 1
    found = similarities(np.array([[0.0], [1.0], [2.0]]))
    assert found[0].tolist() == pytest.approx([1.0, np.exp(-0.5), np.exp(-2.0)])
    assert similarities(np.zeros((2, 3))).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_a_choice_worked_by_hand():
    # relevance 1, 0.9, 0.5; the second is a double of the first
    # first: index 0. Then 0.9 - 1 = -0.1 against 0.5 - exp(-0.5) = -0.107: the double still wins.
    # With 0.6 in place of 0.5: 0.6 - 0.607 = -0.007 wins.
    features = np.array([[0.0], [0.0], [3.0]])
    assert mrmr(np.array([1.0, 0.9, 0.5]), features, 2).tolist() == [0, 1]
    assert mrmr(np.array([1.0, 0.9, 0.6]), features, 2).tolist() == [0, 2]


def test_redundancy_is_the_mean_over_those_chosen():
    # After 0 and 2, index 3 repeats one of two: 0.6 - (1 + exp(-0.5)) / 2 = -0.203;
    # index 1 repeats the other: 0.9 - the same = 0.097.
    features = np.array([[0.0], [0.0], [3.0], [3.0]])
    assert mrmr(np.array([1.0, 0.9, 0.95, 0.6]), features, 4).tolist() == [0, 2, 1, 3]


def test_the_scale_of_relevance_does_not_matter_and_zero_is_allowed():
    features = np.array([[0.0], [1.0], [5.0]])
    relevance = np.array([0.2, 0.3, 0.1])
    assert mrmr(relevance, features, 3).tolist() == mrmr(7 * relevance, features, 3).tolist()
    assert sorted(mrmr(np.zeros(3), features, 9).tolist()) == [0, 1, 2]
    assert mrmr(relevance, features, 0).tolist() == []


def test_rows_that_are_not_finite_are_never_chosen_and_spoil_no_choice():
    features = np.array([[np.nan], [0.0], [0.0], [np.inf], [3.0]])
    relevance = np.array([2.0, 1.0, 0.9, 2.0, 0.6])
    assert mrmr(relevance, features, 2).tolist() == [1, 4]
    assert len(mrmr(relevance, features, 9)) == 3

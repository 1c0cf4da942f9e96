"""Frames with atoms in surroundings that no labelled frame has."""

import numpy as np
import pytest

from sis_engine.analysis.surroundings import most_unlike

SPECIES = ("Li", "H", "H", "H")


def frames_of(n, seed, spread=0.1):
    """(n, 4, 5): every element around a centre of its own."""
    rng = np.random.default_rng(seed)
    centres = np.array([[1.0, 0, 0, 0, 2.0], *[[0, 1.0, 0, 3.0, 0]] * 3])
    return centres + spread * rng.standard_normal((n, 4, 5))


def test_one_odd_atom_among_many_is_found_where_a_mean_would_hide_it():
    known, pool = frames_of(50, 1), frames_of(20, 2)
    pool[7, 2] += [0.0, 0.0, 1.5, 0.0, 0.0]
    hidden = pool.copy()
    hidden[11] += 0.12  # every atom a little: the mean is farther, no atom is odd
    assert most_unlike(hidden, known, SPECIES, 1) == (7,)


def test_what_a_chosen_frame_shows_is_not_chosen_again():
    known, pool = frames_of(50, 1), frames_of(20, 2, spread=0.05)
    pool[3, 1] += [0.0, 0.0, 2.0, 0.0, 0.0]
    pool[4] = pool[3] + 1e-3  # its neighbour in time
    pool[9, 0] += [0.0, 1.2, 0.0, 0.0, 0.0]
    first, second = most_unlike(pool, known, SPECIES, 2)
    assert first in {3, 4}
    assert second == 9


def test_what_is_known_or_chosen_already_is_not_asked_for():
    known, pool = frames_of(50, 1), frames_of(20, 2)
    pool[5, 2] += [0.0, 0.0, 1.5, 0.0, 0.0]
    pool[6, 3] = pool[5, 2]  # the same, on another atom of the element
    assert most_unlike(pool, known, SPECIES, 1, besides=(5,))[0] not in {5, 6}
    assert most_unlike(pool, pool, SPECIES, 5) == ()
    assert most_unlike(known[:3], np.concatenate([known, known]), SPECIES, 3) == ()


def test_elements_are_not_taken_for_each_other():
    known, pool = frames_of(50, 1), frames_of(20, 2)
    pool[8, 0] = known[0, 1]  # a lithium like hydrogens are
    assert most_unlike(pool, known, SPECIES, 1) == (8,)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_unit_of_a_descriptor_does_not_matter(scale):
    known, pool = frames_of(50, 1), frames_of(30, 2)
    plain = most_unlike(pool, known, SPECIES, 6)
    assert most_unlike(scale * pool, scale * known, SPECIES, 6) == plain
    assert len(set(plain)) == 6


def test_an_element_on_a_larger_scale_does_not_drown_the_others():
    known, pool = frames_of(200, 1), frames_of(30, 2)
    pool[4, 0] += [0.0, 1.0, 0.0, 0.0, 0.0]
    for part in (known, pool):
        part[:, 1:] *= 1000.0
    assert most_unlike(pool, known, SPECIES, 1) == (4,)


def test_without_labelled_frames_the_first_is_taken_first():
    pool = frames_of(10, 2)
    chosen = most_unlike(pool, None, SPECIES, 4)
    assert chosen[0] == 0
    assert len(set(chosen)) == 4
    assert most_unlike(pool, pool[:0], SPECIES, 4) == chosen
    assert len(most_unlike(pool, None, SPECIES, 99)) == 10


def test_blocks_change_nothing(monkeypatch):
    known, pool = frames_of(40, 1), frames_of(30, 2)
    whole = most_unlike(pool, known, SPECIES, 8)
    monkeypatch.setattr("sis_engine.analysis.surroundings.BLOCK", 7)
    assert most_unlike(pool, known, SPECIES, 8) == whole


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_frames_that_are_not_finite_are_never_chosen_and_spoil_no_choice(value):
    """Frames after a blow-up: what is left is chosen as if they were not there."""
    known, pool = frames_of(50, 1), frames_of(30, 2)
    sound = [k for k in range(30) if k not in {0, 7, 8}]
    for with_known in (known, None):
        want = [sound[k] for k in most_unlike(pool[sound], with_known, SPECIES, 6)]
        broken = pool.copy()
        broken[[0, 7, 8], 2, 1] = value
        assert list(most_unlike(broken, with_known, SPECIES, 6)) == want
        assert most_unlike(broken, with_known, SPECIES, 99, besides=(8, 9)) == most_unlike(
            broken, with_known, SPECIES, 99, besides=(9,)
        )
    torn = np.concatenate([known, np.full((1, 4, 5), value)])
    assert most_unlike(pool, torn, SPECIES, 6) == most_unlike(pool, known, SPECIES, 6)
    assert most_unlike(np.full((3, 4, 5), value), known, SPECIES, 2) == ()

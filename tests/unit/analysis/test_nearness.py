"""Is a frame, or nearly the same one, in a data set?"""

import numpy as np
import pytest

from sis_engine.analysis.nearness import is_near
from sis_engine.records import Frame, FrameSet

CELL = np.diag([8.0, 9.0, 10.0])
N_ATOMS = 12


def positions(seed=1, n_frames=5):
    return np.random.default_rng(seed).uniform(0.0, 8.0, (n_frames, N_ATOMS, 3))


def frame_set(where, pbc=(False, False, False)):
    n = len(where)
    cells = np.tile(CELL, (n, 1, 1)) if any(pbc) else None
    zeros = np.zeros_like(where)
    return FrameSet("s", ("Ar",) * N_ATOMS, pbc, where, cells, np.zeros(n), zeros)


def frame(where, pbc=(False, False, False)):
    return Frame(("Ar",) * N_ATOMS, where, CELL if any(pbc) else None, pbc)


def test_the_very_frame_is_found_and_another_is_not():
    where = positions()
    assert is_near(frame(where[3]), frame_set(where), 0.0)
    assert not is_near(frame(where[3]), frame_set(positions(seed=2)), 0.5)


def test_the_distance_is_the_rms_displacement_of_the_atoms():
    where = positions()
    moved = where[3].copy()
    moved[-1, 2] += 0.1 * np.sqrt(N_ATOMS)  # one atom carries it all: RMS 0.1 Å
    assert is_near(frame(moved), frame_set(where), 0.101)
    assert not is_near(frame(moved), frame_set(where), 0.099)


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False)])
def test_images_count_along_periodic_directions_only(pbc):
    where = positions()
    for axis in range(3):
        wrapped = where[3] + CELL[axis]
        assert is_near(frame(wrapped, pbc), frame_set(where, pbc), 0.01) is pbc[axis]


def test_other_atoms_or_no_frames_are_never_near():
    where = positions()
    other = Frame(("Ne", *("Ar",) * (N_ATOMS - 1)), where[0])
    assert not is_near(other, frame_set(where), 10.0)
    assert not is_near(frame(where[0]), frame_set(where[:0]), 10.0)

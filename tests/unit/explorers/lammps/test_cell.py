import numpy as np
import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.explorers.lammps.cell import box_bounds, box_of
from sis_engine.records import Frame

PERIODIC = (True, True, True)
TILTED = np.array([[3.0, 1.0, -0.5], [0.2, 4.0, 1.0], [-1.0, 0.3, 5.0]])


def test_a_tilted_cell_keeps_its_metric_and_comes_back():
    positions = np.random.default_rng(0).normal(0, 9, (7, 3))
    box = box_of(Frame(("Li",) * 7, positions, TILTED, PERIODIC))
    assert np.allclose(box.lower[np.triu_indices(3, 1)], 0.0)
    assert np.allclose(box.lower @ box.lower.T, TILTED @ TILTED.T)
    assert np.allclose(box.from_lammps(box.lower), TILTED)
    assert np.allclose(box.from_lammps(box.to_lammps(positions)), positions)
    # fractional coordinates are the same in both
    assert np.allclose(
        box.to_lammps(positions) @ np.linalg.inv(box.lower), positions @ np.linalg.inv(TILTED)
    )


def test_a_left_handed_cell_is_mirrored_to_a_right_handed_one():
    cell = TILTED[[1, 0, 2]]
    assert np.linalg.det(cell) < 0
    box = box_of(Frame(("Li",), [[0, 0, 0]], cell, PERIODIC))
    assert np.linalg.det(box.lower) > 0
    assert np.allclose(box.from_lammps(box.lower), cell)


def test_a_cell_that_lammps_likes_is_not_touched():
    cell = np.array([[3.0, 0, 0], [1.0, 4.0, 0], [0.1, -0.7, 5.0]])
    box = box_of(Frame(("Li",), [[0, 0, 0]], cell, PERIODIC))
    assert np.array_equal(box.lower, cell)
    assert np.array_equal(box.rotation, np.eye(3))
    assert box.is_skewed


def test_a_slab_holds_all_its_atoms():
    cell = np.diag([5.0, 6.0, 7.0])
    frame = Frame(("Li", "Li"), [[1, 1, -9.0], [1, 1, 30.0]], cell, (True, True, False))
    bounds = box_bounds(frame, box_of(frame))
    assert np.allclose(bounds[:2], [[0, 5], [0, 6]])
    assert bounds[2, 0] < -9.0
    assert bounds[2, 1] > 30.0


def test_a_flat_cell_and_a_tilt_without_period_are_refused():
    flat = np.array([[1.0, 0, 0], [2.0, 0, 0], [0, 1.0, 1.0]])
    with pytest.raises(ConfigurationError, match="no volume"):
        box_of(Frame(("Li",), [[0, 0, 0]], flat, PERIODIC))
    with pytest.raises(ConfigurationError, match="not periodic"):
        box_of(Frame(("Li",), [[0, 0, 0]], TILTED, (True, True, False)))

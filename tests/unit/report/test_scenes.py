import numpy as np

from sis_engine.report.scenes import MOST_FRAMES, principal_axes, scenes
from tests.unit.report import synthetic


def test_each_catastrophe_has_a_scene_that_ends_at_its_verdict():
    found = scenes(synthetic.records())
    assert len(found) == 4
    first = found[0]
    assert first.frames[-1].time_fs == 80.0
    assert first.guilty == (11, synthetic.HYDROGEN)
    assert len(first.frames) <= MOST_FRAMES
    assert len(first.frames[0].positions) == 3 * len(first.species)


def test_a_frame_of_numbers_that_are_not_is_left_out():
    for scene in scenes(synthetic.records()):
        for frame in scene.frames:
            assert np.isfinite(frame.positions).all()


def test_distances_are_those_of_the_md_frame():
    scene = scenes(synthetic.records())[0]
    run = synthetic.records()[0].explorations[0]
    expected = run.frames[-1].frame.positions
    drawn = np.array(scene.frames[-1].positions).reshape(-1, 3)
    assert np.allclose(drawn - drawn[0], expected - expected[0], atol=0.011)


def test_survivors_have_no_scene():
    assert scenes(synthetic.records()[2:]) == ()


def test_the_first_view_is_along_the_shortest_axis_and_right_handed():
    flat = np.random.default_rng(1).normal(size=(50, 3)) * [1.0, 8.0, 4.0]
    turn = np.array(principal_axes(flat)).reshape(3, 3)
    assert np.linalg.det(turn) > 0.99
    assert abs(turn[0, 1]) > 0.95
    assert abs(turn[2, 0]) > 0.95

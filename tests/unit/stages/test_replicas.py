"""Where replicas begin."""

from types import SimpleNamespace

import numpy as np

from sis_engine.records import Condition, DatasetPart, Ensemble, Frame, FrameSet, Split, System
from sis_engine.stages.replicas import plan_replicas

ARGON = ("Ar", "Ar")
SYSTEM = System("s", Frame(ARGON, np.full((2, 3), -1.0)))
CONDITION = Condition("c", Ensemble.NVT, temperature_k=300.0, timestep_fs=1.0, duration_ps=1.0)
JUST_THERMAL, TOO_HOT = 0.210, 0.214
"""eV: two atoms at 300 K have (3 + 3 sqrt(3)) kT = 0.2119 at the ceiling."""


def part(first_x, energies, *, reference_md, split=Split.TRAINING, system="s"):
    """Frames that tell where they are from: the first atom's x counts up from ``first_x``."""
    n = len(energies)
    positions = np.zeros((n, 2, 3))
    positions[:, 0, 0] = first_x + np.arange(n)
    frames = FrameSet(
        system, ARGON, (False,) * 3, positions, None, np.array(energies), np.zeros((n, 2, 3))
    )
    return DatasetPart(str(first_x), split, 0, frames, reference_md=reference_md)


def starts(rule, data, replicas=200):
    """Where all replicas begin but the first, which has the system's own start."""
    config = SimpleNamespace(explore=SimpleNamespace(starts=rule, replicas=replicas))
    stage = SimpleNamespace(
        parts=SimpleNamespace(config=config), generation=0, seed=lambda *key: key[-1]
    )
    planned = plan_replicas(stage, SYSTEM, CONDITION, data)
    assert planned[0].start is SYSTEM.frame
    return [float(item.start.positions[0, 0]) for item in planned[1:]]


SEGMENT = part(0, [0.0, 0.01, 0.02, 5.0], reference_md=True)
POINTS = part(10, [JUST_THERMAL, TOO_HOT], reference_md=False)


def test_labelled_starts_are_of_reference_md_without_its_hot_frames():
    assert set(starts("labelled", [SEGMENT, POINTS])) == {0.0, 1.0, 2.0}


def test_single_points_that_temperature_reaches_are_starts_if_so_configured():
    assert set(starts("labelled-points", [SEGMENT, POINTS])) == {0.0, 1.0, 2.0, 10.0}


def test_every_set_is_drawn_alike_however_many_frames_it_has():
    drawn = starts("labelled-points", [SEGMENT, POINTS], replicas=2000)
    assert 0.45 < np.mean([x == 10.0 for x in drawn]) < 0.55


def test_only_single_points_are_better_than_nothing():
    for rule in ("labelled", "labelled-points"):
        assert set(starts(rule, [POINTS])) == {10.0, 11.0}


def test_validation_frames_and_other_systems_are_no_starts():
    data = [
        SEGMENT,
        part(20, [0.0], reference_md=True, split=Split.VALIDATION),
        part(30, [0.0], reference_md=False, system="other"),
    ]
    assert set(starts("labelled-points", data)) == {0.0, 1.0, 2.0}


def test_the_structure_alone_or_no_data_leaves_the_systems_own_start():
    assert set(starts("structure", [SEGMENT])) == {-1.0}
    assert set(starts("labelled", [])) == {-1.0}

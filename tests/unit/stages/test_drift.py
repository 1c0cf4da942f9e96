"""DRIFT: MD of a sampler's own force field between two labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sis_engine.interfaces import Context, LabelTask
from sis_engine.records import (
    Drifted,
    DriftRequest,
    Failure,
    Frame,
    LabelFailure,
    Labelled,
    SegmentSpec,
    Start,
    System,
)
from sis_engine.stages.drift import drift
from sis_engine.stages.kept import Kept
from sis_engine.testing.fakes import FakeLabeler

GRID = 2.5 * np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
CUBE = System("cube", Frame(("Ar",) * 8, GRID))
SPEC = SegmentSpec(n_steps=101, timestep_fs=2.0, temperature_k=100.0, seed=4)


class Breaking(FakeLabeler):
    """No label from the k-th on."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        for result in super().label(task, context):
            if self.n_evaluations <= self.k:
                yield result
            else:
                why = "it lost an atom"
                yield LabelFailure(result.frame, result.level, result.origin, Failure.PROGRAM, why)


def _drift(folder: Path, field: FakeLabeler, backoff_fs: float = 20.0) -> Drifted:
    stage = SimpleNamespace(
        generation=3,
        parts=SimpleNamespace(system=lambda _: CUBE),
        kept=lambda name, kind: Kept(folder / name, kind, lambda *_: None),
    )
    request = DriftRequest((("cube", Start(CUBE.frame), SPEC),), "to move on", backoff_fs)
    (found,) = drift(stage, request, field, Context(folder))
    return found


def test_it_ends_so_far_on_with_the_velocities_it_has_there(tmp_path):
    found = _drift(tmp_path, FakeLabeler())
    assert (found.system, found.md_ps, found.message) == ("cube", pytest.approx(0.2), "")
    assert found.start.time_fs == pytest.approx(200.0)
    moved = np.abs(found.start.frame.positions - GRID).max()
    assert 0.05 < moved < 2.0
    assert np.abs(found.start.velocities).max() > 0.0


def test_where_it_broke_off_the_structure_so_long_before_is_taken(tmp_path):
    whole = _drift(tmp_path / "whole", FakeLabeler())
    found = _drift(tmp_path / "broken", Breaking(51), backoff_fs=20.0)
    # The last good frame is that of step 50 at 100 fs; twenty femtoseconds before are ten steps.
    assert found.start.time_fs == pytest.approx(80.0)
    assert found.md_ps == pytest.approx(0.08)
    assert "broke off at step 51 of 101: it lost an atom" in found.message
    assert whole.start.frame.key != found.start.frame.key


def test_what_broke_off_at_once_stays_where_it_was(tmp_path):
    found = _drift(tmp_path, Breaking(0))
    assert found.start.frame.key == CUBE.frame.key
    assert found.md_ps == 0.0
    assert "step 0" in found.message


def test_a_drift_that_was_finished_is_found_again_and_not_by_another_field(tmp_path):
    first = _drift(tmp_path, FakeLabeler())
    again = FakeLabeler()
    found = _drift(tmp_path, again)
    assert again.n_evaluations == 0
    assert found.start.frame.key == first.start.frame.key
    assert found.start.velocities == pytest.approx(first.start.velocities)
    other = FakeLabeler(FakeLabeler.Config(depth_ev=0.2))
    assert _drift(tmp_path, other).start.frame.key != first.start.frame.key
    assert other.n_evaluations == SPEC.n_steps

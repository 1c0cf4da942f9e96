"""INSPECT: what the models at hand say of frames."""

from types import SimpleNamespace

import numpy as np
import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Context
from sis_engine.records import (
    Committee,
    DatasetPart,
    Frame,
    InspectRequest,
    MdFrame,
    ModelForm,
    Split,
    UnlikeFrames,
)
from sis_engine.stages.frames import frames_of
from sis_engine.stages.inspect import inspect
from sis_engine.testing.fakes import FakeTrainer, Morse, write_model

GRID = 2.5 * np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
SPECIES = ("Ar",) * 8


def shaken(n, seed):
    """Frames that differ by little."""
    moved = GRID + 0.02 * np.random.default_rng(seed).standard_normal((n, 8, 3))
    return [Frame(SPECIES, positions) for positions in moved]


def asked(tmp_path, request, *, trainer=None):
    stage = SimpleNamespace(
        parts=SimpleNamespace(
            trainer=trainer or FakeTrainer(), config=SimpleNamespace(trainer={"type": "fake"})
        )
    )
    model = write_model(Morse(0.3, 1.5, 2.5, 0.0, 0.0), ("Ar",), tmp_path, ModelForm.FROZEN)
    known = DatasetPart("g0", Split.TRAINING, 0, frames_of("cube", shaken(30, 1)))
    held_out = DatasetPart("v0", Split.VALIDATION, 0, frames_of("cube", [bent()]))
    return inspect(stage, request, Committee(model), (known, held_out), Context(tmp_path))


def bent():
    """One atom is far out of its place."""
    positions = GRID.copy()
    positions[5] += [0.0, 0.9, 0.0]
    return Frame(SPECIES, positions)


def pool():
    return tuple(MdFrame(frame, float(k)) for k, frame in enumerate([*shaken(6, 2), bent()]))


def test_the_frame_with_an_atom_out_of_place_is_the_most_unlike(tmp_path):
    request = InspectRequest(
        (("cube", pool()), ("other", ())),
        "why",
        descriptors=False,
        n_known=100,
        unlike=(UnlikeFrames("cube", 2), UnlikeFrames("other", 2)),
    )
    (seen,) = asked(tmp_path, request)
    assert seen.system == "cube"
    assert seen.unlike[0] == 6
    assert len(seen.unlike) == 2
    assert seen.descriptors is None
    assert seen.known is None


def test_rows_that_are_chosen_already_are_not_chosen_again(tmp_path):
    request = InspectRequest(
        (("cube", pool()),),
        "why",
        descriptors=False,
        n_known=100,
        unlike=(UnlikeFrames("cube", 9, (6,)),),
    )
    (seen,) = asked(tmp_path, request)
    assert sorted(seen.unlike) == [0, 1, 2, 3, 4, 5]


def test_means_of_frames_and_of_labelled_frames_are_told_if_asked_for(tmp_path):
    (seen,) = asked(tmp_path, InspectRequest((("cube", pool()),), "why", n_known=10))
    assert seen.descriptors.shape == (7, 4)
    assert seen.known.shape == (10, 4)
    assert seen.unlike is None
    (seen,) = asked(tmp_path, InspectRequest((("cube", pool()),), "why"))
    assert seen.known is None


def test_a_trainer_that_cannot_describe_is_named(tmp_path):
    class Mute:
        pass

    with pytest.raises(ConfigurationError, match="does not describe"):
        asked(tmp_path, InspectRequest((("cube", pool()),), "why"), trainer=Mute())

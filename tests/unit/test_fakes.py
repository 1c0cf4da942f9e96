"""The shipped fakes behave as what they stand for: data cure the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from sis_engine.errors import ModelRefused, TrainingDiverged
from sis_engine.interfaces import Context, Segment
from sis_engine.records import (
    Dataset,
    DatasetPart,
    Frame,
    FrameSet,
    ModelForm,
    Origin,
    Purpose,
    SegmentSpec,
    Split,
    Start,
    System,
    TrainingSchedule,
)
from sis_engine.reference_md import ReferenceMD
from sis_engine.testing.fakes import FakeLabeler, FakeTrainer, FakeTrainerConfig
from sis_engine.testing.morse import shortest_distance

SCHEDULE = TrainingSchedule(1000, 1e-3, 1e-5, (0.1, 1.0), (1000.0, 1.0))


def _segment(temperature_k: float, n_steps: int, seed: int = 1) -> FrameSet:
    grid = 2.6 * np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
    system = System("cube", Frame(("Ar",) * 8, grid))
    spec = SegmentSpec(n_steps, 4.0, temperature_k, seed=seed)
    origin = Origin(Purpose.INITIAL, 0, "cube", "p", 0)
    task = Segment(system, Start(system.frame), spec, origin)
    results = list(ReferenceMD(FakeLabeler()).label(task, Context(Path())))
    return FrameSet(
        "cube",
        system.frame.species,
        (False, False, False),
        np.array([r.frame.positions for r in results]),
        None,
        np.array([r.label.energy for r in results]),
        np.array([r.label.forces for r in results]),
    )


def _dataset(*sets: FrameSet) -> Dataset:
    parts = (
        DatasetPart(f"part-{index}", Split.TRAINING, index, frames)
        for index, frames in enumerate(sets)
    )
    return Dataset(tuple(parts))


def test_more_data_make_a_better_model_that_claims_its_true_errors(tmp_path: Path) -> None:
    few, many = _segment(100.0, 10), _segment(100.0, 300)
    errors = []
    for index, frames in enumerate((few, many)):
        folder = tmp_path / str(index)
        folder.mkdir()
        result = FakeTrainer().train(_dataset(frames), None, SCHEDULE, Context(folder))
        said = FakeTrainer().predict(result.model, ModelForm.FROZEN, many, Context(folder))
        errors.append(float(np.sqrt(((said.forces - many.forces) ** 2).mean())))
        own = FakeTrainer().predict(result.model, ModelForm.EAGER, frames, Context(folder))
        rmse = float(np.sqrt(((own.forces - frames.forces) ** 2).mean()))
        assert result.claimed_force_rmse == pytest.approx(rmse)
        assert result.curve.force_rmse_training[-1] == pytest.approx(rmse, rel=0.1)
    assert errors[1] < 0.5 * errors[0]


def test_the_hole_lies_just_below_the_shortest_distance_in_the_data(tmp_path: Path) -> None:
    cold, hot = _segment(50.0, 60), _segment(900.0, 60)
    first = FakeTrainer().train(_dataset(cold), None, SCHEDULE, Context(tmp_path))
    shortest = min(
        shortest_distance(Frame(cold.species, positions), 7.0) for positions in cold.positions
    )
    calculator = FakeTrainer().calculator(first.model)
    assert calculator.morse.hole_angstrom == pytest.approx(shortest - 0.05)
    second = FakeTrainer().train(_dataset(cold, hot), None, SCHEDULE, Context(tmp_path))
    cured = FakeTrainer().calculator(second.model)
    assert cured.morse.hole_angstrom < calculator.morse.hole_angstrom
    forgets = FakeTrainer(FakeTrainerConfig(forgets=True))
    third = forgets.train(_dataset(hot, cold), None, SCHEDULE, Context(tmp_path))
    assert forgets.calculator(third.model).morse.hole_angstrom == pytest.approx(
        calculator.morse.hole_angstrom
    )


def test_atoms_that_enter_the_hole_are_heated(tmp_path: Path) -> None:
    """A catastrophe: below the data the model pulls where the reference pushes."""
    result = FakeTrainer().train(_dataset(_segment(50.0, 60)), None, SCHEDULE, Context(tmp_path))
    calculator = FakeTrainer().calculator(result.model)
    depth = calculator.morse.hole_angstrom - 0.3
    atoms = Atoms("Ar2", [[0, 0, 0], [depth, 0, 0]], calculator=calculator)
    assert atoms.get_forces()[1, 0] < -5.0


def test_the_calculator_and_predict_agree(tmp_path: Path) -> None:
    frames = _segment(100.0, 5)
    result = FakeTrainer().train(_dataset(frames), None, SCHEDULE, Context(tmp_path))
    said = FakeTrainer().predict(result.model, ModelForm.FROZEN, frames, Context(tmp_path))
    atoms = Atoms("Ar8", frames.positions[3], calculator=FakeTrainer().calculator(result.model))
    assert atoms.get_potential_energy() == pytest.approx(said.energies[3], abs=1e-12)
    assert atoms.get_forces() == pytest.approx(said.forces[3], abs=1e-12)


def test_a_model_file_that_was_changed_is_not_loaded(tmp_path: Path) -> None:
    result = FakeTrainer().train(_dataset(_segment(100.0, 5)), None, SCHEDULE, Context(tmp_path))
    result.model.deployed_file.path.write_text("{}")
    with pytest.raises(ModelRefused, match="SHA-256"):
        FakeTrainer().calculator(result.model)


def test_faults_can_be_planted(tmp_path: Path) -> None:
    data = _dataset(_segment(100.0, 5))
    with pytest.raises(TrainingDiverged):
        FakeTrainer(FakeTrainerConfig(diverges=True)).train(data, None, SCHEDULE, Context(tmp_path))
    empty = Dataset(tuple(replace(part, split=Split.VALIDATION) for part in data.parts))
    with pytest.raises(TrainingDiverged, match="no training data"):
        FakeTrainer().train(empty, None, SCHEDULE, Context(tmp_path))


def test_an_existing_model_is_adopted(tmp_path: Path) -> None:
    result = FakeTrainer().train(_dataset(_segment(100.0, 5)), None, SCHEDULE, Context(tmp_path))
    folder = tmp_path / "again"
    folder.mkdir()
    adopted = FakeTrainer().adopt(result.model.deployed_file.path, ("Ar",), Context(folder))
    assert adopted.id == result.model.id
    assert adopted.deployed_file.path.parent == folder

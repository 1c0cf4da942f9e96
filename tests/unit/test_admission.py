"""Admission with the fake trainer, and its judgements alone."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from sis_engine import admission
from sis_engine.admission import AdmissionLimits, Tolerance, admit
from sis_engine.interfaces import Context
from sis_engine.records import (
    BlockErrors,
    Dataset,
    Errors,
    Prediction,
    Split,
    TrainingSchedule,
)
from sis_engine.testing.fakes import FakeTrainer
from sis_engine.testing.trainer_contract import example_dataset

SCHEDULE = TrainingSchedule(10, 1e-3, 1e-4, (0.02, 1.0), (1000.0, 1.0))
LIMITS = AdmissionLimits(frames_per_system=2)


class Echo:
    """An explorer whose engine says what the trainer says, plus ``error`` (eV/Å, and eV)."""

    def __init__(self, trainer, error=0.0):
        self.trainer, self.error = trainer, error

    def predict(self, model, frames, context, calculator=None):
        said = self.trainer.predict(model, model.deployed, frames, context)
        return Prediction(said.energies + self.error, said.forces + self.error)


def test_a_model_whose_engine_agrees_is_admitted(tmp_path):
    trainer, dataset = FakeTrainer(), example_dataset(n_frames=10)
    context = Context(tmp_path)
    result = trainer.train(dataset, None, SCHEDULE, context)
    verdict = admit(trainer, Echo(trainer), result, None, dataset, LIMITS, context)
    assert verdict.passed, verdict.reasons
    assert verdict.training.n_frames == dataset.n_frames(Split.TRAINING)
    assert {block.part for block in verdict.blocks} == {"solid-validation", "cluster-validation"}
    assert verdict.comparisons[-1].n_frames == 4


@pytest.mark.parametrize("error", [0.5, np.nan])
def test_a_model_whose_engine_disagrees_is_refused_with_the_figures(error, tmp_path):
    trainer, dataset = FakeTrainer(), example_dataset(n_frames=10)
    context = Context(tmp_path)
    result = trainer.train(dataset, None, SCHEDULE, context)
    verdict = admit(trainer, Echo(trainer, error), result, None, dataset, LIMITS, context)
    assert not verdict.passed
    assert f"engine is not eager: forces differ by up to {error:.3g}" in verdict.reasons[0]


def test_claims_that_the_deployed_model_does_not_hold_are_refused(tmp_path):
    trainer, dataset = FakeTrainer(), example_dataset(n_frames=10)
    context = Context(tmp_path)
    result = trainer.train(dataset, None, SCHEDULE, context)
    boast = replace(result, claimed_force_rmse=0.0, claimed_energy_rmse_per_atom=0.0)
    strict = AdmissionLimits(claim_force_floor=1e-9, claim_energy_floor=1e-9)
    verdict = admit(trainer, Echo(trainer), boast, None, dataset, strict, context)
    assert any("training claimed 0" in reason for reason in verdict.reasons)


def errors(force):
    return Errors(10, force, 1.0, force, 0.001)


@pytest.mark.parametrize(
    ("before", "after", "generation", "refused"),
    [
        (0.1, 0.2, 0, True),
        (0.1, 0.14, 0, False),  # within the ratio
        (0.01, 0.05, 0, False),  # within the floor
        (0.1, 0.2, 3, False),  # the newest block is not guarded
        (0.1, np.nan, 0, True),
    ],
)
def test_only_old_blocks_that_became_clearly_worse_are_forgotten(
    before, after, generation, refused
):
    newest = BlockErrors("new", 3, None, errors(0.1))
    block = BlockErrors("old", generation, errors(before), errors(after))
    assert bool(admission.forgotten((block, newest), LIMITS, newest=newest.generation)) is refused


def test_the_last_block_is_guarded_when_the_new_data_brought_no_block_of_their_own():
    block = BlockErrors("old", 2, errors(0.1), errors(2.0))
    assert admission.forgotten((block,), LIMITS, newest=3)
    assert not admission.forgotten((block,), LIMITS, newest=2)


def test_the_previous_model_is_asked_about_blocks_it_can_judge(tmp_path):
    trainer, dataset = FakeTrainer(), example_dataset(n_frames=10)
    context = Context(tmp_path)
    first = trainer.train(dataset, None, SCHEDULE, context)
    verdict = admit(trainer, Echo(trainer), first, first.model, dataset, LIMITS, context)
    assert all(block.before == block.after for block in verdict.blocks)
    poorer = replace(first.model, elements=("H",))
    verdict = admit(trainer, Echo(trainer), first, poorer, dataset, LIMITS, context)
    assert all(block.before is None for block in verdict.blocks)


def test_comparison_takes_the_largest_difference_of_all_frames():
    one = Prediction(np.zeros(2), np.zeros((2, 2, 3)))
    forces = np.zeros((2, 2, 3))
    forces[1, 1, 2] = -0.3
    other = Prediction(np.array([0.0, 0.4]), forces)
    found = admission.compare(
        ("a", [one]), ("b", [other]), Tolerance(force=0.1, energy_per_atom=0.3)
    )
    assert found.max_force == pytest.approx(0.3)
    assert found.max_energy_per_atom == pytest.approx(0.2)
    assert not found.passed


def test_spread_frames_come_from_every_system():
    dataset = example_dataset(n_frames=10)
    sets = admission.spread_frames(dataset, 3)
    assert [item.n_frames for item in sets] == [3, 3]
    np.testing.assert_array_equal(sets[0].positions[0], dataset.parts[0].frames.positions[0])
    assert admission.spread_frames(Dataset(()), 3) == ()


def test_an_absolute_limit_is_kept_where_given():
    assert admission.absurd(errors(0.5), AdmissionLimits(max_force_rmse=0.4))
    assert not admission.absurd(errors(0.5), LIMITS)


def test_unknown_limits_are_refused():
    with pytest.raises(ValidationError, match="frame_per_system"):
        AdmissionLimits(frame_per_system=3)

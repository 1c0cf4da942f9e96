"""DeePMD-kit and LAMMPS for real, small: every descriptor trains, deploys and is admitted."""

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.admission import AdmissionLimits, admit
from sis_engine.errors import ConfigurationError, ProgramFailed, StopRequested, TrainingDiverged
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.explorer import LammpsExplorer
from sis_engine.interfaces import Context
from sis_engine.records import Dataset, DatasetPart, ModelForm, Split, TrainingSchedule
from sis_engine.testing import trainer_contract as contract
from tests.external.conftest import require_module, require_program
from trainers.deepmd.config import DeepmdConfig
from trainers.deepmd.trainer import DeepmdTrainer

pytestmark = [pytest.mark.external, pytest.mark.slow]

SCHEDULE = TrainingSchedule(30, 2e-3, 1e-4, (0.02, 1.0), (1000.0, 1.0), (0.01, 0.1), seed=3)
SMALL = {
    "fitting": {"neuron": (16, 16)},
    "optimizer": {"type": "adam"},
    "cutoff_angstrom": 4.0,
    "sel_margin": 1.2,
    "device": "cpu",
    "threads": 1,
    "divergence_ratio": 100.0,  # 30 steps from random weights are no training yet
}
DESCRIPTORS = {
    "dpa1": {"type": "dpa1", "neuron": (4, 8), "axis_neuron": 4},
    "se_e2_a": {"type": "se_e2_a", "neuron": (4, 8), "axis_neuron": 4},
    "se_e3": {"type": "se_e3", "neuron": (2, 4)},
}


@pytest.fixture(scope="module")
def trainers():
    """A trainer of any configuration, all in one worker process."""
    require_module("deepmd")
    require_program("lmp")
    made = []

    def make(**changes):
        trainer = DeepmdTrainer(DeepmdConfig(**{**SMALL, **changes}))
        if made:
            trainer.share_worker(made[0])
        made.append(trainer)
        return trainer

    yield make
    for trainer in made:
        trainer.close()


@pytest.fixture(scope="module")
def dataset():
    return contract.example_dataset()


def _admitted(trainer, dataset, result, tmp_path, limits=None):
    folder = tmp_path / "admission"
    folder.mkdir()
    return admit(
        trainer,
        LammpsExplorer(LammpsConfig()),
        result,
        None,
        dataset,
        limits or AdmissionLimits(frames_per_system=3),
        Context(folder, 1),
    )


def test_the_trainer_keeps_the_contract(trainers, dataset, tmp_path):
    trainer = trainers(descriptor=DESCRIPTORS["dpa1"])
    contract.check_trainer(contract.TrainerCase(trainer, SCHEDULE, dataset, tmp_path))


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_every_descriptor_is_deployed_through_lammps_as_it_was_trained(
    name, trainers, dataset, tmp_path
):
    trainer = trainers(descriptor=DESCRIPTORS[name])
    result = trainer.train(dataset, None, SCHEDULE, Context(tmp_path, 1))
    admission = _admitted(trainer, dataset, result, tmp_path)
    assert admission.passed, admission.reasons
    assert {item.candidate for item in admission.comparisons} == {"frozen", "compressed", "engine"}


@pytest.mark.parametrize("zero", [False, True])
def test_a_dpa1_model_whose_padded_neighbours_speak_is_refused(zero, trainers, dataset, tmp_path):
    """Trained is not deployed: pt-expt trains on an edge list, the exported file pads it."""
    shape = {**DESCRIPTORS["dpa1"], "set_davg_zero": zero}
    trainer = trainers(descriptor=shape, backend="pt-expt")
    result = trainer.train(dataset, None, SCHEDULE, Context(tmp_path, 1))
    admission = _admitted(trainer, dataset, result, tmp_path)
    frozen = next(item for item in admission.comparisons if item.candidate == "frozen")
    assert admission.passed is zero, admission.reasons
    assert frozen.passed is zero
    if not zero:
        assert frozen.max_force > 10.0 * frozen.force_limit
        assert any("frozen is not eager" in reason for reason in admission.reasons)


def test_the_kalman_filter_with_polish_learns_and_is_reproducible(trainers, dataset, tmp_path):
    import torch

    chosen = {"type": "lkf", "steps_ratio": 1.0, "polish_steps": 20}
    trainer = trainers(descriptor=DESCRIPTORS["dpa1"], optimizer=chosen)
    results = [trainer.train(dataset, None, SCHEDULE, Context(tmp_path, 1)) for _ in range(2)]
    assert results[0].model.id == results[1].model.id
    assert results[0].curve.step[-1] == SCHEDULE.steps + 20
    assert results[0].claimed_force_rmse < results[0].curve.force_rmse_training[0]
    kept = torch.load(results[0].model.file(ModelForm.EAGER).path, weights_only=True)
    assert kept["optimizer"] == {}  # not the covariance, which no training goes on from


def test_masked_atoms_leave_the_loss_and_do_not_leave_the_frame(trainers, dataset, tmp_path):
    parts = [_masked(part) for part in dataset.parts]
    trainer = trainers(descriptor=DESCRIPTORS["dpa1"])
    result = trainer.train(Dataset(tuple(parts)), None, SCHEDULE, Context(tmp_path, 1))
    assert np.isfinite(result.curve.force_rmse_training).all()
    # absurd forces on the masked atoms have not been learnt from
    assert result.claimed_force_rmse < 5.0


def _masked(part: DatasetPart) -> DatasetPart:
    mask = np.ones(part.frames.n_atoms)
    mask[0] = 0.0
    forces = part.frames.forces.copy()
    forces[:, 0] = 100.0
    return replace(part, frames=replace(part.frames, forces=forces, force_mask=mask))


def test_zbl_repels_at_short_range(trainers, dataset, tmp_path):
    trainer = trainers(descriptor=DESCRIPTORS["dpa1"], zbl={})
    result = trainer.train(dataset, None, SCHEDULE, Context(tmp_path, 1))
    frame = contract.one(dataset.of(Split.VALIDATION)[-1].frames, 0)
    positions = frame.positions.copy()
    positions[0, 1] = positions[0, 0] + np.array([0.3, 0.0, 0.0])
    near = replace(frame, positions=positions)
    said = trainer.predict(result.model, ModelForm.FROZEN, near, Context(tmp_path, 1))
    assert said.forces[0, 1, 0] > 50.0
    assert said.forces[0, 0, 0] < -50.0


def test_a_new_element_is_learnt_from_an_older_model(trainers, dataset, tmp_path):
    trainer = trainers(descriptor=DESCRIPTORS["dpa1"])
    first = trainer.train(dataset, None, SCHEDULE, Context(tmp_path, 1))
    frames = dataset.parts[0].frames
    other = replace(frames, species=("N", *frames.species[1:]))
    wider = Dataset((*dataset.parts, DatasetPart("new", Split.TRAINING, 1, other)))
    second = trainer.train(wider, first.model, SCHEDULE, Context(tmp_path, 1))
    assert second.model.elements == ("H", "O", "N")


def test_a_given_checkpoint_is_fine_tuned_with_its_bias_refitted(trainers, dataset, tmp_path):
    trainer = trainers(descriptor=DESCRIPTORS["dpa1"])
    first = trainer.train(dataset, None, SCHEDULE, Context(tmp_path, 1)).model
    checkpoint = first.file(ModelForm.EAGER).path
    given = trainer.adopt(checkpoint, dataset.elements, Context(tmp_path, 1))
    # another level of theory: all energies lie elsewhere
    moved = Dataset(tuple(_shifted(part, 50.0) for part in dataset.parts))
    schedule = replace(SCHEDULE, steps=2, start_lr=1e-9, stop_lr=1e-9, refit_bias=True)
    result = trainer.train(moved, given, schedule, Context(tmp_path, 1))
    frames = moved.parts[0].frames
    said = trainer.predict(result.model, result.model.deployed, frames, Context(tmp_path, 1))
    before = trainer.predict(given, given.deployed, frames, Context(tmp_path, 1))
    assert np.mean(said.energies - before.energies) > 100.0
    np.testing.assert_allclose(said.forces, before.forces, atol=2e-3)


def _shifted(part: DatasetPart, per_atom: float) -> DatasetPart:
    frames = part.frames
    energies = frames.energies + per_atom * frames.n_atoms
    return replace(part, frames=replace(frames, energies=energies))


def test_a_given_checkpoint_of_another_architecture_is_refused_with_its_keys(
    trainers, dataset, tmp_path
):
    model = (
        trainers(descriptor=DESCRIPTORS["dpa1"])
        .train(dataset, None, SCHEDULE, Context(tmp_path, 1))
        .model
    )
    other = trainers(descriptor=DESCRIPTORS["dpa1"], fitting={"neuron": (8,)}, cutoff_angstrom=5.0)
    with pytest.raises(ConfigurationError) as refused:
        other.adopt(model.file(ModelForm.EAGER).path, dataset.elements, Context(tmp_path, 1))
    assert "descriptor.rcut is 4.0, configured 5.0" in str(refused.value)
    assert "fitting_net.neuron is [16, 16], configured [8]" in str(refused.value)


@pytest.mark.parametrize("name", ["dpa1", "se_e2_a"])
def test_a_model_grows_when_denser_data_need_more_neighbours(name, trainers, dataset, tmp_path):
    trainer = trainers(descriptor=DESCRIPTORS[name])
    first = trainer.train(dataset, None, SCHEDULE, Context(tmp_path, 1))
    parts = [_squeezed(part) if part.frames.cells is not None else part for part in dataset.parts]
    second = trainer.train(Dataset(tuple(parts)), first.model, SCHEDULE, Context(tmp_path, 1))
    assert sum(second.model.sel) > sum(first.model.sel)


def _squeezed(part: DatasetPart) -> DatasetPart:
    frames = part.frames
    smaller = replace(frames, positions=0.6 * frames.positions, cells=0.6 * frames.cells)
    return replace(part, frames=smaller)


def test_a_loss_that_is_not_finite_is_a_divergence(trainers, dataset, tmp_path):
    part = dataset.parts[0]
    broken = replace(part, frames=replace(part.frames, energies=part.frames.energies * np.nan))
    with pytest.raises(TrainingDiverged, match="diverged"):
        trainers(descriptor=DESCRIPTORS["dpa1"]).train(
            Dataset((broken, *dataset.parts[1:])), None, SCHEDULE, Context(tmp_path, 1)
        )


def test_a_stop_in_the_middle_ends_the_training(trainers, dataset, tmp_path):
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 20

    with pytest.raises(StopRequested):
        trainers(descriptor=DESCRIPTORS["dpa1"]).train(
            dataset, None, replace(SCHEDULE, steps=100000), Context(tmp_path, 1, stop=stop)
        )


def test_a_fault_in_deepmd_is_named_with_its_folder(trainers, dataset, tmp_path):
    trainer = trainers(descriptor=DESCRIPTORS["dpa1"], extra={"model": {"nonsense": 1}})
    with pytest.raises(ProgramFailed, match="nonsense") as caught:
        trainer.train(dataset, None, SCHEDULE, Context(tmp_path, 1))
    assert caught.value.directory is not None


def test_versions_are_said_without_starting_anything_as_doctor_finds_them(trainers):
    trainer = trainers()
    found = [(item.name, item.version) for item in trainer.doctor() if item.version is not None]
    assert list(trainer.versions()) == found
    assert {name for name, _ in found} == {"deepmd-kit", "torch", "lmp + deepmd plugin"}

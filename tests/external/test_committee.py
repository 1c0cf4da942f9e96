"""A committee of real models watches MD in LAMMPS: what md.out says is what Python says."""

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.analysis.deviation import deviations
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.explorer import LammpsExplorer
from sis_engine.interfaces import Context, MdTask
from sis_engine.records import (
    Condition,
    Ensemble,
    Exit,
    Frame,
    FrameSet,
    Quantity,
    Replica,
    Sampling,
    Split,
    System,
    TrainingSchedule,
)
from sis_engine.testing import trainer_contract as contract
from tests.external.conftest import require_module, require_program
from trainers.deepmd.config import DeepmdConfig
from trainers.deepmd.trainer import DeepmdTrainer

pytestmark = [pytest.mark.external, pytest.mark.slow]

SCHEDULE = TrainingSchedule(30, 2e-3, 1e-4, (0.02, 1.0), (1000.0, 1.0), (0.01, 0.1), seed=3)
SETTINGS = {
    "descriptor": {"type": "dpa1", "neuron": (4, 8), "axis_neuron": 4},
    "fitting": {"neuron": (16, 16)},
    "optimizer": {"type": "adam"},
    "cutoff_angstrom": 4.0,
    "device": "cpu",
    "precision": "float64",
}
SAMPLING = Sampling(trace_every_steps=10, ring_every_steps=5, sparse_every_ps=0.01)
SAMPLING = replace(SAMPLING, deviation_every_steps=5)
CONDITION = Condition("md", Ensemble.NVT, 100.0, 0.5, 0.02, max_minimise_steps=30)


@pytest.fixture(scope="module")
def committee(tmp_path_factory):
    """A trainer and three models that differ in seed."""
    require_module("deepmd")
    require_program("lmp")
    trainer = DeepmdTrainer(DeepmdConfig(**SETTINGS))
    dataset = contract.example_dataset()
    models = [
        trainer.train(
            dataset,
            None,
            replace(SCHEDULE, seed=seed),
            Context(tmp_path_factory.mktemp(f"seed{seed}"), 1),
        ).model
        for seed in (3, 4, 5)
    ]
    yield trainer, dataset, models
    trainer.close()


@pytest.mark.parametrize("periodic", [True, False])
def test_lammps_writes_the_deviations_that_python_finds(periodic, committee, tmp_path):
    trainer, dataset, (driver, *members) = committee
    explorer = LammpsExplorer(LammpsConfig())
    parts = dataset.of(Split.TRAINING)
    frames = next(part.frames for part in parts if all(part.frames.pbc) is periodic)
    replica = replica_of(frames)
    task = MdTask(driver, (replica,), (), SAMPLING, tuple(members))
    (run,) = explorer.explore(task, Context(tmp_path))
    assert run.exit is Exit.COMPLETED, run.message
    seen = [item for item in run.frames if item.deviation is not None]
    assert [round(item.time_fs / 0.5) for item in seen] == list(range(0, 41, 5))
    asked = replace(
        frames,
        positions=np.stack([item.frame.positions for item in seen]),
        cells=None if frames.cells is None else np.stack([item.frame.cell for item in seen]),
        energies=np.zeros(len(seen)),
        forces=np.zeros((len(seen), frames.n_atoms, 3)),
        virials=None,
    )
    said = [trainer.predict(m, m.deployed, asked, Context(tmp_path)) for m in (driver, *members)]
    for ours, theirs in zip(deviations(said), seen, strict=True):
        assert ours.force > 0.01, "the models are too alike to tell anything"
        # md.out has six significant digits
        assert theirs.deviation.force == pytest.approx(ours.force, rel=1e-4)
        if periodic:
            assert theirs.deviation.virial == pytest.approx(ours.virial, rel=1e-4)
        else:
            assert theirs.deviation.virial is None
    forces = run.trace.series(Quantity.MODEL_DEVIATION)
    assert forces == pytest.approx([item.deviation.force for item in seen][::2])
    assert (run.trace.series(Quantity.VIRIAL_DEVIATION) is not None) is periodic


def test_the_driver_moves_as_if_nobody_watched(committee, tmp_path):
    _, dataset, (driver, *members) = committee
    explorer = LammpsExplorer(LammpsConfig())
    replica = replica_of(dataset.of(Split.TRAINING)[0].frames)
    task = MdTask(driver, (replica,), (), SAMPLING, tuple(members))
    (watched,) = explorer.explore(task, Context(tmp_path))
    (alone,) = explorer.explore(replace(task, members=()), Context(tmp_path))
    last = watched.frames[-1].frame.positions - alone.frames[-1].frame.positions
    assert np.abs(last).max() < 1e-9
    assert alone.frames[-1].deviation is None
    assert alone.trace.series(Quantity.MODEL_DEVIATION) is None


def replica_of(frames: FrameSet) -> Replica:
    cell = None if frames.cells is None else frames.cells[0]
    frame = Frame(frames.species, frames.positions[0], cell, frames.pbc)
    return Replica("r", System("s", frame), frame, CONDITION, 3)

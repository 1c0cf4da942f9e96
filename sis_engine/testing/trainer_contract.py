"""What every trainer must do. For authors of trainers: call :func:`check_trainer` in a test.

The reference is a Morse potential, so that labels cost nothing and are exact. The checks train
three times, briefly: give a schedule of seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ase import Atoms

from sis_engine.analysis.metrics import errors_over
from sis_engine.errors import SisError, StopRequested, TornFile
from sis_engine.interfaces import Context, Describer, PluginConfig, Trainer
from sis_engine.records import (
    Dataset,
    DatasetPart,
    FloatArray,
    Frame,
    FrameSet,
    Model,
    ModelFile,
    ModelForm,
    Split,
    TrainingResult,
    TrainingSchedule,
)
from sis_engine.testing.morse import Morse

STEP_ANGSTROM = 5e-3
"""Of finite differences: float32 energies of some eV, good to 1e-6 eV, then give 1e-4 eV/Å."""


@dataclass(frozen=True, eq=False)
class TrainerCase:
    """A trainer and what it is tried on.

    force_tolerance: of finite differences, eV/Å (looser for single precision)
    """

    trainer: Trainer
    schedule: TrainingSchedule
    dataset: Dataset
    workdir: Path
    force_tolerance: float = 1e-3

    def context(self, name: str, *, stop: bool = False) -> Context:
        folder = self.workdir / name
        folder.mkdir(parents=True)
        return Context(folder, threads=1, stop=lambda: stop)


def example_dataset(seed: int = 0, n_frames: int = 20) -> Dataset:
    """A periodic solid with virials and a cluster without, two elements in mixed order."""
    random = np.random.default_rng(seed)
    parts = []
    for name, periodic in (("solid", True), ("cluster", False)):
        for split, count in ((Split.TRAINING, n_frames), (Split.VALIDATION, max(2, n_frames // 5))):
            frames = morse_frames(random, count, periodic=periodic)
            parts.append(DatasetPart(f"{name}-{split.value}", split, 0, frames))
    return Dataset(tuple(parts))


def morse_frames(random: np.random.Generator, n_frames: int, *, periodic: bool) -> FrameSet:
    """Displaced frames of eight atoms with the Morse potential's labels."""
    spacing, species = 2.7, ("O", "H", "H", "O", "H", "O", "O", "H")
    sites = spacing * np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    cell = 2.0 * spacing * np.eye(3) if periodic else None
    frames = [
        Frame(species, sites + random.normal(0.0, 0.12, sites.shape), cell, (periodic,) * 3)
        for _ in range(n_frames)
    ]
    labels = [Morse(cutoff_angstrom=5.0).evaluate(frame) for frame in frames]
    return FrameSet(
        system="solid" if periodic else "cluster",
        species=species,
        pbc=(periodic,) * 3,
        positions=np.array([frame.positions for frame in frames]),
        cells=None if cell is None else np.tile(cell, (n_frames, 1, 1)),
        energies=np.array([energy for energy, _, _ in labels]),
        forces=np.array([forces for _, forces, _ in labels]),
        virials=np.array([virial for _, _, virial in labels]) if periodic else None,
    )


def check_trainer(case: TrainerCase) -> TrainingResult:
    """Run every check; the first training's result. Raises AssertionError with what was broken."""
    check_identity(case.trainer, case.dataset)
    check_stop(case)
    result = case.trainer.train(case.dataset, None, case.schedule, case.context("first"))
    check_result(case, result)
    check_claims(case, result)
    check_derivatives(case, result.model)
    check_order_of_atoms(case, result.model)
    check_described(case, result.model)
    check_calculator(case, result.model)
    check_reproducible(case, result)
    check_continued(case, result)
    check_guards(case, result.model)
    check_adopted(case, result.model)
    return result


def check_identity(trainer: Trainer, dataset: Dataset) -> None:
    """It is a :class:`Trainer` and accepts its elements; its doctor speaks."""
    assert isinstance(trainer, Trainer), f"{type(trainer).__name__} lacks a part of Trainer"
    assert issubclass(trainer.Config, PluginConfig), "Config is a PluginConfig"
    trainer.check(dataset.elements)
    assert isinstance(trainer.doctor(), tuple)


def check_stop(case: TrainerCase) -> None:
    """A stop that is already asked for ends the training at once."""
    try:
        case.trainer.train(case.dataset, None, case.schedule, case.context("stop", stop=True))
    except StopRequested:
        return
    raise AssertionError("a training that was asked to stop went on")


def check_result(case: TrainerCase, result: TrainingResult) -> None:
    """All files are there with their hashes, the deployed one among them; the curve is a curve."""
    model = result.model
    assert set(case.dataset.elements) <= set(model.elements)
    assert model.deployed_file.path.is_file()
    for file in model.files:
        seen = hashlib.sha256(file.path.read_bytes()).hexdigest()
        assert seen == file.sha256, f"the {file.form.value} file does not have its recorded hash"
    steps = result.curve.step
    assert len(steps) > 0, "no learning curve"
    assert np.all(np.diff(steps) > 0), "the learning curve goes backwards"
    assert np.isfinite(result.curve.force_rmse_training[-1])


def check_claims(case: TrainerCase, result: TrainingResult) -> None:
    """The deployed form has the errors that training claimed."""
    parts = case.dataset.of(Split.TRAINING)
    context = case.context("claims")
    pairs = [
        (case.trainer.predict(result.model, result.model.deployed, p.frames, context), p.frames)
        for p in parts
    ]
    errors = errors_over(pairs)
    if result.claimed_force_rmse is not None:
        np.testing.assert_allclose(errors.force_rmse, result.claimed_force_rmse, rtol=0.3)


def check_derivatives(case: TrainerCase, model: Model) -> None:
    """Forces are -dE/dx, virials -dE/d(strain), by central differences."""
    for part in case.dataset.of(Split.TRAINING):
        frame, context = one(part.frames, 0), case.context(f"derivatives-{part.name}")
        said = case.trainer.predict(model, model.deployed, frame, context)
        moved = [_shifted(frame, atom, axis, h) for atom, axis, h in _moves(frame.n_atoms)]
        slopes = _slopes(case, model, moved, context)
        np.testing.assert_allclose(-slopes, said.forces[0].ravel(), atol=case.force_tolerance)
        if said.virials is not None and frame.cells is not None:
            bent = [_strained(frame, i, j, h) for i, j, h in _moves(3)]
            slopes = _slopes(case, model, bent, context)
            limit = 10.0 * frame.n_atoms * case.force_tolerance
            np.testing.assert_allclose(-slopes, said.virials[0].ravel(), atol=limit)


def _moves(n: int) -> list[tuple[int, int, float]]:
    return [(i, axis, h) for i in range(n) for axis in range(3) for h in (-1.0, 1.0)]


def _slopes(
    case: TrainerCase, model: Model, frames: Sequence[FrameSet], context: Context
) -> FloatArray:
    """Central differences from frames that come in pairs (below, above)."""
    whole = replace(
        frames[0],
        positions=np.concatenate([item.positions for item in frames]),
        cells=None
        if frames[0].cells is None
        else np.concatenate([item.cells for item in frames if item.cells is not None]),
        energies=np.zeros(len(frames)),
        forces=np.zeros((len(frames), frames[0].n_atoms, 3)),
        virials=None,
    )
    energies = case.trainer.predict(model, model.deployed, whole, context).energies
    return np.asarray((energies[1::2] - energies[0::2]) / (2.0 * STEP_ANGSTROM))


def one(frames: FrameSet, index: int) -> FrameSet:
    """A single frame of a set, as a set."""
    at = slice(index, index + 1)
    return replace(
        frames,
        positions=frames.positions[at],
        cells=None if frames.cells is None else frames.cells[at],
        energies=frames.energies[at],
        forces=frames.forces[at],
        virials=None if frames.virials is None else frames.virials[at],
    )


def _shifted(frame: FrameSet, atom: int, axis: int, sign: float) -> FrameSet:
    positions = frame.positions.copy()
    positions[0, atom, axis] += sign * STEP_ANGSTROM
    return replace(frame, positions=positions)


def _strained(frame: FrameSet, i: int, j: int, sign: float) -> FrameSet:
    bend = np.eye(3)
    bend[i, j] += sign * STEP_ANGSTROM
    cells = None if frame.cells is None else frame.cells @ bend
    return replace(frame, positions=frame.positions @ bend, cells=cells)


def check_described(case: TrainerCase, model: Model) -> None:
    """If it describes: one row an atom, the same for a shifted frame, another for a bent one."""
    if not isinstance(case.trainer, Describer):
        return
    for part in case.dataset.of(Split.TRAINING):
        frame, context = one(part.frames, 0), case.context(f"describe-{part.name}")
        shifted = replace(frame, positions=frame.positions + 0.1)
        bent = _shifted(frame, 0, 0, 0.1 / STEP_ANGSTROM)
        said = [case.trainer.describe(model, item, context) for item in (frame, shifted, bent)]
        assert said[0].shape[:2] == (1, frame.n_atoms), f"{part.name}: {said[0].shape}"
        assert np.isfinite(said[0]).all(), f"{part.name}: a descriptor is not finite"
        scale = np.abs(said[0]).max()
        assert np.abs(said[1] - said[0]).max() <= 1e-3 * scale, f"{part.name}: it sees a shift"
        assert np.abs(said[2] - said[0]).max() > 1e-3 * scale, f"{part.name}: it sees no bend"


def check_order_of_atoms(case: TrainerCase, model: Model) -> None:
    """Another order of the same atoms gives the same energy, and the forces in that order."""
    frame = one(case.dataset.parts[0].frames, 0)
    order = np.arange(frame.n_atoms)[::-1]
    turned = replace(
        frame,
        species=tuple(frame.species[i] for i in order),
        positions=frame.positions[:, order],
        forces=frame.forces[:, order],
    )
    context = case.context("order")
    before = case.trainer.predict(model, model.deployed, frame, context)
    after = case.trainer.predict(model, model.deployed, turned, context)
    np.testing.assert_allclose(after.energies, before.energies, atol=1e-4)
    np.testing.assert_allclose(after.forces, before.forces[:, order], atol=case.force_tolerance)


def check_calculator(case: TrainerCase, model: Model) -> None:
    """The ASE calculator says what ``predict`` says of the deployed form."""
    for part in case.dataset.of(Split.VALIDATION):
        frame = one(part.frames, 0)
        said = case.trainer.predict(model, model.deployed, frame, case.context(f"ase-{part.name}"))
        atoms = Atoms(list(frame.species), frame.positions[0], pbc=frame.pbc)
        if frame.cells is not None:
            atoms.set_cell(frame.cells[0])
        atoms.calc = case.trainer.calculator(model)
        np.testing.assert_allclose(atoms.get_forces(), said.forces[0], atol=case.force_tolerance)


def check_reproducible(case: TrainerCase, result: TrainingResult) -> None:
    """The same data, seed and threads give the same model, bit by bit in what it says."""
    again = case.trainer.train(case.dataset, None, case.schedule, case.context("again"))
    frames = case.dataset.of(Split.VALIDATION)[0].frames
    context = case.context("reproducible")
    first = case.trainer.predict(result.model, result.model.deployed, frames, context)
    second = case.trainer.predict(again.model, again.model.deployed, frames, context)
    np.testing.assert_array_equal(first.energies, second.energies)
    np.testing.assert_array_equal(first.forces, second.forces)


def check_continued(case: TrainerCase, result: TrainingResult) -> None:
    """A training that starts from a model leaves that model's files alone."""
    before = [hashlib.sha256(file.path.read_bytes()).hexdigest() for file in result.model.files]
    further = case.trainer.train(
        case.dataset, result.model, case.schedule, case.context("continued")
    )
    after = [hashlib.sha256(file.path.read_bytes()).hexdigest() for file in result.model.files]
    assert before == after, "fine-tuning changed the files of the model it started from"
    assert further.model.elements == result.model.elements


def check_guards(case: TrainerCase, model: Model) -> None:
    """A file that is not the recorded one is not loaded; an unknown element is not predicted."""
    frame, context = one(case.dataset.parts[0].frames, 0), case.context("guards")
    forged = replace(model, files=tuple(replace(file, sha256="0" * 64) for file in model.files))
    _refuses(TornFile, lambda: case.trainer.predict(forged, model.deployed, frame, context))
    alien = replace(frame, species=("Xe",) * frame.n_atoms)
    _refuses(SisError, lambda: case.trainer.predict(model, model.deployed, alien, context))


def _refuses(expected: type[SisError], call: object) -> None:
    try:
        call()  # type: ignore[operator]
    except expected:
        return
    raise AssertionError(f"{expected.__name__} was not raised")


def check_adopted(case: TrainerCase, model: Model) -> None:
    """A deployed file can be adopted, and says the same."""
    file: ModelFile = model.file(ModelForm.FROZEN) or model.deployed_file
    context = case.context("adopted")
    adopted = case.trainer.adopt(file.path, case.dataset.elements, context)
    frames = case.dataset.of(Split.VALIDATION)[0].frames
    before = case.trainer.predict(model, file.form, frames, context)
    after = case.trainer.predict(adopted, adopted.deployed, frames, context)
    np.testing.assert_allclose(after.forces, before.forces, atol=1e-6)

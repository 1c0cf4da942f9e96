"""Shipped fakes: a labeler and a trainer with which the whole loop turns in seconds.

The reference is a Morse potential. The model is the same one, wrong in two ways that data cure,
as a real potential's faults are: its depth is off by an error that shrinks with the number of
frames, and below the shortest distance in its data it has a hole into which atoms fall. So MD
with it meets true catastrophes, and labels from before them lengthen its life.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from pydantic import Field

from sis_engine.errors import ConfigurationError, ModelRefused, StopRequested, TrainingDiverged
from sis_engine.interfaces import (
    Capability,
    Context,
    LabelTask,
    PluginConfig,
    ProgramReport,
    SinglePoints,
)
from sis_engine.records import (
    Dataset,
    DatasetPart,
    Failure,
    FloatArray,
    Frame,
    FrameSet,
    Label,
    LabelFailure,
    Labelled,
    LearningCurve,
    LevelOfTheory,
    Model,
    ModelFile,
    ModelForm,
    Origin,
    Prediction,
    Split,
    System,
    TrainingResult,
    TrainingSchedule,
    label_key,
)
from sis_engine.testing.morse import Morse, shortest_distance

_VERSION = "1"


class FakeLabelerConfig(PluginConfig):
    """seconds_per_label: slows it down; unconverged_below_angstrom: such frames fail

    charges: made up, from how crowded each atom is; they sum to the system's charge
    """

    type: Literal["fake"] = "fake"
    depth_ev: float = 0.3
    seconds_per_label: float = Field(default=0.0, ge=0.0)
    unconverged_below_angstrom: float = 0.8
    charges: bool = False


class FakeLabeler:
    """Morse labels: energy, forces, virial of periodic frames.

    evaluation_log: the key of every evaluation that was finished is added to this file, so that a
        rehearsal can count from outside what was done twice
    """

    Config: ClassVar[type[FakeLabelerConfig]] = FakeLabelerConfig
    quick: ClassVar[bool] = True
    evaluation_log: ClassVar[Path | None] = None

    def __init__(self, config: FakeLabelerConfig | None = None) -> None:
        self.config = config or FakeLabelerConfig()
        gives = {Capability.SINGLE_POINT, Capability.VIRIAL, Capability.SIDE_BY_SIDE}
        gives |= {Capability.CHARGES} if self.config.charges else set()
        self.capabilities = frozenset(gives)
        self.n_evaluations = 0
        self._lock = threading.Lock()

    @classmethod
    def from_config(cls, config: FakeLabelerConfig) -> Self:
        return cls(config)

    def level_of_theory(self, system: System) -> LevelOfTheory:
        settings = (("charge", system.charge), ("depth_ev", self.config.depth_ev))
        return LevelOfTheory("fake", _VERSION, "morse", settings)

    def check(self, system: System) -> None:
        shortest = shortest_distance(system.frame, self.config.unconverged_below_angstrom)
        if shortest < self.config.unconverged_below_angstrom:
            raise ConfigurationError(
                f"system {system.name!r} has atoms {shortest:.2f} Å apart",
                key=f"systems.{system.name}",
            )

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        if not isinstance(task, SinglePoints):
            raise ConfigurationError("the fake labeler has single points only")
        level = self.level_of_theory(task.system)
        morse = Morse(depth_ev=self.config.depth_ev)
        for frame, origin in zip(task.frames, task.origins, strict=True):
            if context.stop():
                raise StopRequested("stopped between fake labels")
            if self.config.seconds_per_label:
                time.sleep(self.config.seconds_per_label)
            with self._lock:
                self.n_evaluations += 1
            limit = self.config.unconverged_below_angstrom
            if not shortest_distance(frame, morse.cutoff_angstrom) >= limit:
                self._note(label_key(frame, level))
                message = f"fake SCF not converged: atoms nearer than {limit} Å"
                yield LabelFailure(frame, level, origin, Failure.NOT_CONVERGED, message)
                continue
            energy, forces, virial = morse.evaluate(frame)
            charges = morse.charges(frame, task.system.charge) if self.config.charges else None
            label = Label(energy, forces, virial if all(frame.pbc) else None, charges)
            self._note(label_key(frame, level))
            yield Labelled(frame, label, level, origin, _VERSION, self.config.seconds_per_label)

    def _note(self, key: str) -> None:
        if self.evaluation_log is not None:
            with self.evaluation_log.open("a", encoding="utf-8") as log:
                log.write(f"{key}\n")

    def doctor(self) -> tuple[ProgramReport, ...]:
        return (ProgramReport("fake labeler", "in process", _VERSION),)


class FakeTrainerConfig(PluginConfig):
    """depth_error: relative error of the depth with ``1`` frame; falls as 1/sqrt(n_frames)

    hole_margin_angstrom: the hole begins this far below the shortest distance in the data
    diverges: every training fails;  forgets: the hole follows only the newest part
    """

    type: Literal["fake"] = "fake"
    depth_ev: float = 0.3
    depth_error: float = 0.5
    hole_margin_angstrom: float = 0.05
    hole_strength: float = 2000.0
    diverges: bool = False
    forgets: bool = False


class FakeTrainer:
    """'Trains' a Morse model from how much and how close the data are; models are JSON files."""

    Config: ClassVar[type[FakeTrainerConfig]] = FakeTrainerConfig
    runs_in_lammps: ClassVar[bool] = False

    def __init__(self, config: FakeTrainerConfig | None = None) -> None:
        self.config = config or FakeTrainerConfig()

    @classmethod
    def from_config(cls, config: FakeTrainerConfig) -> Self:
        return cls(config)

    def check(self, elements: Sequence[str]) -> None:
        if not elements:
            raise ConfigurationError("no elements to train on", key="trainer")

    def begin(self, context: Context) -> None:
        """There is no program to start; the loop asks all the same (`StartsEarly`)."""

    def train(
        self,
        dataset: Dataset,
        start_from: Model | None,  # noqa: ARG002 - the fake learns from data alone
        schedule: TrainingSchedule,
        context: Context,
    ) -> TrainingResult:
        begun = time.perf_counter()
        if self.config.diverges:
            raise TrainingDiverged("the fake loss is not finite", hint="unset `diverges`")
        parts = dataset.of(Split.TRAINING)
        morse = self._fitted(parts, schedule)
        model = write_model(morse, dataset.elements, context.workdir, ModelForm.FROZEN)
        errors = [self._errors(model, part.frames, context) for part in parts]
        force = float(np.sqrt(np.mean([force**2 for force, _ in errors])))
        energy = float(np.sqrt(np.mean([energy**2 for _, energy in errors])))
        context.progress(schedule.steps, schedule.steps, "fake training")
        curve = _curve(schedule, force, energy)
        return TrainingResult(model, curve, force, energy, time.perf_counter() - begun)

    def predict(
        self,
        model: Model,
        form: ModelForm,
        frames: FrameSet,
        context: Context,  # noqa: ARG002 - needs no scratch
    ) -> Prediction:
        file = model.file(form)
        if file is None:
            raise ModelRefused(f"model {model.id} has no {form.value} form")
        morse = read_model(file)
        results = [morse.evaluate(_frame(frames, index)) for index in range(frames.n_frames)]
        periodic = all(frames.pbc)
        return Prediction(
            np.array([energy for energy, _, _ in results]),
            np.array([forces for _, forces, _ in results]),
            np.array([virial for _, _, virial in results]) if periodic else None,
        )

    def describe(
        self,
        model: Model,  # noqa: ARG002 - any fake model sees the same
        frames: FrameSet,
        context: Context,  # noqa: ARG002 - needs no scratch
    ) -> FloatArray:
        """(n_frames, n_atoms, 4): soft counts of neighbours in four ranges of distance."""
        return np.stack([_seen(_frame(frames, index)) for index in range(frames.n_frames)])

    def calculator(self, model: Model) -> Any:
        return MorseCalculator(read_model(model.deployed_file))

    def adopt(self, path: Path, elements: Sequence[str], context: Context) -> Model:
        text = path.read_text(encoding="utf-8")
        return write_model(
            Morse(**json.loads(text)), tuple(elements), context.workdir, ModelForm.FROZEN
        )

    def doctor(self) -> tuple[ProgramReport, ...]:
        return (ProgramReport("fake trainer", "in process", _VERSION),)

    def _fitted(self, parts: Sequence[DatasetPart], schedule: TrainingSchedule) -> Morse:
        n_frames = sum(part.frames.n_frames for part in parts)
        if n_frames == 0:
            raise TrainingDiverged("there is no training data")
        sign = 1.0 if np.random.default_rng(schedule.seed).random() < 0.5 else -1.0
        looked_at = parts[-1:] if self.config.forgets else parts
        cutoff = Morse().cutoff_angstrom
        shortest = min(
            shortest_distance(_frame(part.frames, index), cutoff)
            for part in looked_at
            for index in range(part.frames.n_frames)
        )
        return Morse(
            depth_ev=self.config.depth_ev * (1.0 + sign * self.config.depth_error / n_frames**0.5),
            hole_angstrom=max(shortest - self.config.hole_margin_angstrom, 0.0),
            hole_strength=self.config.hole_strength,
        )

    def _errors(self, model: Model, frames: FrameSet, context: Context) -> tuple[float, float]:
        """RMSE of forces, eV/Å, and of energies, eV/atom."""
        said = self.predict(model, model.deployed, frames, context)
        force = float(np.sqrt(((said.forces - frames.forces) ** 2).mean()))
        per_atom = (said.energies - frames.energies) / frames.n_atoms
        return force, float(np.sqrt((per_atom**2).mean()))


class MorseCalculator(Calculator):  # type: ignore[misc]
    """The fake model as an ASE calculator."""

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, morse: Morse) -> None:
        super().__init__()
        self.morse = morse

    def calculate(
        self,
        atoms: Any = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        periodic = bool(self.atoms.pbc.any())
        frame = Frame(
            tuple(self.atoms.get_chemical_symbols()),
            self.atoms.positions,
            self.atoms.cell.array if periodic else None,
            tuple(self.atoms.pbc),
        )
        energy, forces, virial = self.morse.evaluate(frame)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
        if periodic:
            stress = -virial / self.atoms.get_volume()
            self.results["stress"] = stress.flat[[0, 4, 8, 5, 2, 1]]


def write_model(
    morse: Morse, elements: tuple[str, ...], folder: Path, deployed: ModelForm
) -> Model:
    """The model as JSON files, one a form, named and hashed."""
    text = json.dumps(asdict(morse), sort_keys=True)
    files = []
    for form in (ModelForm.EAGER, ModelForm.FROZEN):
        path = folder / f"{form.value}.json"
        path.write_text(text, encoding="utf-8")
        files.append(ModelFile(form, path, hashlib.sha256(text.encode()).hexdigest()))
    return Model(
        id=hashlib.sha256(text.encode()).hexdigest()[:12],
        trainer="fake",
        elements=elements,
        files=tuple(files),
        deployed=deployed,
        cutoff_angstrom=morse.cutoff_angstrom,
    )


def read_model(file: ModelFile) -> Morse:
    """The potential in a model file. Raises ModelRefused when its hash is not the recorded one."""
    raw = file.path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != file.sha256:
        raise ModelRefused(f"{file.path} is not the file that was recorded (SHA-256 differs)")
    return Morse(**json.loads(raw))


def _frame(frames: FrameSet, index: int) -> Frame:
    cell = None if frames.cells is None else frames.cells[index]
    return Frame(frames.species, frames.positions[index], cell, frames.pbc)


def _seen(frame: Frame) -> FloatArray:
    """(n_atoms, 4): soft counts of neighbours by distance, open boundaries."""
    gaps = frame.positions[:, None] - frame.positions[None]
    distance = np.linalg.norm(gaps, axis=2) + 1e6 * np.eye(frame.n_atoms)
    centres = np.array([2.5, 3.5, 4.5, 6.0])
    counts: FloatArray = np.exp(-((distance[:, :, None] - centres) ** 2)).sum(axis=1)
    return counts


def _curve(schedule: TrainingSchedule, force: float, energy: float) -> LearningCurve:
    """An exponential approach to the final errors, eleven points."""
    step = np.linspace(0, schedule.steps, 11)
    decay: FloatArray = 1.0 + 9.0 * np.exp(-step / max(schedule.steps / 5.0, 1.0))
    rate = schedule.start_lr * (schedule.stop_lr / schedule.start_lr) ** (step / step[-1])
    return LearningCurve(step, rate, force * decay, energy * decay, force * decay, energy * decay)


class FakeBank:
    """A label bank in memory: :class:`sis_engine.labelling.banked.LabelStore`."""

    def __init__(self) -> None:
        self.items: dict[str, Labelled | LabelFailure] = {}

    def get(self, frame: Frame, level: LevelOfTheory, origin: Origin) -> Labelled | None:
        known = self.items.get(label_key(frame, level))
        if not isinstance(known, Labelled):
            return None
        return replace(known, origin=origin, cached=known.origin != origin)

    def failure(self, frame: Frame, level: LevelOfTheory, origin: Origin) -> LabelFailure | None:
        known = self.items.get(label_key(frame, level))
        if not isinstance(known, LabelFailure):
            return None
        return replace(known, origin=origin, cached=known.origin != origin)

    def before(
        self, frame: Frame, level: LevelOfTheory, generation: int
    ) -> Labelled | LabelFailure | None:
        known = self.items.get(label_key(frame, level))
        return None if known is None or known.origin.generation >= generation else known

    def iterate(self, level: LevelOfTheory) -> Iterator[Labelled]:
        known = [item for item in self.items.values() if item.level == level]
        yield from (item for item in known if isinstance(item, Labelled))

    def put(self, item: Labelled | LabelFailure, *, at_once: bool = True) -> bool:
        del at_once
        if isinstance(self.items.get(item.key), Labelled):
            return False
        self.items[item.key] = item
        return True

    def forget_failures(self, keys: Sequence[str]) -> int:
        failed = [key for key in keys if isinstance(self.items.get(key), LabelFailure)]
        for key in failed:
            del self.items[key]
        return len(failed)

    def flush(self) -> None:
        """There is no disk."""

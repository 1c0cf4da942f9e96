"""Models: their files, how they were trained, what they say, and whether they were admitted."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from sis_engine.records.arrays import FloatArray


class ModelForm(enum.Enum):
    """The forms in which one trained model exists."""

    EAGER = "eager"
    """the trainer's checkpoint, in the trainer's own framework"""
    FROZEN = "frozen"
    """the exported file"""
    COMPRESSED = "compressed"
    """the exported file, tabulated for speed"""


@dataclass(frozen=True)
class ModelFile:
    """One file of a model. Models are code: load it only if its hash is the recorded one."""

    form: ModelForm
    path: Path
    sha256: str


@dataclass(frozen=True)
class LammpsPair:
    """How LAMMPS loads a model. ``{file}`` in ``style`` stands for the deployed file's path.

    committee: the style that loads several models and writes how far they are apart: ``{files}``
        stands for their paths, the driver's first, ``{every}`` for the interval in steps,
        ``{out}`` for the file; ``None`` if there is none
    preamble: commands before ``pair_style`` (``plugin load …``)
    coeff: ``pair_coeff`` arguments; ``{elements}`` stands for the symbols in type order
    environment: variables the process needs, as (name, value)
    """

    style: str
    coeff: tuple[str, ...] = ("* * {elements}",)
    preamble: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    committee: str | None = None


@dataclass(frozen=True)
class Model:
    """A trained potential.

    elements: type map, in the model's order
    deployed: the form that MD runs
    cutoff_angstrom, sel: neighbour limits the descriptor was built with; ``sel`` is one number
        for all neighbours together, or one per element in the order of ``elements``
    """

    id: str
    trainer: str
    elements: tuple[str, ...]
    files: tuple[ModelFile, ...]
    deployed: ModelForm
    lammps: LammpsPair | None = None
    cutoff_angstrom: float | None = None
    sel: tuple[int, ...] | None = None

    def file(self, form: ModelForm) -> ModelFile | None:
        return next((item for item in self.files if item.form is form), None)

    @property
    def deployed_file(self) -> ModelFile:
        found = self.file(self.deployed)
        if found is None:
            raise ValueError(f"model {self.id} has no {self.deployed.value} file")
        return found


@dataclass(frozen=True)
class Member:
    """A model that only watches: seat 1, 2, … of a committee (seat 0 drives the MD)."""

    seat: int
    model: Model


@dataclass(frozen=True)
class Committee:
    """The models of one generation: the one that drives MD, and those that watch it."""

    driver: Model
    members: tuple[Member, ...] = ()

    @property
    def models(self) -> tuple[Model, ...]:
        """All of them, the driver first."""
        return (self.driver, *(member.model for member in self.members))


@dataclass(frozen=True)
class TrainingSchedule:
    """How one generation is trained.

    steps, start_lr, stop_lr: optimiser steps and the ends of the exponential decay
    energy_prefactor, force_prefactor, virial_prefactor: (start, end) of the loss prefactors
    """

    steps: int
    start_lr: float
    stop_lr: float
    energy_prefactor: tuple[float, float]
    force_prefactor: tuple[float, float]
    virial_prefactor: tuple[float, float] = (0.0, 0.0)
    batch_size: int = 4
    seed: int = 0
    refit_bias: bool = False


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """step: (n,); learning_rate: (n,); force_rmse_*: (n,), eV/Å; energy_rmse_*: (n,), eV/atom.

    Entries that the trainer did not print are NaN.
    """

    step: FloatArray
    learning_rate: FloatArray
    force_rmse_training: FloatArray
    energy_rmse_training: FloatArray
    force_rmse_validation: FloatArray
    energy_rmse_validation: FloatArray


@dataclass(frozen=True, eq=False)
class Prediction:
    """energies: (n_frames,), eV;  forces: (n_frames, n_atoms, 3), eV/Å;  virials: eV or None"""

    energies: FloatArray
    forces: FloatArray
    virials: FloatArray | None = None


@dataclass(frozen=True)
class ElementError:
    """Force error of one element: RMSE and RMS reference force, eV/Å, over ``n`` atoms."""

    element: str
    force_rmse: float
    reference_rms: float
    n: int

    @property
    def relative(self) -> float | None:
        return None if self.reference_rms == 0.0 else self.force_rmse / self.reference_rms


@dataclass(frozen=True)
class Errors:
    """Errors of a model on labelled frames.

    force_rmse: eV/Å over components;  force_p99: 99th percentile of the atomic force error norm
    energy_rmse_per_atom: eV/atom, not re-centred
    """

    n_frames: int
    force_rmse: float
    reference_rms: float
    force_p99: float
    energy_rmse_per_atom: float
    elements: tuple[ElementError, ...] = ()

    @property
    def relative_force_rmse(self) -> float | None:
        return None if self.reference_rms == 0.0 else self.force_rmse / self.reference_rms


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained model with what the trainer claimed of it.

    claimed_force_rmse, claimed_energy_rmse_per_atom: the trainer's own figures for its
        checkpoint on (a sample of) the training data, by its training code path
    """

    model: Model
    curve: LearningCurve
    claimed_force_rmse: float | None
    claimed_energy_rmse_per_atom: float | None
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Two forms of a model on the same frames: largest differences, and the limits on them.

    max_force: eV/Å;  max_energy_per_atom: eV/atom
    """

    reference: str
    candidate: str
    n_frames: int
    max_force: float
    max_energy_per_atom: float
    force_limit: float
    energy_limit: float

    @property
    def passed(self) -> bool:
        return self.max_force <= self.force_limit and self.max_energy_per_atom <= self.energy_limit


@dataclass(frozen=True)
class BlockErrors:
    """Errors on one validation block, before and after this training."""

    part: str
    generation: int
    before: Errors | None
    after: Errors


@dataclass(frozen=True)
class Admission:
    """The test that a trained model must pass before it is explored."""

    model_id: str
    passed: bool
    comparisons: tuple[Comparison, ...]
    training: Errors
    validation: Errors | None
    blocks: tuple[BlockErrors, ...] = ()
    reasons: tuple[str, ...] = ()

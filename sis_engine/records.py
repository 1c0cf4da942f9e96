"""Frozen, typed data that crosses the borders between rooms.

Conventions
-----------
* Units: eV, Å, fs, K, e, amu; virials eV. See :mod:`sis_engine.units`.
* Energy is the *force-consistent* one (the free energy under smearing).
* Virial is ``-dE/d(strain)``, shape (3, 3), eV, no kinetic part; positive for a compressed cell.
* Cell rows are lattice vectors.
* Arrays are float64, C-contiguous and read-only once in a record.
* Missing data is ``None``, never zero.
"""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def frozen_array(values: npt.ArrayLike, shape: tuple[int | None, ...], name: str) -> FloatArray:
    """A read-only float64 copy of ``values``; ``None`` in ``shape`` allows any length there."""
    array = np.array(values, dtype=np.float64, order="C")
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
    array.setflags(write=False)
    return array


# --------------------------------------------------------------------------- structures


@dataclass(frozen=True, eq=False)
class Frame:
    """One structure, atoms in a fixed order, positions as given (never wrapped).

    species: chemical symbols, length n_atoms
    positions: shape (n_atoms, 3), Å
    cell: shape (3, 3), Å, rows are lattice vectors; ``None`` if nothing is periodic
    pbc: periodicity along each lattice vector
    """

    species: tuple[str, ...]
    positions: FloatArray
    cell: FloatArray | None = None
    pbc: tuple[bool, bool, bool] = (False, False, False)

    def __post_init__(self) -> None:
        species = tuple(self.species)
        pbc = (bool(self.pbc[0]), bool(self.pbc[1]), bool(self.pbc[2]))
        object.__setattr__(self, "species", species)
        object.__setattr__(self, "pbc", pbc)
        object.__setattr__(
            self, "positions", frozen_array(self.positions, (len(species), 3), "positions")
        )
        if self.cell is not None:
            object.__setattr__(self, "cell", frozen_array(self.cell, (3, 3), "cell"))
        elif any(pbc):
            raise ValueError(f"pbc is {pbc} but there is no cell")

    @property
    def n_atoms(self) -> int:
        return len(self.species)

    @property
    def key(self) -> str:
        """SHA-256 of species, float64 bytes of positions and cell, and periodicity."""
        digest = hashlib.sha256()
        digest.update(",".join(self.species).encode())
        digest.update(self.positions.tobytes())
        digest.update(b"-" if self.cell is None else self.cell.tobytes())
        digest.update(bytes(self.pbc))
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class System:
    """A named structure that a campaign explores.

    frozen: indices of atoms that never move (their forces are masked in training)
    charge: total charge, e;  multiplicity: 2S+1
    """

    name: str
    frame: Frame
    charge: int = 0
    multiplicity: int = 1
    frozen: tuple[int, ...] = ()


# --------------------------------------------------------------------------- labels


class Purpose(enum.Enum):
    """Why a reference calculation was paid for."""

    INITIAL = "initial"
    """the first segment of each system"""
    SEGMENT = "segment"
    """reference MD from t_next"""
    OPTIMISE = "optimise"
    """geometry optimisation of a start that the bounds refused"""
    BISECT = "bisect"
    """single points that look for the last good frame before t_cp"""
    SUSPECT = "suspect"
    """one point that decides whether an energy outside the labelled range is wrong"""
    SINGLE = "single"
    """single points chosen by a sampler"""
    AUDIT = "audit"
    """frames of surviving MD: is the survivor right?"""
    TEST = "test"
    """an independent reference trajectory"""
    COMMAND = "command"
    """asked for by hand"""


@dataclass(frozen=True)
class LevelOfTheory:
    """All that changes a label's value. Two labels may be merged iff their fingerprints agree.

    settings: (name, value) pairs, sorted by name; values are str, int, float, bool or None
    """

    program: str
    version_class: str
    method: str
    settings: tuple[tuple[str, str | int | float | bool | None], ...] = ()

    @property
    def fingerprint(self) -> str:
        text = json.dumps(
            [self.program, self.version_class, self.method, sorted(self.settings)],
            sort_keys=True,
            separators=(",", ":"),
        )
        return hashlib.sha256(text.encode()).hexdigest()


def label_key(frame: Frame, level: LevelOfTheory) -> str:
    """The physics key of a label: SHA-256 of frame key and level of theory."""
    return hashlib.sha256(f"{frame.key}:{level.fingerprint}".encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Label:
    """energy: eV;  forces: (n_atoms, 3), eV/Å;  virial: (3, 3), eV;  charges: (n_atoms,), e"""

    energy: float
    forces: FloatArray
    virial: FloatArray | None = None
    charges: FloatArray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "energy", float(self.energy))
        object.__setattr__(self, "forces", frozen_array(self.forces, (None, 3), "forces"))
        if self.virial is not None:
            object.__setattr__(self, "virial", frozen_array(self.virial, (3, 3), "virial"))
        if self.charges is not None:
            object.__setattr__(self, "charges", frozen_array(self.charges, (None,), "charges"))


@dataclass(frozen=True)
class Origin:
    """Where a labelled frame came from.

    plan: id of the request;  index: position in its segment (or among its single points)
    time_fs: time in the reference segment, or in the model's MD for single points
    """

    purpose: Purpose
    generation: int
    system: str
    plan: str
    index: int
    time_fs: float | None = None


@dataclass(frozen=True, eq=False)
class Labelled:
    """A frame with its label.

    program_version: exact version of the code that made it
    seconds: wall time of the evaluation;  cached: taken from the bank, not paid for now
    temperature_k: kinetic temperature in reference MD, if it came from MD
    """

    frame: Frame
    label: Label
    level: LevelOfTheory
    origin: Origin
    program_version: str
    seconds: float
    cached: bool = False
    temperature_k: float | None = None
    velocities: FloatArray | None = None

    @property
    def key(self) -> str:
        return label_key(self.frame, self.level)


class Failure(enum.Enum):
    """What a failed reference calculation means for what to do next."""

    NOT_CONVERGED = "not_converged"
    SOLVER = "solver"
    BAD_GEOMETRY = "bad_geometry"
    OUT_OF_MEMORY = "out_of_memory"
    OUT_OF_TIME = "out_of_time"
    PROGRAM = "program"
    INFRASTRUCTURE = "infrastructure"
    NON_FINITE = "non_finite"
    ABSURD = "absurd"


@dataclass(frozen=True, eq=False)
class LabelFailure:
    """A frame that got no usable label. A value, not an exception.

    directory: where the program's files are kept, if it left any
    cached: known from the bank, not paid for now
    """

    frame: Frame
    level: LevelOfTheory
    origin: Origin
    reason: Failure
    message: str
    retry_can_help: bool = False
    directory: Path | None = None
    seconds: float = 0.0
    cached: bool = False

    @property
    def key(self) -> str:
        return label_key(self.frame, self.level)


# --------------------------------------------------------------------------- label requests


@dataclass(frozen=True, eq=False)
class Start:
    """A frame from which labels may start.

    velocities: (n_atoms, 3), Å/fs, or ``None`` (drawn anew)
    time_fs: when it was, in the replica's MD;  model_*: what the model said there
    """

    frame: Frame
    time_fs: float | None = None
    velocities: FloatArray | None = None
    model_energy: float | None = None
    model_forces: FloatArray | None = None


@dataclass(frozen=True)
class SegmentSpec:
    """A short reference MD: NVT, velocities drawn at ``temperature_k`` with ``seed``.

    Every ``stride``-th frame becomes training data; every step is an evaluation.
    thermostat: "langevin", "csvr", "nose-hoover" or "none" (NVE)
    """

    n_steps: int
    timestep_fs: float
    temperature_k: float
    stride: int = 1
    thermostat: str = "csvr"
    damping_fs: float = 50.0
    seed: int = 0


@dataclass(frozen=True)
class OptimiseSpec:
    """Geometry optimisation: stop at ``max_force`` (eV/Å) or after ``max_steps``."""

    max_force: float = 0.5
    max_steps: int = 50
    max_displacement_angstrom: float = 0.1


@dataclass(frozen=True)
class AcceptBounds:
    """A start is accepted when its label lies within all of these (``None``: not asked).

    max_force: largest force component norm, eV/Å
    max_energy: eV above ``reference_energy``
    """

    max_force: float | None = None
    max_energy_above: float | None = None
    reference_energy: float | None = None


@dataclass(frozen=True)
class BisectSpec:
    """Look backwards over the starts for the last one whose model force error is in bound.

    max_relative_error: force RMSE over RMS reference force, at most
    max_evaluations: single points that may be spent on the search
    """

    max_relative_error: float
    max_evaluations: int


@dataclass(frozen=True, eq=False)
class LabelPlan:
    """One request: what to label, in order of preference, and what to do when refused.

    With ``segment`` ``None`` each start is a single point of its own. Otherwise one start is
    chosen: by ``bisect`` where given, else the first within ``bounds``; if none is, the first is
    optimised (``optimise``), and the segment is run from there.
    """

    id: str
    system: str
    purpose: Purpose
    starts: tuple[Start, ...]
    segment: SegmentSpec | None = None
    bounds: AcceptBounds | None = None
    bisect: BisectSpec | None = None
    optimise: OptimiseSpec | None = None
    reason: str = ""


class Rung(enum.Enum):
    """Which rung of a plan held."""

    PREFERRED = "preferred"
    """the first start was good"""
    FURTHER_BACK = "further_back"
    """an earlier start was taken"""
    OPTIMISED = "optimised"
    """a start was optimised first"""
    SINGLE_POINTS = "single_points"
    """single points, no segment"""
    NONE = "none"
    """no start could be labelled"""


@dataclass(frozen=True, eq=False)
class PlanOutcome:
    """What LABEL made of a plan.

    start_index: which of the plan's starts; ``None`` when none held
    """

    plan_id: str
    system: str
    purpose: Purpose
    rung: Rung
    start_index: int | None
    labelled: tuple[Labelled, ...]
    failures: tuple[LabelFailure, ...]
    n_evaluations: int
    message: str = ""


# --------------------------------------------------------------------------- data sets


@dataclass(frozen=True, eq=False)
class FrameSet:
    """Labelled frames that share species and periodicity, as arrays.

    positions: (n_frames, n_atoms, 3), Å;  cells: (n_frames, 3, 3), Å, or ``None``
    energies: (n_frames,), eV;  forces: (n_frames, n_atoms, 3), eV/Å
    virials: (n_frames, 3, 3), eV, or ``None``
    force_mask: (n_atoms,), 0 for atoms whose forces are not trained on, or ``None``
    """

    system: str
    species: tuple[str, ...]
    pbc: tuple[bool, bool, bool]
    positions: FloatArray
    cells: FloatArray | None
    energies: FloatArray
    forces: FloatArray
    virials: FloatArray | None = None
    force_mask: FloatArray | None = None

    @property
    def n_frames(self) -> int:
        return int(self.positions.shape[0])

    @property
    def n_atoms(self) -> int:
        return len(self.species)


class Split(enum.Enum):
    """Which part of the data a frame set belongs to."""

    TRAINING = "training"
    VALIDATION = "validation"


@dataclass(frozen=True, eq=False)
class DatasetPart:
    """A block of the data: one (generation, plan, split).

    weight: how often it is drawn, relative to its number of frames (replay of old data)
    reference_md: frames of reference MD: they say which energies and distances are physical;
        single points beside a catastrophe do not
    """

    name: str
    split: Split
    generation: int
    frames: FrameSet
    weight: float = 1.0
    reference_md: bool = True


@dataclass(frozen=True, eq=False)
class Dataset:
    """All that a model is trained on, in the order it came."""

    parts: tuple[DatasetPart, ...]

    def of(self, split: Split) -> tuple[DatasetPart, ...]:
        return tuple(part for part in self.parts if part.split is split)

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(sorted({s for part in self.parts for s in part.frames.species}))

    def n_frames(self, split: Split) -> int:
        return sum(part.frames.n_frames for part in self.of(split))


# --------------------------------------------------------------------------- models


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

    preamble: commands before ``pair_style`` (``plugin load …``)
    coeff: ``pair_coeff`` arguments; ``{elements}`` stands for the symbols in type order
    environment: variables the process needs, as (name, value)
    """

    style: str
    coeff: tuple[str, ...] = ("* * {elements}",)
    preamble: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


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
class TrainingSchedule:
    """How one generation is trained.

    steps, start_lr, stop_lr: optimiser steps and the ends of the exponential decay
    energy_prefactor, force_prefactor, virial_prefactor: (start, end) of the loss prefactors
    chunk_steps: in the exact setting, steps between restart points; ``None``: one chunk
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
    chunk_steps: int | None = None


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


# --------------------------------------------------------------------------- exploration


class Ensemble(enum.Enum):
    """What is held constant beside the number of atoms and the temperature."""

    NVT = "nvt"
    NPT = "npt"


@dataclass(frozen=True)
class Condition:
    """How MD with the model is run.

    thermostat: "nose-hoover", "langevin" or "csvr";  damping in fs
    pressure_gpa: NPT only;  velocity_factor: initial velocities at this times the target
        (2 after a minimisation: equipartition halves it)
    minimise: with etol (relative), ftol (eV/Å), at most max_minimise_steps
    """

    name: str
    ensemble: Ensemble
    temperature_k: float
    timestep_fs: float
    duration_ps: float
    pressure_gpa: float | None = None
    thermostat: str = "nose-hoover"
    damping_fs: float = 50.0
    pressure_damping_fs: float = 500.0
    minimise: bool = True
    etol: float = 1e-4
    ftol: float = 1e-6
    max_minimise_steps: int = 200
    velocity_factor: float = 2.0


@dataclass(frozen=True)
class Sampling:
    """What is kept along a replica: a trace row, and frames dense late, sparse early.

    trace_every_steps: trace rows and the check interval of cheap rules
    ring_every_steps, ring_size: the dense ring before the end
    sparse_every_ps: frames kept from the whole run
    """

    trace_every_steps: int = 20
    ring_every_steps: int = 10
    ring_size: int = 64
    sparse_every_ps: float = 0.1


@dataclass(frozen=True, eq=False)
class Replica:
    """One MD run: one system, one condition, one seed.

    velocities: (n_atoms, 3), Å/fs: continue with these instead of minimising and drawing
    time_offset_fs: MD time already behind it when it continues an earlier run
    """

    id: str
    system: System
    start: Frame
    condition: Condition
    seed: int
    velocities: FloatArray | None = None
    time_offset_fs: float = 0.0


class Quantity(enum.Enum):
    """What can be measured along MD. The closed vocabulary of halt rules and traces."""

    TEMPERATURE = "temperature_k"
    POTENTIAL_ENERGY = "potential_energy"
    ENERGY_JUMP = "energy_jump"
    """|change of potential energy| since the last check, eV"""
    HEAT = "heat"
    """energy taken from the system by the thermostat since the start of dynamics, eV"""
    CONSERVED_DRIFT = "conserved_drift"
    """change of the conserved quantity since the start of dynamics, eV"""
    MAX_KINETIC = "max_kinetic"
    """largest kinetic energy of one atom, eV"""
    MAX_FORCE = "max_force"
    """largest force on one atom, eV/Å"""
    SHORTEST_DISTANCE = "shortest_distance"
    """Å; of one element pair when the rule names it"""
    NEIGHBOURS = "neighbours"
    """largest number of neighbours within the model's cutoff (of one element when named)"""
    VOLUME = "volume"
    MODEL_DEVIATION = "model_deviation"
    """largest standard deviation of a force over committee members, eV/Å"""
    KINETIC_ENERGY = "kinetic_energy"
    """trace only"""


class Relation(enum.Enum):
    """The rule fires when the quantity is … the limit, or is not finite."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True)
class HaltRule:
    """Stop the replica when ``quantity relation limit`` holds, or the quantity is NaN.

    monitor: who asked;  every_steps: check interval
    pair: element pair (SHORTEST_DISTANCE), or (element, element) for one element's quantity
    after_fs: not checked before this MD time (burn-in of a lower bound)
    average_fs: compare the mean over this long a window; ``None`` or 0: instantaneous
    suspect: firing is no verdict yet: one evaluation decides
    """

    monitor: str
    quantity: Quantity
    relation: Relation
    limit: float
    every_steps: int = 20
    pair: tuple[str, str] | None = None
    after_fs: float = 0.0
    average_fs: float | None = None
    suspect: bool = False

    def fires(self, value: float) -> bool:
        """NaN-safe: a value that compares with nothing fires."""
        if self.relation is Relation.ABOVE:
            return not value <= self.limit
        return not value >= self.limit


@dataclass(frozen=True, eq=False)
class Trace:
    """What was measured along a replica.

    time_fs: (n,) MD time from the start of dynamics, including ``time_offset_fs``
    quantities: names of the columns;  values: (n, len(quantities)); NaN where not measured
    """

    replica: str
    time_fs: FloatArray
    quantities: tuple[Quantity, ...]
    values: FloatArray

    def series(self, quantity: Quantity) -> FloatArray | None:
        """(n,) values of one quantity, or ``None`` if it was not measured."""
        if quantity not in self.quantities:
            return None
        column: FloatArray = self.values[:, self.quantities.index(quantity)]
        return column


@dataclass(frozen=True, eq=False)
class MdFrame:
    """A frame of the model's MD.

    velocities: (n_atoms, 3), Å/fs;  energy: eV;  forces: (n_atoms, 3), eV/Å, by the model
    """

    frame: Frame
    time_fs: float
    velocities: FloatArray | None = None
    energy: float | None = None
    forces: FloatArray | None = None


class Exit(enum.Enum):
    """Why a replica ended."""

    COMPLETED = "completed"
    """reached its duration"""
    HALTED = "halted"
    """a halt rule fired"""
    CRASHED = "crashed"
    """the engine gave up by itself: lost atoms, non-numeric positions"""


@dataclass(frozen=True, eq=False)
class Exploration:
    """One replica, as it ran.

    frames: in time order, sparse early and dense before the end; the last is the end itself
        (where the engine could still write it)
    halted_by: the rule that stopped it;  value: the value it saw
    md_ps: MD time of this replica, including what it continued
    """

    replica: Replica
    trace: Trace
    frames: tuple[MdFrame, ...]
    exit: Exit
    md_ps: float
    seconds: float
    halted_by: HaltRule | None = None
    value: float | None = None
    message: str = ""


@dataclass(frozen=True)
class Verdict:
    """A monitor's finding: from ``time_fs`` on this replica is not physical.

    suspect: one evaluation decides whether it is a catastrophe
    atoms: indices of the guilty atoms, where known
    """

    replica: str
    monitor: str
    criterion: str
    time_fs: float
    value: float
    limit: float
    suspect: bool = False
    atoms: tuple[int, ...] = ()


class Cause(enum.Enum):
    """What triage says a catastrophe came from. Only DATA buys labels."""

    DATA = "data"
    SETTINGS = "settings"
    NUMERICS = "numerics"
    START = "start"


@dataclass(frozen=True)
class Triage:
    """Where a catastrophe came from, and the evidence, one line each."""

    replica: str
    cause: Cause
    evidence: tuple[str, ...]
    mend: str | None = None


# --------------------------------------------------------------------------- support of the data


@dataclass(frozen=True)
class PairDistance:
    """Shortest distance (Å) between two elements seen in labelled frames."""

    pair: tuple[str, str]
    shortest_angstrom: float


@dataclass(frozen=True)
class Support:
    """What the labels of one system cover: monitors derive their limits from it.

    energy_min, energy_max: eV, over labelled frames (after any extension by a suspect that
        the labeler agreed with)
    max_force: eV/Å, largest labelled force;  n_frames: labelled frames
    """

    system: str
    n_frames: int
    energy_min: float
    energy_max: float
    energy_mean: float
    energy_std: float
    max_force: float
    distances: tuple[PairDistance, ...] = ()


# --------------------------------------------------------------------------- decisions


@dataclass(frozen=True, eq=False)
class Requests:
    """Label these, then train again."""

    plans: tuple[LabelPlan, ...]
    reason: str


@dataclass(frozen=True, eq=False)
class AuditRequest:
    """Label these frames of the survivors, then decide again."""

    plans: tuple[LabelPlan, ...]
    reason: str


@dataclass(frozen=True)
class Stable:
    """The MD is stable, and right as far as the audit says."""

    reason: str


@dataclass(frozen=True)
class Exhausted:
    """No more can be done within the rules; the reason says why."""

    reason: str


Decision = Requests | AuditRequest | Stable | Exhausted


@dataclass(frozen=True)
class AuditResult:
    """Errors on frames of surviving MD, with one-sided bootstrap upper limits (over replicas).

    relative_upper: upper 95 % limit of force RMSE / RMS reference force
    element_upper: the same for each element, as (element, limit)
    energy_upper: upper 95 % limit of the energy RMSE, eV/atom
    n_failed: audit frames that got no label (any one fails the audit)
    """

    errors: Errors
    relative_upper: float
    element_upper: tuple[tuple[str, float], ...]
    energy_upper: float
    n_failed: int
    relative_limit: float
    energy_limit: float
    min_frames: int
    passed: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Life:
    """How long one replica lived: an entry of the survival statistics."""

    generation: int
    replica: str
    system: str
    condition: str
    seed: int
    time_ps: float
    censored: bool
    verdict: Verdict | None = None


@dataclass(frozen=True, eq=False)
class GenerationSummary:
    """What a sampler may know of one committed or current generation."""

    generation: int
    lives: tuple[Life, ...]
    model_id: str
    n_evaluations: int
    audit: AuditResult | None = None
    stage_seconds: tuple[tuple[str, float], ...] = field(default=())


# --------------------------------------------------------------------------- results of stages


@dataclass(frozen=True, eq=False)
class RejectedFrame:
    """A label that the quality gate kept out of the data, with its reason."""

    item: Labelled
    reason: str
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, eq=False)
class LabelResult:
    """What LABEL made of all plans of a generation."""

    outcomes: tuple[PlanOutcome, ...]


@dataclass(frozen=True, eq=False)
class MergeResult:
    """Parts new in this generation, what the gate rejected, and the support of all data."""

    parts: tuple[DatasetPart, ...]
    rejected: tuple[RejectedFrame, ...]
    support: tuple[Support, ...]


@dataclass(frozen=True, eq=False)
class SuspectOutcome:
    """One evaluation that decided about a suspect.

    relative_error: force RMSE over RMS reference force;  energy_error_per_atom: eV/atom
    """

    verdict: Verdict
    outcome: Labelled | LabelFailure
    agreed: bool
    relative_error: float | None = None
    energy_error_per_atom: float | None = None


@dataclass(frozen=True, eq=False)
class ExploreResult:
    """One generation's MD, as judged. ``verdicts`` are catastrophes; ``lives`` the statistics."""

    explorations: tuple[Exploration, ...]
    verdicts: tuple[Verdict, ...]
    suspects: tuple[SuspectOutcome, ...]
    triages: tuple[Triage, ...]
    lives: tuple[Life, ...]
    support: tuple[Support, ...]


@dataclass(frozen=True, eq=False)
class AuditRound:
    """The labels of an audit and what they say."""

    outcomes: tuple[PlanOutcome, ...]
    result: AuditResult


@dataclass(frozen=True, eq=False)
class DecideResult:
    """The decision of a generation and the audits that led to it."""

    decision: Requests | AuditRequest | Stable | Exhausted
    audits: tuple[AuditRound, ...] = ()


@dataclass(frozen=True, eq=False)
class Challenger:
    """One attempt at a model: how it was trained, what came out, and whether it was admitted."""

    kind: str
    schedule: TrainingSchedule
    training: TrainingResult | None
    admission: Admission | None
    problem: str | None = None


@dataclass(frozen=True, eq=False)
class ModelResult:
    """What TRAIN and ADMIT came to: the challengers in order; the last one admitted is used."""

    challengers: tuple[Challenger, ...]

    @property
    def admitted(self) -> TrainingResult | None:
        last = self.challengers[-1]
        passed = last.admission is not None and last.admission.passed
        return last.training if passed else None


@dataclass(frozen=True, eq=False)
class TestResult:
    """Errors on the independent reference trajectory."""

    __test__ = False

    errors: Errors
    per_system: tuple[tuple[str, Errors], ...] = ()

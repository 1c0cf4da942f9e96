"""Labels: levels of theory, what a reference calculation gave, and why it was paid for."""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from sis_engine.records.arrays import FloatArray, frozen_array
from sis_engine.records.later import LATER
from sis_engine.records.structures import Frame


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

    @cached_property
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
    charges_level: level of theory that charges were asked for at, where it is another than
        ``level``; they could not be had where ``label.charges`` is ``None``
    handlers: changes of the solver's path that this label needed, in the order they were made, each
        as "what: from → to" ("MIXING_BETA: 0.7 → 0.3"). Never of the physics: that is ``level``
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
    handlers: tuple[str, ...] = ()
    charges_level: LevelOfTheory | None = field(default=None, metadata=LATER)

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
    handlers: what was tried, as in :class:`Labelled`, and did not help
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
    handlers: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return label_key(self.frame, self.level)

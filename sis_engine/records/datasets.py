"""Data sets: labelled frames as arrays, in blocks with a split each."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from sis_engine.records.arrays import FloatArray
from sis_engine.records.later import LATER


@dataclass(frozen=True, eq=False)
class FrameSet:
    """Labelled frames that share species and periodicity, as arrays.

    positions: (n_frames, n_atoms, 3), Å;  cells: (n_frames, 3, 3), Å, or ``None``
    energies: (n_frames,), eV;  forces: (n_frames, n_atoms, 3), eV/Å
    virials: (n_frames, 3, 3), eV, or ``None``
    charges: (n_frames, n_atoms), e, a row of NaN for a frame without; ``None``: no frame has any
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
    charges: FloatArray | None = field(default=None, metadata=LATER)

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

"""Foreign data into a campaign: the gate and a hash for every frame, arrays all the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sis_engine.records import (
    DatasetPart,
    FrameSet,
    Labelled,
    LevelOfTheory,
    Origin,
    Purpose,
    RejectedFrame,
    Split,
    System,
)
from sis_engine.storage.exchange import read_frames
from sis_engine.storage.gate import FrameBlock, GateConfig, inspect
from sis_engine.storage.splits import SplitConfig, frame_at, label_at, split_segment, taken

PLAN = "import"


@dataclass(frozen=True, eq=False)
class Imported:
    """Data parts made of foreign data, what the gate kept out, and how many frames were read."""

    parts: tuple[DatasetPart, ...]
    rejected: tuple[RejectedFrame, ...]
    n_read: int


@dataclass(frozen=True, eq=False)
class Source:
    """What is known of foreign data. level, program_version: as the user says they were made."""

    level: LevelOfTheory
    program_version: str = "unknown"
    generation: int = 0


def import_data(
    paths: Iterable[Path],
    systems: Sequence[System],
    source: Source,
    gate: GateConfig,
    splits: SplitConfig,
    *,
    seed: int,
) -> Imported:
    """Read, judge, hash and split every frame of ``paths``, block by block in bounded memory.

    Frames with the atoms of one of ``systems``, in its order, belong to it (and get its mask of
    frozen atoms); others get the name of their folder or file. Blocks count as segments in time.
    """
    parts: list[DatasetPart] = []
    rejected: list[RejectedFrame] = []
    seen: set[bytes] = set()
    n_read = 0
    for path in paths:
        for number, given in enumerate(read_frames(path)):
            frames = _assigned(given, systems)
            kept, kept_out = judge(frames, source, gate, seen, first_index=n_read)
            n_read += frames.n_frames
            rejected.extend(kept_out)
            name = f"{source.generation:04d}.{PLAN}.{path.name}.{number:04d}"
            parts.extend(_parts(kept, name, source.generation, splits, seed + len(parts)))
    return Imported(tuple(parts), tuple(rejected), n_read)


def judge(
    frames: FrameSet, source: Source, gate: GateConfig, seen: set[bytes], *, first_index: int = 0
) -> tuple[FrameSet, tuple[RejectedFrame, ...]]:
    """What passes the gate, and what does not; ``seen`` grows by the frames that pass."""
    block = FrameBlock(
        frames.pbc, frames.positions, frames.cells, frames.energies, frames.forces, frames.virials
    )
    passes = np.ones(frames.n_frames, dtype=bool)
    rejected: list[RejectedFrame] = []
    for finding in inspect(block, gate):
        for place in np.flatnonzero(finding.failed & passes):
            value = None if finding.values is None else float(finding.values[place])
            item = labelled_at(frames, int(place), source, first_index)
            rejected.append(RejectedFrame(item, finding.reason, value, finding.limit))
        passes &= ~finding.failed
    for number, key in enumerate(frame_keys(frames)):
        if passes[number] and key in seen:
            passes[number] = False
            item = labelled_at(frames, number, source, first_index)
            rejected.append(RejectedFrame(item, "duplicate"))
        elif passes[number]:
            seen.add(key)
    kept = frames if passes.all() else taken(frames, np.flatnonzero(passes))
    return kept, tuple(rejected)


def frame_keys(frames: FrameSet) -> Iterator[bytes]:
    """:attr:`Frame.key` of every frame, as 32 bytes, without making frames."""
    base = hashlib.sha256(",".join(frames.species).encode())
    ending = bytes(frames.pbc)
    for number in range(frames.n_frames):
        digest = base.copy()
        digest.update(np.ascontiguousarray(frames.positions[number]).data)
        digest.update(b"-" if frames.cells is None else frames.cells[number].tobytes())
        digest.update(ending)
        yield digest.digest()


def labelled_at(frames: FrameSet, number: int, source: Source, first_index: int = 0) -> Labelled:
    """One frame of a set as a record; it cost nothing."""
    return Labelled(
        frame=frame_at(frames, number),
        label=label_at(frames, number),
        level=source.level,
        origin=Origin(
            Purpose.INITIAL, source.generation, frames.system, PLAN, first_index + number
        ),
        program_version=source.program_version,
        seconds=0.0,
        cached=True,
    )


def as_labelled(frames: Iterable[FrameSet], source: Source) -> Iterator[Labelled]:
    """Frame sets as a stream of records, for the bank."""
    index = 0
    for block in frames:
        for number in range(block.n_frames):
            yield labelled_at(block, number, source, index)
        index += block.n_frames


def _assigned(frames: FrameSet, systems: Sequence[System]) -> FrameSet:
    for system in systems:
        if system.frame.species == frames.species and system.frame.pbc == frames.pbc:
            mask = None
            if system.frozen:
                mask = np.ones(frames.n_atoms)
                mask[list(system.frozen)] = 0.0
            return replace(frames, system=system.name, force_mask=mask)
    return frames


def _parts(
    frames: FrameSet, name: str, generation: int, splits: SplitConfig, seed: int
) -> Iterator[DatasetPart]:
    training, validation = split_segment(frames.energies, splits, seed=seed)
    for split, indices in ((Split.TRAINING, training), (Split.VALIDATION, validation)):
        if len(indices):
            yield DatasetPart(f"{name}.{split.value}", split, generation, taken(frames, indices))

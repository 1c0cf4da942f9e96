"""The quality gate: a label enters the data only if it can be right. Nothing is dropped in silence.

The authors' own released data show why: first frames of early segments lie 17 to 83 eV above the
later median, one bulk frame 812 eV, and unconverged calculations have been trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from sis_engine.records import (
    DatasetPart,
    FloatArray,
    Frame,
    Labelled,
    Purpose,
    RejectedFrame,
)
from sis_engine.storage.distances import shortest_distances

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation of a normal distribution times this is its standard deviation."""

BoolVector = npt.NDArray[np.bool_]


class GateConfig(BaseModel):
    """What a label must satisfy to become data.

    max_force: eV/Å. Bond breaking at 300-1000 K stays below about 20, a repulsive wall that a
        potential has to learn below 50; beyond it two atoms overlap or the SCF went astray.
    shortest_distance_angstrom: H-H in H2 is 0.74 Å; nothing bound comes below 0.5.
    max_net_force_per_atom: eV/Å, length of the sum of all forces by the number of atoms; ``None``
        where something outside acts (a field, a wall). Without, it is zero but for what the
        calculation left unconverged: CP2K on too coarse a grid has errors of the force several
        times as large (docs/labelers/cp2k.md).
    energy_deviations: an outlier is further from the median of its plan than so many robust
        standard deviations *and* than ``energy_floor_per_atom``
    energy_floor_per_atom: eV/atom: reactions release some eV altogether, the released data's bad
        frames lie 0.1 to 1 eV/atom off.
    min_frames_for_outliers: below so many frames a median says little and no outlier is called
    skip_first_frames: of every segment; its first frame is a start out of equilibrium
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_force: Annotated[float, Field(gt=0.0)] = 50.0
    shortest_distance_angstrom: Annotated[float, Field(ge=0.0)] = 0.5
    max_net_force_per_atom: Annotated[float, Field(gt=0.0)] | None = 0.05
    energy_deviations: Annotated[float, Field(gt=0.0)] = 8.0
    energy_floor_per_atom: Annotated[float, Field(ge=0.0)] = 0.3
    min_frames_for_outliers: Annotated[int, Field(ge=2)] = 20
    skip_first_frames: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, eq=False)
class Passed:
    """What the gate let through, in order, and what it kept out, each with its reason."""

    accepted: tuple[Labelled, ...]
    rejected: tuple[RejectedFrame, ...]


@dataclass(frozen=True, eq=False)
class FrameBlock:
    """Frames of one system at one level of theory, as arrays.

    positions: (n_frames, n_atoms, 3), Å;  cells: (n_frames, 3, 3), Å, or ``None``
    energies: (n_frames,), eV;  forces: (n_frames, n_atoms, 3), eV/Å
    virials: (n_frames, 3, 3), eV, or ``None``
    """

    pbc: tuple[bool, bool, bool]
    positions: FloatArray
    cells: FloatArray | None
    energies: FloatArray
    forces: FloatArray
    virials: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Finding:
    """One test of the gate. failed: (n_frames,);  values: (n_frames,) or ``None``"""

    reason: str
    failed: BoolVector
    values: FloatArray | None = None
    limit: float | None = None


def pass_gate(
    items: Sequence[Labelled], config: GateConfig, earlier: Iterable[DatasetPart] = ()
) -> Passed:
    """Judge labels of one or more plans; energies are compared within system, level and plan.

    earlier: data that is there already; a frame of it is a duplicate
    """
    reasons: dict[int, RejectedFrame] = {}
    for numbers in _groups(items):
        chosen = [items[number] for number in numbers]
        for finding in inspect(_block(chosen), config):
            for place in np.flatnonzero(finding.failed):
                number = numbers[int(place)]
                value = None if finding.values is None else float(finding.values[place])
                rejected = RejectedFrame(items[number], finding.reason, value, finding.limit)
                reasons.setdefault(number, rejected)
    _reject_first_frames(items, config.skip_first_frames, reasons)
    _reject_duplicates(items, earlier, reasons)
    return Passed(
        tuple(item for number, item in enumerate(items) if number not in reasons),
        tuple(reasons[number] for number in sorted(reasons)),
    )


def inspect(block: FrameBlock, config: GateConfig) -> tuple[Finding, ...]:
    """The gate's tests on arrays, the gravest first; a frame fails by the first it fails.

    ``value`` of an energy outlier is its distance from the median, eV.
    """
    finite = finite_frames(block)
    with np.errstate(invalid="ignore", over="ignore"):
        max_force = np.sqrt(np.einsum("fax,fax->fa", block.forces, block.forces).max(axis=1))
        net_force = np.linalg.norm(block.forces.sum(axis=1), axis=1) / block.forces.shape[1]
    max_net_force = (
        np.inf if config.max_net_force_per_atom is None else config.max_net_force_per_atom
    )
    shortest = _shortest(block, finite)
    distance, limit = energy_outliers(block, config, finite)
    return (
        Finding("not finite", ~finite),
        Finding("force too large", ~(max_force <= config.max_force), max_force, config.max_force),
        Finding(
            "atoms too close",
            ~(shortest >= config.shortest_distance_angstrom),
            shortest,
            config.shortest_distance_angstrom,
        ),
        Finding("net force", ~(net_force <= max_net_force), net_force, max_net_force),
        Finding("energy outlier", np.abs(distance) > limit, distance, limit),
    )


def finite_frames(block: FrameBlock) -> BoolVector:
    """(n_frames,) whether every number of a frame and its label is finite."""
    finite: BoolVector = np.isfinite(block.energies)
    for array in (block.positions, block.forces, block.cells, block.virials):
        if array is not None:
            finite = finite & np.isfinite(array.reshape(len(array), -1).sum(axis=1))
    return finite


def _shortest(block: FrameBlock, finite: BoolVector) -> FloatArray:
    """(n_frames,) shortest distance, Å; infinite where a number is missing."""
    if finite.all():
        return shortest_distances(block.positions, block.cells, block.pbc)
    found = np.full(len(finite), np.inf)
    cells = None if block.cells is None else block.cells[finite]
    found[finite] = shortest_distances(block.positions[finite], cells, block.pbc)
    return found


def energy_outliers(
    block: FrameBlock, config: GateConfig, finite: BoolVector
) -> tuple[FloatArray, float]:
    """(n_frames,) energy above the median, eV, and the limit on its absolute value, eV."""
    energies = block.energies[finite]
    if len(energies) < config.min_frames_for_outliers:
        return np.zeros(len(block.energies)), float("inf")
    median = float(np.median(energies))
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(energies - median)))
    floor = config.energy_floor_per_atom * block.positions.shape[1]
    limit = max(config.energy_deviations * sigma, floor)
    return np.where(finite, block.energies - median, 0.0), limit


def _groups(items: Sequence[Labelled]) -> list[list[int]]:
    """Indices of items whose arrays stack and whose energies compare."""
    found: dict[tuple[object, ...], list[int]] = {}
    for number, item in enumerate(items):
        key = (
            item.origin.system,
            item.origin.plan,
            item.level.fingerprint,
            item.frame.species,
            item.frame.pbc,
            item.frame.cell is None,
            item.label.virial is None,
        )
        found.setdefault(key, []).append(number)
    return list(found.values())


def _block(items: Sequence[Labelled]) -> FrameBlock:
    cells = [item.frame.cell for item in items if item.frame.cell is not None]
    virials = [item.label.virial for item in items if item.label.virial is not None]
    return FrameBlock(
        pbc=items[0].frame.pbc,
        positions=np.stack([item.frame.positions for item in items]),
        cells=np.stack(cells) if cells else None,
        energies=np.array([item.label.energy for item in items]),
        forces=np.stack([item.label.forces for item in items]),
        virials=np.stack(virials) if virials else None,
    )


def _reject_first_frames(
    items: Sequence[Labelled], n_first: int, reasons: dict[int, RejectedFrame]
) -> None:
    segment = {Purpose.INITIAL, Purpose.SEGMENT, Purpose.TEST}
    for number, item in enumerate(items):
        if item.origin.purpose in segment and item.origin.index < n_first:
            rejected = RejectedFrame(
                item, "first frames of a segment", float(item.origin.index), float(n_first)
            )
            reasons.setdefault(number, rejected)


def _reject_duplicates(
    items: Sequence[Labelled], earlier: Iterable[DatasetPart], reasons: dict[int, RejectedFrame]
) -> None:
    """The same frame twice adds weight, not knowledge."""
    seen = {key for part in earlier for key in _keys_of_likely(part, items)}
    for number, item in enumerate(items):
        if number in reasons:
            continue
        key = item.frame.key
        if key in seen:
            reasons[number] = RejectedFrame(item, "duplicate")
        seen.add(key)


def _keys_of_likely(part: DatasetPart, items: Sequence[Labelled]) -> Iterable[str]:
    """Keys of those frames of ``part`` whose first atom lies where one of ``items`` has it."""
    frames = part.frames
    wanted = [
        item.frame.positions[0, 0]
        for item in items
        if item.frame.species == frames.species and item.frame.n_atoms
    ]
    if not wanted:
        return
    for number in np.flatnonzero(np.isin(frames.positions[:, 0, 0], wanted)):
        cell = None if frames.cells is None else frames.cells[number]
        yield Frame(frames.species, frames.positions[number], cell, frames.pbc).key

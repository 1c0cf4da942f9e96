"""From labelled frames to blocks of training and validation data, and what the data support.

MD frames are correlated in time, so a random split lets the training set whisper to the validation
set. Segments are cut into blocks in time instead, with a gap of a few autocorrelation times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from sis_engine.records import (
    Dataset,
    DatasetPart,
    FloatArray,
    Frame,
    FrameSet,
    Label,
    Labelled,
    PairDistance,
    PlanOutcome,
    Purpose,
    Split,
    Support,
    System,
)
from sis_engine.storage.distances import shortest_by_elements

SOKAL_WINDOW = 5.0
"""c of Sokal's automatic window, M >= c tau(M) (Functional Integration, NATO ASI B 361 (1997))."""

IntVector = npt.NDArray[np.intp]

_SEGMENTS = {Purpose.INITIAL, Purpose.SEGMENT, Purpose.TEST}


class SplitConfig(BaseModel):
    """How labelled frames become training and validation data.

    validation_fraction: of each segment, one block at a seeded place. The paper held out 20 % as
        the tail of the trajectory; 10 % is enough for an error to two digits.
    gap_in_autocorrelation_times: frames left out between the blocks, in integrated
        autocorrelation times of the energy: after 2 tau correlation has decayed to about e^-2
    max_gap_fraction: of the segment, at most, on each side: slow drift must not eat the data
    min_frames: shorter segments go to training whole
    single_point_every: every so many single points one goes to validation; 0: none does
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    validation_fraction: Annotated[float, Field(ge=0.0, lt=0.5)] = 0.1
    gap_in_autocorrelation_times: Annotated[float, Field(ge=0.0)] = 2.0
    max_gap_fraction: Annotated[float, Field(ge=0.0, le=0.25)] = 0.05
    min_frames: Annotated[int, Field(ge=3)] = 20
    single_point_every: Annotated[int, Field(ge=0)] = 0


def split_outcome(
    outcome: PlanOutcome,
    system: System,
    generation: int,
    config: SplitConfig,
    *,
    seed: int,
) -> tuple[DatasetPart, ...]:
    """Parts of one plan: reference MD in blocks of time, single points apart from it."""
    parts: list[DatasetPart] = []
    for number, group in enumerate(_stackable(outcome.labelled)):
        name = f"{generation:04d}.{outcome.plan_id}" + (f".{number}" if number else "")
        frames = frame_set(group, system)
        segment = np.array([item.origin.purpose in _SEGMENTS for item in group])
        in_time, loose = np.flatnonzero(segment), np.flatnonzero(~segment)
        blocks = split_segment(frames.energies[in_time], config, seed=seed)
        points = _every_kth(len(loose), config.single_point_every)
        for split, block, point in zip(Split, blocks, points, strict=True):
            for label, chosen in (("", in_time[block]), (".points", loose[point])):
                if len(chosen):
                    parts.append(
                        DatasetPart(
                            f"{name}{label}.{split.value}",
                            split,
                            generation,
                            taken(frames, chosen),
                            reference_md=not label,
                        )
                    )
    return tuple(parts)


def split_segment(
    energies: FloatArray, config: SplitConfig, *, seed: int
) -> tuple[IntVector, IntVector]:
    """Indices of training and of validation frames of one segment, both in time order.

    energies: (n_frames,), eV, in time order. The gap is on both sides of the validation block.
    """
    n = len(energies)
    n_validation = round(config.validation_fraction * n)
    if n < config.min_frames or n_validation == 0:
        return np.arange(n), np.arange(0)
    tau = autocorrelation_frames(energies)
    gap = min(
        math.ceil(config.gap_in_autocorrelation_times * tau), int(config.max_gap_fraction * n)
    )
    first = int(np.random.default_rng(seed).integers(0, n - n_validation + 1))
    before = np.arange(0, max(0, first - gap))
    after = np.arange(min(n, first + n_validation + gap), n)
    return np.concatenate([before, after]), np.arange(first, first + n_validation)


def autocorrelation_frames(series: FloatArray) -> float:
    """Integrated autocorrelation time in frames, 1/2 + sum of rho(t), at least 1/2.

    Sokal's window ends the sum where noise takes over; rho by FFT. A constant series has 1/2.
    """
    n = len(series)
    centred = np.asarray(series, dtype=float) - np.mean(series)
    spectrum = np.fft.rfft(centred, n=2 * n)
    covariance = np.fft.irfft(spectrum * np.conj(spectrum))[:n]
    if n < 2 or covariance[0] <= 1e-12 * max(1.0, float(np.mean(np.abs(series)))) ** 2:
        return 0.5
    tau = 0.5
    for lag in range(1, n):
        tau += covariance[lag] / covariance[0]
        if lag >= SOKAL_WINDOW * tau:
            break
    return max(0.5, float(tau))


def frame_set(items: Sequence[Labelled], system: System) -> FrameSet:
    """Labelled frames as arrays. Virials only if every label has one; a mask for frozen atoms;
    NaN where single frames lack charges.
    """
    cells = [item.frame.cell for item in items if item.frame.cell is not None]
    virials = [item.label.virial for item in items if item.label.virial is not None]
    charges = [item.label.charges for item in items]
    mask = None
    if system.frozen:
        mask = np.ones(items[0].frame.n_atoms)
        mask[list(system.frozen)] = 0.0
    return FrameSet(
        system=system.name,
        species=items[0].frame.species,
        pbc=items[0].frame.pbc,
        positions=np.stack([item.frame.positions for item in items]),
        cells=np.stack(cells) if len(cells) == len(items) else None,
        energies=np.array([item.label.energy for item in items]),
        forces=np.stack([item.label.forces for item in items]),
        virials=np.stack(virials) if len(virials) == len(items) else None,
        force_mask=mask,
        charges=charge_rows(charges, items[0].frame.n_atoms),
    )


def frame_at(frames: FrameSet, number: int) -> Frame:
    """One frame of a set, as a record."""
    cell = None if frames.cells is None else frames.cells[number]
    return Frame(frames.species, frames.positions[number], cell, frames.pbc)


def label_at(frames: FrameSet, number: int) -> Label:
    """The label of one frame of a set, as a record."""
    virial = None if frames.virials is None else frames.virials[number]
    charges = None if frames.charges is None else frames.charges[number]
    if charges is not None and np.isnan(charges).any():  # this frame has none
        charges = None
    return Label(float(frames.energies[number]), frames.forces[number], virial, charges)


def charge_rows(charges: Sequence[FloatArray | None], n_atoms: int) -> FloatArray | None:
    """(n_frames, n_atoms), e, NaN in the rows of frames without; ``None`` if none has any."""
    if all(row is None for row in charges):
        return None
    return np.stack([np.full(n_atoms, np.nan) if row is None else row for row in charges])


def taken(frames: FrameSet, indices: IntVector) -> FrameSet:
    """The frames at ``indices``, in that order."""
    return FrameSet(
        system=frames.system,
        species=frames.species,
        pbc=frames.pbc,
        positions=frames.positions[indices],
        cells=None if frames.cells is None else frames.cells[indices],
        energies=frames.energies[indices],
        forces=frames.forces[indices],
        virials=None if frames.virials is None else frames.virials[indices],
        force_mask=frames.force_mask,
        charges=None if frames.charges is None else frames.charges[indices],
    )


def support_of(dataset: Dataset, system: str) -> Support | None:
    """What the labels of one system cover, or ``None`` if there are none.

    Where there is reference MD only that counts: a search before a catastrophe labels frames that
    no physical MD visits, and limits drawn from them would let the next model go there.
    """
    own = [part for part in dataset.parts if part.frames.system == system]
    reference = [part for part in own if part.reference_md]
    parts = [part.frames for part in reference or own]
    n_frames = sum(frames.n_frames for frames in parts)
    if n_frames == 0:
        return None
    energies = np.concatenate([frames.energies for frames in parts])
    shortest: dict[tuple[str, str], float] = {}
    for frames in parts:
        found = shortest_by_elements(frames.positions, frames.cells, frames.pbc, frames.species)
        for pair, distance in found.items():
            shortest[pair] = min(distance, shortest.get(pair, math.inf))
    return Support(
        system=system,
        n_frames=n_frames,
        energy_min=float(energies.min()),
        energy_max=float(energies.max()),
        energy_mean=float(energies.mean()),
        energy_std=float(energies.std()),
        max_force=max(float(np.linalg.norm(frames.forces, axis=2).max()) for frames in parts),
        distances=tuple(PairDistance(pair, shortest[pair]) for pair in sorted(shortest)),
    )


def _stackable(items: Sequence[Labelled]) -> list[list[Labelled]]:
    """Groups that share species, periodicity and having a cell, each in the given order."""
    found: dict[tuple[object, ...], list[Labelled]] = {}
    for item in items:
        key = (item.frame.species, item.frame.pbc, item.frame.cell is None)
        found.setdefault(key, []).append(item)
    return list(found.values())


def _every_kth(n: int, k: int) -> tuple[IntVector, IntVector]:
    """Indices left for training, and every k-th for validation."""
    number = np.arange(n)
    chosen = np.zeros(n, dtype=bool) if k == 0 else (number + 1) % k == 0
    return number[~chosen], number[chosen]

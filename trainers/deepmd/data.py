"""From data sets to DeePMD's own folders (deepmd/npy), and what the frames say of ``sel``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sis_engine.analysis import pairs
from sis_engine.errors import ConfigurationError
from sis_engine.records import DatasetPart, FloatArray, Frame, FrameSet

IMAGE_GAP_ANGSTROM = 2.0
"""Vacuum beyond the cutoff along open directions, so that images never see each other."""

SEL_FRAMES = 40
"""Frames of each block, spread evenly, in which neighbours are counted."""


@dataclass(frozen=True, eq=False)
class System:
    """Frames that DeePMD may put in one batch.

    types: (n_atoms,) indices into the type map;  boxes: (n_frames, 3, 3), Å, ``None`` if open
    force_weights: (n_atoms,), mean one over all atoms; ``None``: all alike
    """

    types: tuple[int, ...]
    positions: FloatArray
    boxes: FloatArray | None
    energies: FloatArray
    forces: FloatArray
    virials: FloatArray | None
    force_weights: FloatArray | None
    weight: float

    @property
    def n_frames(self) -> int:
        return int(self.positions.shape[0])


def type_indices(species: Sequence[str], elements: Sequence[str]) -> tuple[int, ...]:
    """Indices into the type map; ConfigurationError for an element that it lacks."""
    missing = sorted(set(species) - set(elements))
    if missing:
        raise ConfigurationError(
            f"the model does not know {', '.join(missing)}",
            key="trainer.elements",
            allowed=", ".join(elements),
            hint="add them to trainer.elements, or train a new model",
        )
    return tuple(elements.index(symbol) for symbol in species)


def boxes_of(frames: FrameSet, cutoff_angstrom: float) -> FloatArray | None:
    """Cells as DeePMD understands them: all directions periodic, or ``None``.

    Along an open direction the cell is replaced by a vector normal to the periodic ones, long
    enough that no atom sees an image.
    """
    if not any(frames.pbc) or frames.cells is None:
        return None
    if all(frames.pbc):
        return frames.cells
    pairs = zip(frames.cells, frames.positions, strict=True)
    closed = [_closed(cell, at, frames.pbc, cutoff_angstrom) for cell, at in pairs]
    return np.array(closed)


def _closed(
    cell: FloatArray, positions: FloatArray, pbc: tuple[bool, bool, bool], cutoff: float
) -> FloatArray:
    periodic = cell[list(pbc)]
    normals = np.linalg.svd(periodic)[2][len(periodic) :]
    result = np.array(cell, dtype=np.float64)
    for axis, normal in zip(np.flatnonzero(~np.array(pbc)), normals, strict=True):
        extent = float(np.ptp(positions @ normal))
        result[axis] = normal * (extent + cutoff + IMAGE_GAP_ANGSTROM)
    if np.linalg.det(result) < 0.0:
        result[np.flatnonzero(~np.array(pbc))[0]] *= -1.0
    return result


def force_weights(mask: FloatArray | None) -> FloatArray | None:
    """Weights of the atoms in DeePMD's prefactor-force loss: zero where masked, mean one.

    The loss is a mean over all atoms; scaled so, it is the mean over the atoms that count.
    """
    if mask is None or bool(np.all(mask == 1.0)):
        return None
    total = float(np.sum(mask))
    return np.asarray(mask * (len(mask) / total if total > 0.0 else 0.0))


BALANCE_RANGE = (0.25, 4.0)
"""Weights of elements stay within: noise of a nearly force-free element is not worth more."""


def balanced(parts: Sequence[DatasetPart]) -> tuple[DatasetPart, ...]:
    """The parts with atoms weighted by the inverse mean square force of their element.

    Mean squares are over all parts, relative to that of all atoms; masked atoms stay masked.
    """
    squares: dict[str, list[FloatArray]] = {}
    for part in parts:
        species = np.array(part.frames.species)
        for symbol in sorted(set(part.frames.species)):
            chosen = part.frames.forces[:, species == symbol]
            squares.setdefault(symbol, []).append((chosen**2).ravel())
    means = {symbol: float(np.mean(np.concatenate(found))) for symbol, found in squares.items()}
    overall = float(np.mean(np.concatenate([f for found in squares.values() for f in found])))
    weights = {
        symbol: float(np.clip(overall / mean, *BALANCE_RANGE)) if mean > 0.0 else 1.0
        for symbol, mean in means.items()
    }
    return tuple(replace(part, frames=_weighted(part.frames, weights)) for part in parts)


def _weighted(frames: FrameSet, weights: Mapping[str, float]) -> FrameSet:
    mask = np.array([weights[symbol] for symbol in frames.species])
    if frames.force_mask is not None:
        mask = mask * frames.force_mask
    return replace(frames, force_mask=mask)


def systems_of(
    parts: Sequence[DatasetPart], elements: Sequence[str], cutoff_angstrom: float
) -> tuple[System, ...]:
    """Parts with the same atoms, labels, mask and weight become one system, in order of coming.

    One system, one batch: the more parts share a system, the better mixed the batches.
    """
    groups: dict[tuple[object, ...], list[DatasetPart]] = {}
    for part in parts:
        frames = part.frames
        mask = None if frames.force_mask is None else frames.force_mask.tobytes()
        key = (frames.species, any(frames.pbc), frames.virials is not None, mask, part.weight)
        if frames.n_frames and part.weight > 0.0:
            groups.setdefault(key, []).append(part)
    return tuple(_merged(group, elements, cutoff_angstrom) for group in groups.values())


def _merged(group: Sequence[DatasetPart], elements: Sequence[str], cutoff: float) -> System:
    first = group[0].frames
    sets = [part.frames for part in group]
    boxes = [box for box in (boxes_of(item, cutoff) for item in sets) if box is not None]
    virials = [item.virials for item in sets if item.virials is not None]
    return System(
        types=type_indices(first.species, elements),
        positions=np.concatenate([item.positions for item in sets]),
        boxes=np.concatenate(boxes) if boxes else None,
        energies=np.concatenate([item.energies for item in sets]),
        forces=np.concatenate([item.forces for item in sets]),
        virials=np.concatenate(virials) if virials else None,
        force_weights=force_weights(first.force_mask),
        weight=group[0].weight,
    )


def write_system(system: System, folder: Path, elements: Sequence[str], *, masked: bool) -> None:
    """One deepmd/npy folder. ``masked``: write ``atom_pref`` even where all atoms count.

    A virial file is written only where there are virials: DeePMD takes a missing file as
    "not labelled" and leaves it out of the loss.
    """
    block = folder / "set.000"
    block.mkdir(parents=True)
    n_frames, n_atoms = system.n_frames, len(system.types)
    (folder / "type.raw").write_text("".join(f"{kind}\n" for kind in system.types))
    (folder / "type_map.raw").write_text("".join(f"{symbol}\n" for symbol in elements))
    if system.boxes is None:
        (folder / "nopbc").touch()
        boxes = np.tile(np.eye(3) * 100.0, (n_frames, 1, 1))
    else:
        boxes = system.boxes
    arrays = {
        "coord": system.positions,
        "box": boxes,
        "energy": system.energies,
        "force": system.forces,
    }
    if system.virials is not None:
        arrays["virial"] = system.virials
    if masked:
        weights = np.ones(n_atoms) if system.force_weights is None else system.force_weights
        arrays["atom_pref"] = np.tile(weights, (n_frames, 1))
    for name, values in arrays.items():
        flat = np.ascontiguousarray(values, dtype=np.float64).reshape(n_frames, -1)
        np.save(block / f"{name}.npy", flat, allow_pickle=False)


def probabilities(systems: Sequence[System], batch_size: int) -> list[float]:
    """How often DeePMD draws a batch of each system: weight times number of batches, normalised.

    A batch of a small system is smaller, so that a frame is drawn in proportion to its weight.
    """
    batches = [system.weight * -(-system.n_frames // batch_size) for system in systems]
    total = sum(batches)
    return [value / total for value in batches]


def rms_force(systems: Sequence[System]) -> float:
    """RMS reference force component of all frames, eV/Å."""
    squares = sum(float(np.sum(system.forces**2)) for system in systems)
    return float(np.sqrt(squares / max(1, sum(system.forces.size for system in systems))))


def spread(n_frames: int, most: int) -> FloatArray:
    """Indices of at most ``most`` frames, spread evenly, first and last among them."""
    return np.unique(np.linspace(0, n_frames - 1, min(n_frames, most)).round().astype(int))


def neighbour_counts(
    systems: Sequence[System], elements: Sequence[str], cutoff_angstrom: float
) -> tuple[tuple[int, ...], int]:
    """Largest number of neighbours of each element, and of all together, within the cutoff."""
    return counts_in(_frames_to_count(systems, elements), elements, cutoff_angstrom)


def counts_in(
    frames: Iterable[Frame], elements: Sequence[str], cutoff_angstrom: float
) -> tuple[tuple[int, ...], int]:
    """The same of single frames."""
    by_element = dict.fromkeys(elements, 0)
    together = 0
    for frame in frames:
        counts = pairs.neighbour_counts(frame, cutoff_angstrom)
        for element in elements:
            by_element[element] = max(by_element[element], int(counts.of(element).max()))
        together = max(together, int(counts.of(None).max()))
    return tuple(by_element.values()), together


def _frames_to_count(systems: Sequence[System], elements: Sequence[str]) -> Iterator[Frame]:
    for system in systems:
        species = tuple(elements[kind] for kind in system.types)
        for index in spread(system.n_frames, SEL_FRAMES):
            box = None if system.boxes is None else system.boxes[index]
            yield Frame(species, system.positions[index], box, (box is not None,) * 3)

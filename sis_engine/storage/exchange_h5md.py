"""Labelled data as H5MD files that other programs open as they are.

One file a system with one particle group, called ``trajectory``: MDAnalysis takes the name and the
first group only, znh5md any. Forces are there twice, since the two disagree: ``force`` in a unit
that MDAnalysis knows, ``forces`` in eV/Å, as znh5md takes it (it reads no units, and the later of
the two names). Readers here look at units, and refuse one they do not know.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ase.data import chemical_symbols

from sis_engine import __version__
from sis_engine.errors import ConfigurationError
from sis_engine.records import FloatArray, Frame, FrameSet, Label
from sis_engine.storage.atomic import DurableFile, write_file
from sis_engine.storage.datasets import FILTERS, chunk_shape
from sis_engine.storage.h5md import Elements, unused_name, write_particles, write_root
from sis_engine.storage.splits import label_at
from sis_engine.units import EV_KCAL_PER_MOL, EV_KJ_PER_MOL

H5MD_SUFFIXES = frozenset({".h5", ".h5md", ".hdf5"})
ONLY_GROUP = "trajectory"
FORCE_UNIT = "kJ mol-1 Angstrom-1"
BLOCK_STARTS = "block_starts"
"""Index of the first frame of each block (frames that followed each other in time)."""

ARRAYS = ("positions", "cells", "forces", "energies", "virials", "charges")

LENGTHS = {"Angstrom": 1.0, "angstrom": 1.0, "A": 1.0, "nm": 10.0, "pm": 0.01}
ENERGIES = {"eV": 1.0, "kJ mol-1": 1 / EV_KJ_PER_MOL, "kcal mol-1": 1 / EV_KCAL_PER_MOL}
FORCES = {
    "eV Angstrom-1": 1.0,
    "eV/Angstrom": 1.0,
    "kJ mol-1 Angstrom-1": 1 / EV_KJ_PER_MOL,
    "kJ mol-1 nm-1": 0.1 / EV_KJ_PER_MOL,
    "kcal mol-1 Angstrom-1": 1 / EV_KCAL_PER_MOL,
}
CHARGES = {"e": 1.0}
"""Units that H5MD files declare, in ours; a file that declares none is taken to use ours."""


# --------------------------------------------------------------------------- reading


def read_h5md(
    path: Path, system: str | None = None, *, block_frames: Callable[[int], int]
) -> Iterator[FrameSet]:
    """Particle groups of an H5MD file that carry forces and energies, in name order.

    system: name they get; ``None``: that of the group, or of the file
    block_frames: how many frames of so many atoms may be handed out at a time
    """
    found = False
    with h5py.File(path, "r", locking=False) as store:
        for name, group in sorted(store.get("particles", {}).items()):
            if "position/value" not in group:
                continue
            source = _source_of(store, name, path)
            if source.energies is None or source.forces is None:
                continue
            found = True
            title = system or (path.stem if name == ONLY_GROUP else name)
            for block in _blocks(store, name, len(source.energies), source, block_frames):
                yield source.frames(block, title)
    if not found:
        raise ConfigurationError(
            "no particle group here has both forces and observables/<group>/energy", file=path
        )


def read_h5md_structures(path: Path) -> Iterator[tuple[str, Frame, Label | None]]:
    """Every frame of every particle group: the group's name, the frame, its label if it has one."""
    with h5py.File(path, "r", locking=False) as store:
        for name, group in sorted(store.get("particles", {}).items()):
            if "position/value" not in group:
                continue
            source = _source_of(store, name, path)
            title = path.stem if name == ONLY_GROUP else name
            for number in range(len(source.positions)):
                yield title, source.frame(number), source.label(number)


class _Source:
    """One particle group: its frames in blocks, in our units.

    forces, energies: ``None`` where its frames are not labelled
    """

    def __init__(
        self,
        path: Path,
        group: h5py.Group,
        forces: h5py.Dataset | None,
        energies: h5py.Dataset | None,
        virials: h5py.Dataset | None,
    ) -> None:
        stored = group["species"]
        numbers = stored["value"][0] if isinstance(stored, h5py.Group) else stored[()]
        self.species = tuple(chemical_symbols[k] for k in np.atleast_2d(numbers)[0])
        boundary = [_text(item) == "periodic" for item in group["box"].attrs["boundary"]]
        self.pbc = (boundary[0], boundary[1], boundary[2])
        self.edges = group.get("box/edges/value", group.get("box/edges"))
        self.path, self.forces, self.energies, self.virials = path, forces, energies, virials
        self.positions = group["position/value"]
        self.charges = group.get("charge/value")

    def frames(self, block: slice, name: str) -> FrameSet:
        """Labelled frames. Raises TypeError where they are not."""
        if self.energies is None or self.forces is None:
            raise TypeError(f"{name} has no energies and forces")
        return FrameSet(
            system=name,
            species=self.species,
            pbc=self.pbc,
            positions=self._in(self.positions, block, LENGTHS),
            cells=self._cells(block),
            energies=self._in(self.energies, block, ENERGIES),
            forces=self._in(self.forces, block, FORCES),
            virials=None if self.virials is None else self._in(self.virials, block, ENERGIES),
            charges=None if self.charges is None else self._in(self.charges, block, CHARGES),
        )

    def frame(self, number: int) -> Frame:
        at = slice(number, number + 1)
        cells = self._cells(at)
        cell = None if cells is None else cells[0]
        return Frame(self.species, self._in(self.positions, at, LENGTHS)[0], cell, self.pbc)

    def label(self, number: int) -> Label | None:
        if self.energies is None or self.forces is None:
            return None
        return label_at(self.frames(slice(number, number + 1), ""), 0)

    def _cells(self, block: slice) -> FloatArray | None:
        if not any(self.pbc):
            return None
        return _factor(self.edges, LENGTHS, self.path) * _edges(self.edges, block)

    def _in(self, dataset: h5py.Dataset, block: slice, known: Mapping[str, float]) -> FloatArray:
        values: FloatArray = dataset[block].astype(np.float64)
        return _factor(dataset, known, self.path) * values


def _source_of(store: h5py.File, name: str, path: Path) -> _Source:
    group = store[f"particles/{name}"]
    observables = store.get(f"observables/{name}", {})
    energies = observables.get("energy", observables.get("potential_energy"))
    forces = group.get("forces", group.get("force"))
    return _Source(
        path,
        group,
        None if forces is None else forces["value"],
        None if energies is None else energies["value"],
        observables.get("virial/value"),
    )


def _factor(dataset: h5py.Dataset, known: Mapping[str, float], path: Path) -> float:
    """From the unit that the dataset declares to ours."""
    unit = dataset.attrs.get("unit")
    if unit is None:
        return 1.0
    if _text(unit) not in known:
        raise ConfigurationError(
            f"{dataset.name} is in {_text(unit)!r}, which is not known here",
            file=path,
            allowed=", ".join(known),
            hint="convert it, or import the data as extxyz",
        )
    return known[_text(unit)]


def _blocks(
    store: h5py.File, name: str, n_frames: int, source: _Source, most: Callable[[int], int]
) -> Iterator[slice]:
    """Slices that do not cross from one block of time to the next, none too large."""
    starts = store.get(f"parameters/{name}/{BLOCK_STARTS}")
    edges = [0, n_frames] if starts is None else [*map(int, starts[()]), n_frames]
    step = most(len(source.species))
    for begin, end in itertools.pairwise(edges):
        for start in range(begin, end, step):
            yield slice(start, min(start + step, end))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _edges(edges: h5py.Dataset, block: slice) -> FloatArray:
    """(n_frames, 3, 3): H5MD edges may be fixed, and a vector in a cuboid box."""
    fixed = edges.ndim == 1 or edges.shape == (3, 3)
    found = edges[()] if fixed else edges[block]
    if found.shape[-1:] == (3,) and found.shape[-2:] != (3, 3):
        found = found[..., None] * np.eye(3)
    shape = (block.stop - block.start, 3, 3)
    return np.array(np.broadcast_to(found, shape), dtype=np.float64)


# --------------------------------------------------------------------------- writing


def write_h5md(frames: Iterable[FrameSet], path: Path) -> int:
    """Frames with forces and energies, those of one system as one trajectory; frames written.

    path: a file for all (MDAnalysis reads its first group only), or a folder for a file a system
    """
    systems = _by_system(frames)
    if path.suffix in H5MD_SUFFIXES:
        _write(path, systems)
    else:
        for name, blocks in systems.items():
            _write(path / f"{name}.h5md", {name: blocks})
    return sum(block.n_frames for blocks in systems.values() for block in blocks)


def _by_system(frames: Iterable[FrameSet]) -> dict[str, list[FrameSet]]:
    """What can be one trajectory: the same atoms, periodicity and labels, named by its system."""
    groups: dict[Any, list[FrameSet]] = {}
    for block in frames:
        kind = (block.system, block.species, block.pbc, block.virials is None)
        groups.setdefault(kind, []).append(block)
    named: dict[str, list[FrameSet]] = {}
    for (system, *_), blocks in groups.items():
        named[unused_name(named, system)] = blocks
    return named


def _write(path: Path, systems: Mapping[str, Sequence[FrameSet]]) -> None:
    def fill(file: DurableFile) -> None:
        with h5py.File(file, "w") as store:
            write_root(store, version=__version__)
            for name, blocks in systems.items():
                _write_trajectory(store, ONLY_GROUP if len(systems) == 1 else name, blocks)

    write_file(path, fill)


def _write_trajectory(store: h5py.File, name: str, blocks: Sequence[FrameSet]) -> None:
    arrays = store.create_group(f"parameters/{name}")
    starts = [0, *itertools.accumulate(block.n_frames for block in blocks)]
    arrays[BLOCK_STARTS] = np.array(starts[:-1], dtype=np.int64)
    kept = {
        key: _stacked(arrays, key, blocks, starts)
        for key in ARRAYS
        if any(getattr(block, key) is not None for block in blocks)
    }
    write_particles(store, name, Elements(blocks[0].species, blocks[0].pbc, starts[-1], **kept))
    group = store[f"particles/{name}"]
    element = group.create_group("force")
    value = _stacked(element, "value", blocks, starts, of="forces", factor=EV_KJ_PER_MOL)
    value.attrs["unit"] = FORCE_UNIT
    for shared in ("step", "time"):
        element[shared] = group[f"position/{shared}"]


def _stacked(
    group: h5py.Group,
    name: str,
    blocks: Sequence[FrameSet],
    starts: Sequence[int],
    *,
    of: str | None = None,
    factor: float = 1.0,
) -> h5py.Dataset:
    """One array of all blocks, times ``factor``; NaN where a block has none (charges)."""
    arrays = [getattr(block, of or name) for block in blocks]
    first = next(array for array in arrays if array is not None)
    shape = (starts[-1], *first.shape[1:])
    chunks = chunk_shape(shape, first.itemsize)
    dataset = group.create_dataset(name, shape, first.dtype, chunks=chunks, **FILTERS)
    for array, (start, end) in zip(arrays, itertools.pairwise(starts), strict=True):
        dataset[start:end] = np.nan if array is None else factor * array
    return dataset

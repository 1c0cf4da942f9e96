"""The H5MD 1.1 view of a generation file, so that OVITO, MDAnalysis and znh5md open it.

P. de Buyl, P. H. Colberg, F. Höfling, Comput. Phys. Commun. 185, 1546 (2014) and
https://www.nongnu.org/h5md/h5md.html. Arrays are not stored twice: values are hard links to the
datasets that the codec wrote.

Written for what readers do, all of it legal H5MD: znh5md wants species as a time-dependent element
and edges even without periodicity (zero there); MDAnalysis wants a time with a unit in every
element (where no time is known it is the frame's number, and an attribute says so) and refuses a
``force`` whose unit it does not know, so ours, in eV/Å, is called ``forces``. It reads the first
particle group only, and of it no more frames than the shortest group has: what other programs are
to read is exported, a file a system (:mod:`sis_engine.storage.exchange_h5md`).
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass

import h5py
import numpy as np
from ase.data import atomic_numbers

from sis_engine.records import DatasetPart, Exploration, PlanOutcome
from sis_engine.storage.datasets import write_array

VERSION = (1, 1)
LENGTH_UNIT = "Angstrom"
TIME_UNIT = "fs"
VELOCITY_UNIT = "Angstrom fs-1"
FORCE_UNIT = "eV Angstrom-1"
NO_TIME = "number of the frame: these frames are no time series"
ENERGY_UNIT = "eV"
CHARGE_UNIT = "e"


@dataclass(frozen=True)
class Elements:
    """Where the codec put what a particle group needs; ``None``: not there for every frame."""

    species: tuple[str, ...]
    pbc: tuple[bool, bool, bool]
    n_frames: int
    positions: h5py.Dataset
    cells: h5py.Dataset | None = None
    velocities: h5py.Dataset | None = None
    forces: h5py.Dataset | None = None
    energies: h5py.Dataset | None = None
    virials: h5py.Dataset | None = None
    charges: h5py.Dataset | None = None
    times_fs: tuple[float, ...] | None = None


def write_root(store: h5py.File, *, version: str, author: str = "sis-engine campaign") -> None:
    """The ``h5md`` group that makes a file an H5MD file."""
    root = store.create_group("h5md")
    root.attrs["version"] = np.array(VERSION, dtype=np.int32)
    root.create_group("author").attrs["name"] = author
    creator = root.create_group("creator")
    creator.attrs["name"] = "sis-engine"
    creator.attrs["version"] = version
    units = root.create_group("modules/units")
    units.attrs["version"] = np.array((1, 0), dtype=np.int32)


def link_outcome(store: h5py.File, name: str, outcome: PlanOutcome, group: h5py.Group) -> None:
    """``particles/<name>``: the labelled frames of one plan, stored at ``group``."""
    items = outcome.labelled
    if not items or len({item.frame.species for item in items}) != 1:
        return
    frame, label = "labelled/items/frame", "labelled/items/label"
    times = tuple(item.origin.time_fs for item in items if item.origin.time_fs is not None)
    elements = Elements(
        species=items[0].frame.species,
        pbc=items[0].frame.pbc,
        n_frames=len(items),
        positions=group[f"{frame}/positions"],
        cells=_all_present(group, f"{frame}/cell"),
        forces=group[f"{label}/forces"],
        energies=group[f"{label}/energy"],
        virials=_all_present(group, f"{label}/virial"),
        charges=_all_present(group, f"{label}/charges"),
        times_fs=times if len(times) == len(items) else None,
    )
    write_particles(store, name, elements)


def link_exploration(store: h5py.File, run: Exploration, group: h5py.Group) -> None:
    """``particles/<replica>``: the frames kept of one replica, stored at ``group``."""
    if not run.frames:
        return
    items = "frames/items"
    elements = Elements(
        species=run.frames[0].frame.species,
        pbc=run.frames[0].frame.pbc,
        n_frames=len(run.frames),
        positions=group[f"{items}/frame/positions"],
        cells=_all_present(group, f"{items}/frame/cell"),
        velocities=_all_present(group, f"{items}/velocities"),
        forces=_all_present(group, f"{items}/forces"),
        energies=_all_present(group, f"{items}/energy", "float"),
        times_fs=tuple(item.time_fs for item in run.frames),
    )
    write_particles(store, run.replica.id, elements)


def link_part(store: h5py.File, part: DatasetPart, group: h5py.Group) -> None:
    """``particles/<part>``: one block of the data set, stored at ``group``."""
    if part.frames.n_frames == 0:
        return
    elements = Elements(
        species=part.frames.species,
        pbc=part.frames.pbc,
        n_frames=part.frames.n_frames,
        positions=group["frames/positions"],
        cells=_all_present(group, "frames/cells"),
        forces=group["frames/forces"],
        energies=group["frames/energies"],
        virials=_all_present(group, "frames/virials"),
        charges=_all_present(group, "frames/charges"),
    )
    write_particles(store, part.name, elements)


def write_particles(store: h5py.File, name: str, elements: Elements) -> None:
    """One particle group with its box and, as observables, the energies."""
    safe = unused_name(store.require_group("particles"), name)
    group = store["particles"].create_group(safe)
    steps = _steps(group, elements)
    _write_box(group, elements, steps)
    _write_species(group, elements, steps)
    optional = (
        ("velocity", elements.velocities, VELOCITY_UNIT, 2),
        ("forces", elements.forces, FORCE_UNIT, 2),
        ("charge", elements.charges, CHARGE_UNIT, 1),
    )
    n = elements.n_frames
    _element(group, "position", elements.positions, n, steps, LENGTH_UNIT)
    for key, dataset, unit, rank in optional:
        if dataset is not None:
            _element(group, key, dataset, n, steps, unit, rank)
    for key, dataset, rank in (("energy", elements.energies, 0), ("virial", elements.virials, 2)):
        if dataset is not None:
            observables = store.require_group("observables").require_group(safe)
            _element(observables, key, dataset, n, steps, ENERGY_UNIT, rank)


def unused_name(group: Container[str], name: str) -> str:
    """``name`` as the name of a link or file that is not taken yet."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name) or "frames"
    count, candidate = 1, safe
    while candidate in group:
        count += 1
        candidate = f"{safe}.{count}"
    return candidate


Steps = tuple[h5py.Dataset, h5py.Dataset]


def _steps(group: h5py.Group, elements: Elements) -> Steps:
    """Step and time datasets that all elements of the group share, as H5MD allows."""
    times = elements.times_fs
    grows = times is not None and _increases(times)
    position = group.create_group("position")
    step = position.create_dataset("step", data=np.arange(elements.n_frames, dtype=np.int64))
    numbers = np.arange(elements.n_frames, dtype=np.float64)
    time = position.create_dataset("time", data=np.array(times) if grows else numbers)
    time.attrs["unit"] = TIME_UNIT
    if not grows:
        time.attrs["meaning"] = NO_TIME
    return step, time


def _write_species(group: h5py.Group, elements: Elements, steps: Steps) -> None:
    numbers = np.array([atomic_numbers[symbol] for symbol in elements.species], dtype=np.int32)
    every = np.broadcast_to(numbers, (elements.n_frames, len(numbers)))
    dataset = write_array(group.create_group("species"), "value", every)
    _element(group, "species", dataset, elements.n_frames, steps, None, rank=1)


def _write_box(group: h5py.Group, elements: Elements, steps: Steps) -> None:
    box = group.create_group("box")
    box.attrs["dimension"] = np.int32(3)
    boundary = ["periodic" if periodic else "none" for periodic in elements.pbc]
    box.attrs.create("boundary", boundary, dtype=h5py.string_dtype())
    edges = elements.cells
    if edges is None:
        nothing = np.zeros((elements.n_frames, 3, 3))
        edges = write_array(box.create_group("edges"), "value", nothing)
    _element(box, "edges", edges, elements.n_frames, steps, LENGTH_UNIT)


def _element(
    group: h5py.Group,
    name: str,
    dataset: h5py.Dataset,
    n_frames: int,
    steps: Steps,
    unit: str | None,
    rank: int = 2,
) -> None:
    element = group.require_group(name)
    stacked = dataset.ndim == rank + 1 and dataset.shape[0] == n_frames
    if not stacked:  # one frame: the codec keeps it without the leading axis that H5MD wants
        element.create_dataset("value", data=dataset[()][None])
    elif "value" not in element:
        element["value"] = dataset
    if unit is not None:
        element["value"].attrs["unit"] = unit
    for key, shared in zip(("step", "time"), steps, strict=True):
        if key not in element:
            element[key] = shared


def _all_present(group: h5py.Group, path: str, kind: str = "ndarray") -> h5py.Dataset | None:
    """The dataset of an optional field that every frame has, else ``None``."""
    return group.get(f"{path}/{kind}") if "which" in group[path].attrs else None


def _increases(times: Sequence[float]) -> bool:
    return bool(np.all(np.diff(np.asarray(times)) > 0.0))

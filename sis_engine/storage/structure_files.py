"""Structures from any file, labelled or not, with what the file knows of where they came from.

Read whole: what is to be labelled one by one fits into memory. :mod:`sis_engine.storage.exchange`
streams labelled data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sis_engine.errors import ConfigurationError
from sis_engine.records import Frame, FrameSet, Label
from sis_engine.storage.exchange import read_deepmd, virial_of
from sis_engine.storage.exchange_h5md import H5MD_SUFFIXES, read_h5md_structures
from sis_engine.storage.splits import frame_at, label_at
from sis_engine.structures import frame_of

FORMATS = (
    "a deepmd/npy folder, an H5MD file (.h5, .h5md), or any file that ASE reads (extxyz, CIF, "
    "POSCAR, traj, …); --input-format names one of ASE's or dpdata's formats"
)


@dataclass(frozen=True)
class History:
    """What is known of a frame's past; ``None``: not known.

    split: "training", "validation" or "test";  purpose: why it was labelled
    time_fs: in its MD;  level, method: fingerprint and name of the level of theory of its label
    """

    split: str | None = None
    purpose: str | None = None
    generation: int | None = None
    plan: str | None = None
    time_fs: float | None = None
    level: str | None = None
    method: str | None = None


@dataclass(frozen=True, eq=False)
class Given:
    """One structure as it was handed in.

    source, index: its file (or folder) and its place there;  system: what it is called there
    charge, multiplicity: as the file says, or ``None``;  label: the one it has, or ``None``
    """

    frame: Frame
    source: str
    index: int
    system: str | None = None
    charge: int | None = None
    multiplicity: int | None = None
    label: Label | None = None
    history: History = History()


def read_given(path: Path, form: str | None = None) -> tuple[Given, ...]:
    """Every structure of a file or folder, in its order.

    form: a format of ASE or dpdata; ``None``: from name and content
    Raises ConfigurationError when there is none, or it cannot be read.
    """
    if not path.exists():
        raise ConfigurationError("no such file or folder", file=path, allowed=FORMATS)
    try:
        found = tuple(_read(path, form))
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"cannot be read: {type(error).__name__}: {error}", file=path, allowed=FORMATS
        ) from error
    if not found:
        raise ConfigurationError("there is no structure in it", file=path, allowed=FORMATS)
    return found


def _read(path: Path, form: str | None) -> Iterator[Given]:
    if form is not None:
        yield from _by_name(path, form)
    elif path.is_dir():
        files = sorted(found for found in path.iterdir() if found.suffix in H5MD_SUFFIXES)
        yield from _of_h5md(files, path) if files else _of_deepmd(path)
    elif path.suffix in H5MD_SUFFIXES:
        yield from _of_h5md([path], path)
    else:
        yield from _by_ase(path, None)


def _by_name(path: Path, form: str) -> Iterator[Given]:
    """A format of ASE, else one of dpdata."""
    from ase.io.formats import ioformats

    if form in ioformats:
        yield from _by_ase(path, form)
        return
    import dpdata

    try:
        atoms = dpdata.LabeledSystem(str(path), fmt=form).to("ase/structure")
    except Exception:  # noqa: BLE001 - each format has its own way to say that labels are missing
        atoms = dpdata.System(str(path), fmt=form).to("ase/structure")
    for index, item in enumerate(atoms):
        yield _of_atoms(item, path, index)


def _by_ase(path: Path, form: str | None) -> Iterator[Given]:
    import ase.io

    for index, atoms in enumerate(ase.io.iread(path, index=":", format=form)):
        yield _of_atoms(atoms, path, index)


def _of_atoms(atoms: Any, path: Path, index: int) -> Given:
    info = atoms.info
    return Given(
        frame=frame_of(atoms),
        source=path.name,
        index=index,
        system=_text(info.get("system")),
        charge=_whole(info.get("charge")),
        multiplicity=_whole(info.get("multiplicity")),
        label=_label(atoms),
        history=History(
            split=_text(info.get("split")),
            purpose=_text(info.get("purpose")),
            generation=_whole(info.get("generation")),
            plan=_text(info.get("plan")),
            time_fs=None if info.get("time_fs") is None else float(info["time_fs"]),
            level=_text(info.get("level")),
            method=_text(info.get("method")),
        ),
    )


def _label(atoms: Any) -> Label | None:
    results = {} if atoms.calc is None else atoms.calc.results
    if "energy" not in results or "forces" not in results:
        return None
    charges = results.get("charges")
    return Label(
        float(results["energy"]),
        results["forces"],
        virial_of(atoms),
        None if charges is None else np.asarray(charges, dtype=float),
    )


def _of_deepmd(path: Path) -> Iterator[Given]:
    """Every folder with a ``type.raw``; those without labels through dpdata."""
    index = 0
    folders = sorted(found.parent for found in path.rglob("type.raw"))
    if not folders:
        raise ConfigurationError("no type.raw in or below this folder", file=path, allowed=FORMATS)
    for folder in folders:
        sets = sorted(folder.glob("set.*"))
        named = {name.name for item in sets for name in item.iterdir()}
        if {"energy.npy", "force.npy"} <= named:
            found = _of_sets(read_deepmd(folder), path)
        else:
            found = _by_name(folder, "deepmd/npy")
        name = folder.name.split(".", 1)[-1] if folder != path else None
        for given in found:
            yield replace(given, source=path.name, index=index, system=given.system or name)
            index += 1


def _of_h5md(files: Sequence[Path], path: Path) -> Iterator[Given]:
    found = (item for file in files for item in read_h5md_structures(file))
    for index, (name, frame, label) in enumerate(found):
        yield Given(frame, path.name, index, system=name, label=label)


def _of_sets(blocks: Iterator[FrameSet], path: Path) -> Iterator[Given]:
    for block in blocks:
        for number in range(block.n_frames):
            label = label_at(block, number)
            yield Given(frame_at(block, number), path.name, number, label=label)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _whole(value: Any) -> int | None:
    """A whole number from a file's own key, which may be anything."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return int(value) if float(value).is_integer() else None
    except (TypeError, ValueError):
        return None

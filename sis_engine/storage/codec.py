"""Records to HDF5 and back, driven by their type hints; no class is found by a name in a file.

``write_record`` / ``read_record`` put one frozen dataclass in a group, ``write_items`` /
``read_items`` a sequence with one group an item (each then has its own shapes and can be linked
to), ``save_record`` / ``load_record`` one sealed file. float64 survives bit by bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import h5py

from sis_engine.errors import SisError, TornFile
from sis_engine.storage.atomic import (
    DISK,
    SURROUNDINGS,
    Disk,
    DurableFile,
    infrastructure_error,
)
from sis_engine.storage.columns import column_of
from sis_engine.storage.datasets import verify_datasets
from sis_engine.storage.seal import check_seal, write_sealed
from sis_engine.storage.stored import StoredGroup

R = TypeVar("R")

READ_ERRORS = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError)
"""What h5py and the columns raise on a file that is not as written."""


def write_value(group: h5py.Group, name: str, hint: Any, value: Any) -> None:
    """A value of type ``hint`` (a record, a tuple of records, an optional, text, …) at ``name``."""
    column_of(hint).write(group, name, [value])


def read_value(group: h5py.Group, name: str, hint: Any) -> Any:
    """What :func:`write_value` wrote with the same hint."""
    return column_of(hint).read(StoredGroup.of(group), name, 1)[0]


def write_record(group: h5py.Group, name: str, record: Any) -> None:
    """One record in subgroup ``name``."""
    write_value(group, name, type(record), record)


def read_record(group: h5py.Group, name: str, cls: type[R]) -> R:
    """The record in subgroup ``name``; ValueError when it holds another class."""
    found: R = read_value(group, name, cls)
    return found


def write_items(group: h5py.Group, name: str, items: Sequence[Any]) -> h5py.Group:
    """One numbered subgroup an item."""
    inner = group.create_group(name)
    inner.attrs["n_items"] = len(items)
    for number, item in enumerate(items):
        write_record(inner, f"{number:04d}", item)
    return inner


def read_items(group: h5py.Group, name: str, cls: type[R]) -> tuple[R, ...]:
    """What :func:`write_items` wrote."""
    inner = group[name]
    return tuple(read_record(inner, f"{k:04d}", cls) for k in range(int(inner.attrs["n_items"])))


def save_record(path: Path, record: Any, *, disk: Disk = DISK) -> str:
    """One record as a durable sealed file; its SHA-256."""
    return save_value(path, type(record), record, disk=disk)


def load_record(path: Path, cls: type[R]) -> R:
    """The record of a sealed file; TornFile when a byte of it is not as written."""
    found: R = load_value(path, cls)
    return found


def hand_over_record(path: Path, record: Any, *, disk: Disk = DISK) -> None:
    """One record as a sealed file for a reader of these minutes, who proves the seal.

    It appears whole or not at all, but nobody waits for the disk: whoever wrote it can do so again.
    """
    write_sealed(path, _filling(type(record), record), disk=disk, lasting=False)


def save_value(path: Path, hint: Any, value: Any, *, disk: Disk = DISK) -> str:
    """A value of type ``hint``, e.g. ``tuple[Verdict, ...]``, as a durable sealed file."""
    write_sealed(path, _filling(hint, value), verify=verify_file, disk=disk)
    return check_seal(path)


def _filling(hint: Any, value: Any) -> Callable[[DurableFile], None]:
    def fill(file: DurableFile) -> None:
        with h5py.File(file, "w") as store:
            write_value(store, "value", hint, value)

    return fill


def load_value(path: Path, hint: Any) -> Any:
    """What :func:`save_value` wrote with the same hint."""
    check_seal(path)
    try:
        with open_store(path) as store:
            return read_value(store, "value", hint)
    except READ_ERRORS as error:
        raise unreadable(path, error) from error


def open_store(path: Path) -> h5py.File:
    """An immutable file for reading; no HDF5 lock, which some network file systems refuse."""
    return h5py.File(path, "r", locking=False)


def verify_file(path: Path) -> None:
    """Reopen what was just written and read it back dataset by dataset."""
    check_seal(path)
    with open_store(path) as store:
        fault = verify_datasets(store)
    if fault is not None:
        raise TornFile(f"{path} does not read back as written: {fault}", path=path)


def unreadable(path: Path, error: BaseException) -> SisError:
    """A whole file (its seal holds) whose content this engine cannot read, or cannot just now."""
    if isinstance(error, OSError) and error.errno in SURROUNDINGS:
        return infrastructure_error(error, path, "reading")
    return TornFile(
        f"{path} is whole but cannot be read: {error}",
        path=path,
        hint="it may be of another kind or a newer engine",
    )

"""Columns of values that are not made of others: numbers, text, bytes, paths, enum members."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sis_engine.storage.datasets import write_array
from sis_engine.storage.stored import StoredArray, StoredGroup


def accepted(kind: type) -> Any:
    """What counts as an int, a float, a bool: numpy's too, but for what would lose something."""
    return {int: Integral, float: Real, bool: (bool, np.bool_)}[kind]


def alternative_of(kinds: Sequence[type], value: Any) -> int | None:
    """Which of a union's types a value is: the exact one first, so that True is no 1, nor 1 1.0."""
    for number, kind in enumerate(kinds):
        if type(value) is kind:
            return number
    for number, kind in enumerate(kinds):
        if isinstance(value, kind) or (kind is float and type(value) is int):
            return number
    return None


class NumberColumn:
    """int, float or bool as one dataset of int64, float64 or HDF5 booleans."""

    repeats = False

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self._dtype = {int: np.int64, float: np.float64, bool: np.bool_}[kind]
        self._accepts = accepted(kind)

    def write(self, group: h5py.Group, name: str, values: Sequence[Any]) -> None:
        # numpy would turn None into NaN and 1.5 into 1
        if not all(isinstance(value, self._accepts) for value in values):
            raise TypeError(f"{group.name}/{name} takes {self._kind.__name__}")
        write_array(group, name, np.asarray(values, dtype=self._dtype))

    def read(self, group: StoredGroup, name: str, n: int) -> list[Any]:
        return list(group.array(name).column(n).tolist())


class TextColumn:
    """str as variable-length UTF-8, or as bytes where HDF5 strings cannot hold them."""

    repeats = True

    def write(self, group: h5py.Group, name: str, values: Sequence[str]) -> None:
        if not all(isinstance(value, str) for value in values):
            raise TypeError(f"{group.name}/{name} takes str")
        if all("\0" not in value and _is_unicode(value) for value in values):
            group.create_dataset(name, data=list(values), dtype=h5py.string_dtype())
            return
        BytesColumn().write(group, name, [v.encode("utf-8", "surrogatepass") for v in values])

    def read(self, group: StoredGroup, name: str, n: int) -> list[str]:
        item = group.item(name)
        if isinstance(item, StoredArray):
            return [value.decode() for value in item.column(n).tolist()]
        raw = BytesColumn().read(group, name, n)
        return [value.decode("utf-8", "surrogatepass") for value in raw]


class BytesColumn:
    """bytes, one after another, with their lengths."""

    repeats = False

    def write(self, group: h5py.Group, name: str, values: Sequence[bytes]) -> None:
        inner = group.create_group(name)
        write_array(inner, "lengths", np.array([len(v) for v in values], dtype=np.int64))
        joined = values[0] if len(values) == 1 else b"".join(values)
        write_array(inner, "bytes", np.frombuffer(joined, dtype=np.uint8))

    def read(self, group: StoredGroup, name: str, n: int) -> list[bytes]:
        inner = group.group(name)
        data = inner.array("bytes").values().tobytes()
        lengths = inner.array("lengths").column(n)
        return [data[e - size : e] for e, size in zip(np.cumsum(lengths), lengths, strict=True)]


class PathColumn:
    """Paths as text."""

    repeats = True

    def write(self, group: h5py.Group, name: str, values: Sequence[Path]) -> None:
        TextColumn().write(group, name, [str(value) for value in values])

    def read(self, group: StoredGroup, name: str, n: int) -> list[Path]:
        return [Path(text) for text in TextColumn().read(group, name, n)]


class EnumColumn:
    """Members as their value, which is text in every enum of the records."""

    repeats = True

    def __init__(self, kind: type[enum.Enum]) -> None:
        self._kind = kind

    def write(self, group: h5py.Group, name: str, values: Sequence[enum.Enum]) -> None:
        TextColumn().write(group, name, [member.value for member in values])

    def read(self, group: StoredGroup, name: str, n: int) -> list[enum.Enum]:
        return [self._kind(text) for text in TextColumn().read(group, name, n)]


class NoneColumn:
    """Nothing to store."""

    repeats = False

    def write(self, group: h5py.Group, name: str, values: Sequence[None]) -> None:
        pass

    def read(self, _group: StoredGroup, _name: str, n: int) -> list[None]:
        return [None] * n


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

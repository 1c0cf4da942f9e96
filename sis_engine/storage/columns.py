"""How a column of values of one type lies in an HDF5 group.

Everything is a column: a field of one record is a column of length one, a field of 4000 records is
a column of length 4000, so many small records become a few stacked datasets instead of thousands
of groups; a few records without arrays are one text (``packed``). The kind of column follows from
the type hint alone; reading never instantiates a class that the hint does not name.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from sis_engine.storage.datasets import JOIN_FROM_BYTES, write_array, write_joined
from sis_engine.storage.packed import PackedColumn, way_of
from sis_engine.storage.plain_columns import (
    BytesColumn,
    EnumColumn,
    NoneColumn,
    NumberColumn,
    PathColumn,
    TextColumn,
    alternative_of,
)
from sis_engine.storage.stored import StoredGroup

SHARE_FROM = 16
"""Columns at least this long are tried for repeated values."""


class Column(Protocol):
    """Values of one type, written under ``name`` and read back as a list of length ``n``."""

    repeats: bool
    """Values compare by content, so equal ones may be stored once."""

    def write(self, group: h5py.Group, name: str, values: Sequence[Any]) -> None: ...

    def read(self, group: StoredGroup, name: str, n: int) -> list[Any]: ...


# --------------------------------------------------------------------------- arrays


class ArrayColumn:
    """Arrays: one as itself, several of one shape stacked (first axis = item), others ragged."""

    repeats = False

    def __init__(self, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)

    def write(self, group: h5py.Group, name: str, values: Sequence[npt.NDArray[Any]]) -> None:
        arrays = [np.asarray(value, dtype=self._dtype) for value in values]
        large = len(arrays) > 1 and sum(array.nbytes for array in arrays) > JOIN_FROM_BYTES
        if len({array.shape for array in arrays}) == 1 and not large:
            stacked = arrays[0] if len(arrays) == 1 else np.stack(arrays)
            dataset = write_array(group, name, stacked)
            dataset.attrs["layout"] = "single" if len(arrays) == 1 else "stacked"
            return
        inner = group.create_group(name)
        shapes = [list(array.shape) for array in arrays]
        write_array(inner, "ndim", np.array([array.ndim for array in arrays], dtype=np.int64))
        write_array(inner, "shape", np.array([k for s in shapes for k in s], dtype=np.int64))
        write_joined(inner, "value", [array.reshape(-1) for array in arrays])

    def read(self, group: StoredGroup, name: str, n: int) -> list[npt.NDArray[Any]]:
        item = group.item(name)
        if isinstance(item, StoredGroup):
            return self._read_ragged(item, n)
        whole = _read_only(item.values(), self._dtype)
        if item.attribute("layout") == "single":
            return [whole]
        return list(whole)

    def _read_ragged(self, inner: StoredGroup, n: int) -> list[npt.NDArray[Any]]:
        flat = _read_only(inner.array("value").values(), self._dtype)
        sizes = inner.array("shape").values().tolist()
        found = []
        begin = axis = 0
        for ndim in inner.array("ndim").column(n).tolist():
            shape = sizes[axis : axis + ndim]
            end = begin + int(np.prod(shape, dtype=np.int64))
            found.append(flat[begin:end].reshape(shape))
            begin, axis = end, axis + ndim
        return found


# --------------------------------------------------------------------------- composites


class TupleColumn:
    """tuple[T, ...]: lengths, and the items of all tuples as one column."""

    def __init__(self, inner: Column) -> None:
        self._inner = inner
        self.repeats = inner.repeats or isinstance(inner, NumberColumn)

    def write(self, group: h5py.Group, name: str, values: Sequence[tuple[Any, ...]]) -> None:
        inner = group.create_group(name)
        write_array(inner, "lengths", np.array([len(v) for v in values], dtype=np.int64))
        items = [item for value in values for item in value]
        if items:
            self._inner.write(inner, "items", items)

    def read(self, group: StoredGroup, name: str, n: int) -> list[tuple[Any, ...]]:
        inner = group.group(name)
        lengths = inner.array("lengths").column(n).tolist()
        total = sum(lengths)
        items = self._inner.read(inner, "items", total) if total else []
        found, begin = [], 0
        for length in lengths:
            found.append(tuple(items[begin : begin + length]))
            begin += length
        return found


class FixedTupleColumn:
    """tuple[A, B, C]: one column a place."""

    def __init__(self, inner: Sequence[Column]) -> None:
        self._inner = tuple(inner)
        self.repeats = all(c.repeats or isinstance(c, NumberColumn) for c in inner)

    def write(self, group: h5py.Group, name: str, values: Sequence[tuple[Any, ...]]) -> None:
        inner = group.create_group(name)
        for place, column in enumerate(self._inner):
            column.write(inner, str(place), [value[place] for value in values])

    def read(self, group: StoredGroup, name: str, n: int) -> list[tuple[Any, ...]]:
        inner = group.group(name)
        places = [column.read(inner, str(i), n) for i, column in enumerate(self._inner)]
        return list(zip(*places, strict=True))


class UnionColumn:
    """A | B | None: which alternative each value is, and one column an alternative."""

    def __init__(self, kinds: Sequence[type], inner: Sequence[Column]) -> None:
        self._kinds = tuple(kinds)
        self._inner = tuple(inner)
        self.repeats = all(c.repeats or isinstance(c, (NumberColumn, NoneColumn)) for c in inner)

    def write(self, group: h5py.Group, name: str, values: Sequence[Any]) -> None:
        inner = group.create_group(name)
        which = [self._alternative(value, inner) for value in values]
        if len(set(which)) == 1:
            inner.attrs["which"] = which[0]
        else:
            write_array(inner, "which", np.array(which, dtype=np.uint8))
        for number, column in enumerate(self._inner):
            chosen = [value for value, kind in zip(values, which, strict=True) if kind == number]
            if chosen:
                column.write(inner, self._kinds[number].__name__, chosen)

    def read(self, group: StoredGroup, name: str, n: int) -> list[Any]:
        inner = group.group(name)
        only = inner.attribute("which")
        if only is not None:
            number = int(only)
            return self._inner[number].read(inner, self._kinds[number].__name__, n)
        which = inner.array("which").column(n).tolist()
        parts = {
            k: iter(self._inner[k].read(inner, self._kinds[k].__name__, which.count(k)))
            for k in set(which)
        }
        return [next(parts[number]) for number in which]

    def _alternative(self, value: Any, group: h5py.Group) -> int:
        number = alternative_of(self._kinds, value)
        if number is not None:
            return number
        names = ", ".join(kind.__name__ for kind in self._kinds)
        raise TypeError(f"{group.name} takes {names}, not {type(value).__name__}")


class RecordColumn:
    """A frozen dataclass: a group with one column a field; ``record`` names the class."""

    def __init__(self, kind: type) -> None:
        self._kind = kind
        hints = typing.get_type_hints(kind)
        self._fields = {f.name: f for f in dataclasses.fields(kind)}
        self._columns = {name: column_of(hints[name]) for name in self._fields}
        compares = "__eq__" in vars(kind)
        self.repeats = compares and all(
            column.repeats or isinstance(column, NumberColumn) for column in self._columns.values()
        )

    def write(self, group: h5py.Group, name: str, values: Sequence[Any]) -> None:
        inner = group.create_group(name)
        inner.attrs["record"] = self._kind.__name__
        if not all(isinstance(value, self._kind) for value in values):
            raise TypeError(f"{inner.name} takes {self._kind.__name__}")
        for field, column in self._columns.items():
            column.write(inner, field, [getattr(value, field) for value in values])

    def read(self, group: StoredGroup, name: str, n: int) -> list[Any]:
        inner = group.group(name)
        if inner.attribute("record") != self._kind.__name__:
            raise ValueError(f"{inner.name} holds {inner.attribute('record')!r}")
        names = [field for field in self._columns if not self._optional(field) or field in inner]
        columns = [self._columns[field].read(inner, field, n) for field in names]
        if not columns:
            return [self._kind() for _ in range(n)]
        return [
            self._kind(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)
        ]

    def _optional(self, name: str) -> bool:
        """A field with a default may be absent: an older file does not know it."""
        field = self._fields[name]
        return (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )


class SharedColumn:
    """Stores repeated values once (level of theory, species, plan id), else as ``inner`` does."""

    repeats = True

    def __init__(self, inner: Column) -> None:
        self._inner = inner

    def write(self, group: h5py.Group, name: str, values: Sequence[Any]) -> None:
        if len(values) >= SHARE_FROM:
            index, unique = _interned(values)
            if len(unique) <= len(values) // 2:
                shared = group.create_group(name)
                shared.attrs["shared"] = len(unique)
                write_array(shared, "index", index)
                self._inner.write(shared, "unique", unique)
                return
        self._inner.write(group, name, values)

    def read(self, group: StoredGroup, name: str, n: int) -> list[Any]:
        item = group.item(name)
        shared = item.attribute("shared") if isinstance(item, StoredGroup) else None
        if shared is None or not isinstance(item, StoredGroup):
            return self._inner.read(group, name, n)
        unique = self._inner.read(item, "unique", int(shared))
        return [unique[k] for k in item.array("index").column(n).tolist()]


def _interned(values: Sequence[Any]) -> tuple[npt.NDArray[np.int64], list[Any]]:
    """Index into unique values, told apart by ``repr``.

    It tells True from 1, 1 from 1.0, -0.0 from 0.0 and None from "None". NaNs differ in bits that
    it does not show, so values with one are never merged.
    """
    seen: dict[str, int] = {}
    known: dict[int, int] = {}
    unique: list[Any] = []
    index = np.empty(len(values), dtype=np.int64)
    for place, value in enumerate(values):
        number = known.get(id(value))
        if number is None:
            text = repr(value)
            text = f"{text}#{place}" if "nan" in text else text
            number = seen.setdefault(text, len(unique))
            if number == len(unique):
                unique.append(value)
            known[id(value)] = number
        index[place] = number
    return index, unique


# --------------------------------------------------------------------------- from hint to column


@functools.cache
def column_of(hint: Any) -> Column:
    """The column for a type hint; TypeError for types that records do not hold."""
    column, way = _column_of(hint), way_of(hint)
    if way is not None:
        column = PackedColumn(column, way)
    return SharedColumn(column) if column.repeats else column


def _column_of(hint: Any) -> Column:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        kinds = [typing.get_origin(kind) or kind for kind in args]
        return UnionColumn(kinds, [column_of(kind) for kind in args])
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return TupleColumn(column_of(args[0]))
        return FixedTupleColumn([column_of(kind) for kind in args])
    if origin is np.ndarray:
        return ArrayColumn(typing.get_args(args[1])[0])
    return _plain_column(hint)


def _plain_column(hint: Any) -> Column:
    simple: dict[Any, Column] = {
        str: TextColumn(),
        bytes: BytesColumn(),
        Path: PathColumn(),
        type(None): NoneColumn(),
    }
    if hint in simple:
        return simple[hint]
    if hint in {int, float, bool}:
        return NumberColumn(hint)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return EnumColumn(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return RecordColumn(hint)
    raise TypeError(f"a record cannot hold {hint!r}")


def _read_only(array: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = np.asarray(array, dtype=dtype)
    found.setflags(write=False)
    return found

"""How a column of values of one type lies in an HDF5 group.

Everything is a column: a field of one record is a column of length one, a field of 4000 records is
a column of length 4000, so many small records become a few stacked datasets instead of thousands
of groups. The kind of column follows from the type hint alone; reading never instantiates a class
that the hint does not name.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import types
import typing
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt

COMPRESS_FROM_BYTES = 4096
"""Smaller datasets cost more in chunk overhead than compression saves."""

FAST_FROM_BYTES = 8 << 20
"""Larger ones are deflated at level 1: positions and forces of MD are noise in their low bytes,
so level 4 takes twice the time of level 1 for the same size."""

JOIN_FROM_BYTES = 64 << 20
FILTERS: dict[str, Any] = {
    "compression": "gzip",
    "compression_opts": 1,
    "shuffle": True,
    "fletcher32": True,
}

CHUNK_BYTES = 512 << 10
SHARE_FROM = 16
"""Columns at least this long are tried for repeated values."""


class Column(Protocol):
    """Values of one type, written under ``name`` and read back as a list of length ``n``."""

    repeats: bool
    """Values compare by content, so equal ones may be stored once."""

    def write(self, group: h5py.Group, name: str, values: Sequence[Any]) -> None: ...

    def read(self, group: h5py.Group, name: str, n: int) -> list[Any]: ...


# --------------------------------------------------------------------------- datasets


def chunk_shape(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Chunks of about CHUNK_BYTES that are contiguous in the last axes."""
    chunks = list(shape)
    for axis in range(len(shape)):
        row = itemsize * int(np.prod(shape[axis + 1 :], dtype=np.int64))
        if row < CHUNK_BYTES:
            chunks[axis] = min(shape[axis], CHUNK_BYTES // row)
            break
        chunks[axis] = 1
    return tuple(chunks)


def write_array(group: h5py.Group, name: str, array: npt.NDArray[Any]) -> h5py.Dataset:
    """A dataset; when large enough chunked, shuffled, deflated, with Fletcher32 and a SHA-256."""
    if array.nbytes < COMPRESS_FROM_BYTES:
        return group.create_dataset(name, data=array)
    dataset = group.create_dataset(
        name,
        data=array,
        chunks=chunk_shape(array.shape, array.itemsize),
        **{**FILTERS, "compression_opts": 1 if array.nbytes > FAST_FROM_BYTES else 4},
    )
    dataset.attrs["sha256"] = sha256_of_array(array)
    return dataset


def sha256_of_array(array: npt.NDArray[Any]) -> str:
    """SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def write_joined(group: h5py.Group, name: str, arrays: Sequence[npt.NDArray[Any]]) -> None:
    """One-dimensional arrays end to end, as :func:`write_array` would, without joining them first.

    A data set of many parts must not be copied whole in memory.
    """
    total = sum(len(array) for array in arrays)
    if total * arrays[0].itemsize < JOIN_FROM_BYTES:
        write_array(group, name, np.concatenate(arrays))
        return
    dataset = group.create_dataset(
        name,
        shape=(total,),
        dtype=arrays[0].dtype,
        chunks=chunk_shape((total,), arrays[0].itemsize),
        **FILTERS,
    )
    digest, begin = hashlib.sha256(), 0
    for array in arrays:
        dataset[begin : begin + len(array)] = array
        digest.update(np.ascontiguousarray(array).data)
        begin += len(array)
    dataset.attrs["sha256"] = digest.hexdigest()


def verify_datasets(group: h5py.Group) -> str | None:
    """Read every dataset in bounded memory; the first that is not as written, or ``None``.

    Filters check Fletcher32 as they read; a recorded SHA-256 is compared with what comes back.
    """
    return typing.cast("str | None", group.visititems(_verify_item))


def _verify_item(name: str, item: Any) -> str | None:
    if not isinstance(item, h5py.Dataset) or item.shape in {None, ()}:
        return None
    digest = hashlib.sha256()
    try:
        for block in blocks_of(item):
            digest.update(np.ascontiguousarray(block).data if block.dtype != object else b"")
    except OSError as error:
        return f"{name}: {error}"
    recorded = item.attrs.get("sha256")
    return None if recorded in {None, digest.hexdigest()} else f"{name}: wrong SHA-256"


def blocks_of(dataset: h5py.Dataset) -> Iterator[npt.NDArray[Any]]:
    """A dataset in blocks along its first axis, a few MiB each, in order."""
    row = dataset.dtype.itemsize * int(np.prod(dataset.shape[1:], dtype=np.int64))
    step = max(1, (4 << 20) // max(row, 1))
    if dataset.chunks is not None:
        step = -(-step // dataset.chunks[0]) * dataset.chunks[0]
    for start in range(0, dataset.shape[0], step):
        yield dataset[start : start + step]


# --------------------------------------------------------------------------- plain values


class NumberColumn:
    """int, float or bool as one dataset of int64, float64 or HDF5 booleans."""

    repeats = False

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self._dtype = {int: np.int64, float: np.float64, bool: np.bool_}[kind]
        self._accepts: Any = {int: Integral, float: Real, bool: (bool, np.bool_)}[kind]

    def write(self, group: h5py.Group, name: str, values: Sequence[Any]) -> None:
        # numpy would turn None into NaN and 1.5 into 1
        if not all(isinstance(value, self._accepts) for value in values):
            raise TypeError(f"{group.name}/{name} takes {self._kind.__name__}")
        write_array(group, name, np.asarray(values, dtype=self._dtype))

    def read(self, group: h5py.Group, name: str, n: int) -> list[Any]:
        return list(_of_length(group[name], n)[()].tolist())


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

    def read(self, group: h5py.Group, name: str, n: int) -> list[str]:
        if isinstance(group[name], h5py.Group):
            raw = BytesColumn().read(group, name, n)
            return [value.decode("utf-8", "surrogatepass") for value in raw]
        return list(_of_length(group[name], n).asstr()[()])


class BytesColumn:
    """bytes, one after another, with their lengths."""

    repeats = False

    def write(self, group: h5py.Group, name: str, values: Sequence[bytes]) -> None:
        inner = group.create_group(name)
        write_array(inner, "lengths", np.array([len(v) for v in values], dtype=np.int64))
        joined = values[0] if len(values) == 1 else b"".join(values)
        write_array(inner, "bytes", np.frombuffer(joined, dtype=np.uint8))

    def read(self, group: h5py.Group, name: str, n: int) -> list[bytes]:
        inner = group[name]
        data = inner["bytes"][()].tobytes()
        ends = np.cumsum(_of_length(inner["lengths"], n)[()])
        return [
            data[end - size : end] for end, size in zip(ends, inner["lengths"][()], strict=True)
        ]


class PathColumn:
    """Paths as text."""

    repeats = True

    def write(self, group: h5py.Group, name: str, values: Sequence[Path]) -> None:
        TextColumn().write(group, name, [str(value) for value in values])

    def read(self, group: h5py.Group, name: str, n: int) -> list[Path]:
        return [Path(text) for text in TextColumn().read(group, name, n)]


class EnumColumn:
    """Members as their value, which is text in every enum of the records."""

    repeats = True

    def __init__(self, kind: type[enum.Enum]) -> None:
        self._kind = kind

    def write(self, group: h5py.Group, name: str, values: Sequence[enum.Enum]) -> None:
        TextColumn().write(group, name, [member.value for member in values])

    def read(self, group: h5py.Group, name: str, n: int) -> list[enum.Enum]:
        return [self._kind(text) for text in TextColumn().read(group, name, n)]


class NoneColumn:
    """Nothing to store."""

    repeats = False

    def write(self, group: h5py.Group, name: str, values: Sequence[None]) -> None:
        pass

    def read(self, _group: h5py.Group, _name: str, n: int) -> list[None]:
        return [None] * n


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

    def read(self, group: h5py.Group, name: str, n: int) -> list[npt.NDArray[Any]]:
        item = group[name]
        if isinstance(item, h5py.Group):
            return self._read_ragged(item, n)
        whole = _read_only(item[()], self._dtype)
        return [whole] if item.attrs["layout"] == "single" else list(whole)

    def _read_ragged(self, inner: h5py.Group, n: int) -> list[npt.NDArray[Any]]:
        flat = _read_only(inner["value"][()], self._dtype)
        sizes = inner["shape"][()].tolist()
        found = []
        begin = axis = 0
        for ndim in _of_length(inner["ndim"], n)[()].tolist():
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

    def read(self, group: h5py.Group, name: str, n: int) -> list[tuple[Any, ...]]:
        inner = group[name]
        lengths = _of_length(inner["lengths"], n)[()].tolist()
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

    def read(self, group: h5py.Group, name: str, n: int) -> list[tuple[Any, ...]]:
        inner = group[name]
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

    def read(self, group: h5py.Group, name: str, n: int) -> list[Any]:
        inner = group[name]
        if "which" in inner.attrs:
            number = int(inner.attrs["which"])
            return self._inner[number].read(inner, self._kinds[number].__name__, n)
        which = _of_length(inner["which"], n)[()].tolist()
        parts = {
            k: iter(self._inner[k].read(inner, self._kinds[k].__name__, which.count(k)))
            for k in set(which)
        }
        return [next(parts[number]) for number in which]

    def _alternative(self, value: Any, group: h5py.Group) -> int:
        """Exact type first, so that True is not stored as 1 nor 1 as 1.0."""
        for number, kind in enumerate(self._kinds):
            if type(value) is kind:
                return number
        for number, kind in enumerate(self._kinds):
            if isinstance(value, kind) or (kind is float and type(value) is int):
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

    def read(self, group: h5py.Group, name: str, n: int) -> list[Any]:
        inner = group[name]
        if inner.attrs.get("record") != self._kind.__name__:
            raise ValueError(f"{inner.name} holds {inner.attrs.get('record')!r}")
        names = [field for field in self._columns if field in inner or not self._optional(field)]
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

    def read(self, group: h5py.Group, name: str, n: int) -> list[Any]:
        item = group.get(name)
        if item is None or "shared" not in item.attrs:
            return self._inner.read(group, name, n)
        unique = self._inner.read(item, "unique", int(item.attrs["shared"]))
        return [unique[k] for k in _of_length(item["index"], n)[()].tolist()]


def _interned(values: Sequence[Any]) -> tuple[npt.NDArray[np.int64], list[Any]]:
    """Index into unique values. By ``repr``: it tells True from 1, 1 from 1.0 and -0.0 from 0.0."""
    seen: dict[str, int] = {}
    known: dict[int, int] = {}
    unique: list[Any] = []
    index = np.empty(len(values), dtype=np.int64)
    for place, value in enumerate(values):
        number = known.get(id(value))
        if number is None:
            text = value if type(value) is str else repr(value)
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
    column = _column_of(hint)
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


def _of_length(dataset: h5py.Dataset, n: int) -> h5py.Dataset:
    if dataset.shape != (n,):
        raise ValueError(f"{dataset.name} has shape {dataset.shape}, expected ({n},)")
    return dataset


def _read_only(array: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = np.asarray(array, dtype=dtype)
    found.setflags(write=False)
    return found


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""A few records or tuples without arrays: one JSON text instead of a dataset for each field.

A generation has hundreds of numbers that nobody links to or slices: verdicts, decisions, settings
of challengers, chemical symbols. HDF5 takes a tenth of a millisecond for each dataset, when it is
written, when it is verified and whenever a report reads it. Which classes are made follows from
the type hint alone, as with the columns; Python's JSON gives every finite float64 back bit by bit.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np

from sis_engine.storage.plain_columns import accepted, alternative_of
from sis_engine.storage.stored import StoredArray, StoredGroup

if TYPE_CHECKING:
    from sis_engine.storage.columns import Column

MOST_VALUES = 64
"""In a column: more are smaller and faster as columns."""

MOST_ITEMS = 1024
"""In a tuple: the symbols of so many atoms."""

MOST_BYTES = 64 << 10

RECORD = "record"
"""The key that names a record's class, which must be the one that the hint names."""


class _NotPlain(Exception):
    """A value that JSON would not give back as it was, or that is no value of its type."""


class Way(NamedTuple):
    """To what JSON holds, and back."""

    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]


class PackedColumn:
    """Packed where the values are few and plain; else, and in older files, as ``inner`` does."""

    def __init__(self, inner: Column, way: Way) -> None:
        self._inner = inner
        self._way = way
        self.repeats = inner.repeats

    def write(self, group: h5py.Group, name: str, values: Sequence[Any]) -> None:
        text = self._packed(values)
        if text is None:
            self._inner.write(group, name, values)
        else:
            group.create_dataset(name, data=np.bytes_(text))

    def read(self, group: StoredGroup, name: str, n: int) -> list[Any]:
        item = group.item(name)
        if not isinstance(item, StoredArray):
            return self._inner.read(group, name, n)
        found = json.loads(bytes(item.values()[()]))
        if len(found) != n:
            raise ValueError(f"{item.name} holds {len(found)} values, expected {n}")
        return [self._way.unpack(value) for value in found]

    def _packed(self, values: Sequence[Any]) -> bytes | None:
        if len(values) > MOST_VALUES:
            return None
        try:
            text = json.dumps([self._way.pack(value) for value in values], separators=(",", ":"))
        except _NotPlain:
            return None
        return text.encode("ascii") if len(text) <= MOST_BYTES else None


@functools.cache
def way_of(hint: Any) -> Way | None:
    """How values of a type are packed; ``None`` where it holds arrays or bytes.

    Numbers, and numbers that may be missing, stay columns: H5MD links to them.
    """
    return _way(hint) if _is_composed(hint) else None


def _is_composed(hint: Any) -> bool:
    composed = dataclasses.is_dataclass(hint) or typing.get_origin(hint) is tuple
    return composed or any(map(_is_composed, typing.get_args(hint)))


@functools.cache
def _way(hint: Any) -> Way | None:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return _union(args)
    if origin is tuple:
        variable = len(args) == 2 and args[1] is Ellipsis
        return _variable(args[0]) if variable else _fixed(args)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _record(hint)
    return _plain(hint)


def _plain(hint: Any) -> Way | None:
    if hint in {int, float, bool}:
        return Way(functools.partial(_number, hint), hint)
    if hint is str:
        return Way(functools.partial(_instance, str), str)
    if hint is Path:
        return Way(lambda value: str(_instance(Path, value)), Path)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return Way(lambda value: _instance(hint, value).value, hint)
    return None


def _number(kind: type, value: Any) -> Any:
    if not isinstance(value, accepted(kind)) or value != value:  # noqa: PLR0124  NaN
        raise _NotPlain  # the bits of a NaN mean something to whoever made it
    return kind(value)


def _instance(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise _NotPlain
    return value


def _record(kind: type) -> Way | None:
    hints = typing.get_type_hints(kind)
    found = {field.name: _way(hints[field.name]) for field in dataclasses.fields(kind)}
    ways = {name: way for name, way in found.items() if way is not None}
    if len(ways) < len(found) or RECORD in ways:
        return None

    def pack(value: Any) -> Any:
        _instance(kind, value)
        fields = {name: way.pack(getattr(value, name)) for name, way in ways.items()}
        return {RECORD: kind.__name__, **fields}

    def unpack(found: dict[str, Any]) -> Any:
        if found[RECORD] != kind.__name__:
            raise ValueError(f"{found[RECORD]!r} where {kind.__name__} belongs")
        # A field may be absent: an older file does not know it, and its default holds.
        return kind(
            **{name: way.unpack(found[name]) for name, way in ways.items() if name in found}
        )

    return Way(pack, unpack)


def _variable(hint: Any) -> Way | None:
    inner = _way(hint)
    if inner is None:
        return None

    def pack(value: Any) -> Any:
        if not isinstance(value, tuple) or len(value) > MOST_ITEMS:
            raise _NotPlain
        return [inner.pack(item) for item in value]

    return Way(pack, lambda found: tuple(inner.unpack(item) for item in found))


def _fixed(hints: Sequence[Any]) -> Way | None:
    found = [_way(hint) for hint in hints]
    ways = [way for way in found if way is not None]
    if len(ways) < len(found):
        return None

    def pack(value: Any) -> Any:
        if not isinstance(value, tuple) or len(value) != len(ways):
            raise _NotPlain
        return [way.pack(item) for way, item in zip(ways, value, strict=True)]

    def unpack(found: list[Any]) -> Any:
        return tuple(way.unpack(item) for way, item in zip(ways, found, strict=True))

    return Way(pack, unpack)


def _union(hints: Sequence[Any]) -> Way | None:
    """The name of the alternative and the value; only the value where the other one is ``None``."""
    found = {hint: _way(hint) for hint in hints if hint is not type(None)}
    ways = {hint: way for hint, way in found.items() if way is not None}
    if len(ways) < len(found):
        return None
    if len(ways) == 1:
        return _optional(next(iter(ways.values())))
    kinds = [typing.get_origin(hint) or hint for hint in hints]
    named = {
        kind.__name__: ways.get(hint, _NOTHING) for kind, hint in zip(kinds, hints, strict=True)
    }

    def pack(value: Any) -> Any:
        number = alternative_of(kinds, value)
        if number is None:
            raise _NotPlain
        name = kinds[number].__name__
        return [name, named[name].pack(value)]

    return Way(pack, lambda found: named[found[0]].unpack(found[1]))


_NOTHING = Way(lambda _: None, lambda _: None)
"""Of ``None``."""


def _optional(inner: Way) -> Way:
    return Way(
        lambda value: None if value is None else inner.pack(value),
        lambda found: None if found is None else inner.unpack(found),
    )

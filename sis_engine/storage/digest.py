"""The digest of a campaign: what two runs must share to be called the same.

SHA-256 over canonical bytes (type, length, content; float64 bit by bit), chained generation by
generation. Times, seconds, paths, messages and exact program versions are left out, and so is
whether a label was paid for or came from the bank: a killed and resumed run differs in these. A
model counts by what it computes: its file also says where the sources lay of what wrote it.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import inspect
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from sis_engine.storage.model_content import content_sha256

if TYPE_CHECKING:
    from sis_engine.records import ModelForm
    from sis_engine.storage.generation_file import GenerationRecord, ModelImage

START = hashlib.sha256(b"sis-engine digest 1").hexdigest()
"""Parent digest of generation 0."""

_LEFT_OUT = frozenset(
    {
        "seconds",
        "cached",
        "message",
        "directory",
        "path",
        "program_version",
        "n_evaluations",
        "handlers",  # what they did is in the label's bits; older digests stay as they are
    }
)

_PRODUCTION = ("number", "outcomes", "test_outcomes", "rejected", "parts", "audits", "decision")
_EXACT = (*_PRODUCTION, "explorations", "verdicts", "suspects", "triages", "lives", "models")


def digest(records: Iterable[GenerationRecord], *, exact: bool) -> str:
    """The digest of generations 0, 1, … in order. exact: models, MD and verdicts too."""
    value = START
    for record in records:
        value = chain(value, record, exact=exact)
    return value


def chain(parent: str, record: GenerationRecord, *, exact: bool) -> str:
    """The digest up to ``record``, from the digest up to the generation before it."""
    found = hashlib.sha256(parent.encode())
    for name in _EXACT if exact else _PRODUCTION:
        _feed(found, name)
        if name == "models":
            _feed(found, _computed(record.model_images))
        elif name == "audits" and not exact:
            _feed(found, tuple(item.outcomes for item in record.audits))
        else:
            _feed(found, getattr(record, name))
    if exact and record.members:  # without a committee the digest is what it was before there were
        _feed(found, "members")
        for member in record.members:
            _feed(found, member.seat)
            _feed(found, _computed(member.images))
    return found.hexdigest()


def _computed(images: Iterable[ModelImage]) -> tuple[tuple[ModelForm, str], ...]:
    """Each form of a model with the hash of what it computes."""
    return tuple((image.form, content_sha256(image.data, image.sha256)) for image in images)


def fingerprint(record: Any) -> str:
    """SHA-256 of one record, but for what a digest leaves out: files by content, not by place."""
    found = hashlib.sha256()
    _feed(found, record)
    return found.hexdigest()


def _feed(found: Any, value: Any) -> None:
    """Canonical bytes: a tag a type, so that 1, 1.0, True and "1" differ."""
    if value is None:
        found.update(b"N")
    elif type(value) in _PLAIN:
        found.update(_plain(value))
    elif isinstance(value, enum.Enum):
        _feed(found, f"{type(value).__name__}.{value.value}")
    elif isinstance(value, np.ndarray):
        found.update(f"A{value.dtype.str}{value.shape}".encode())
        found.update(np.ascontiguousarray(value).data)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        tag, fields = _layout(type(value))
        found.update(tag)
        for name, field in fields:
            if not _is_later_default(field, value):
                found.update(name)
                _feed(found, getattr(value, field.name))
    elif isinstance(value, tuple):
        found.update(f"T{len(value)}".encode())
        for item in value:
            _feed(found, item)
    else:
        found.update(_plain(value))


_PLAIN = frozenset({str, int, float, bool, bytes})


@functools.cache
def _layout(kind: type) -> tuple[bytes, tuple[tuple[bytes, dataclasses.Field[Any]], ...]]:
    """The tag of a record and its fields that count, each with the bytes of its name."""
    # the dataclass itself: stored frames are a subclass that reads later
    own = next(k for k in inspect.getmro(kind) if "__dataclass_fields__" in vars(k))
    fields = [field for field in dataclasses.fields(kind) if field.name not in _LEFT_OUT]
    return f"R{own.__name__}".encode(), tuple((_plain(field.name), field) for field in fields)


def _is_later_default(field: dataclasses.Field[Any], value: Any) -> bool:
    """A field that did not exist when digest 1 was made, and is not used here."""
    if "later" not in field.metadata:
        return False
    mine = getattr(value, field.name)
    return type(mine) is type(field.default) and bool(mine == field.default)


def _plain(value: Any) -> bytes:
    if isinstance(value, bool):
        return b"B1" if value else b"B0"
    if isinstance(value, int):
        return f"I{value};".encode()
    if isinstance(value, float):
        return b"F" + struct.pack("<d", value)
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    return f"S{len(data)}:".encode() + data

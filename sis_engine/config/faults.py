"""What is wrong with a configuration, said to the person who wrote it.

Turns a pydantic error into one :class:`ConfigurationError`: the key as the file has it, the value
seen, what is allowed, and what was probably meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sis_engine.errors import ConfigurationError

LONGEST_SEEN = 120
"""Longer values are not repeated in a message: they hide it."""

NUMBER_WITH_UNIT = re.compile(r"\s*[-+]?[\d.]+(?:[eE][-+]?\d+)?\s*[A-Za-zÅµ°/%]+\s*")

MAPPING, LIST = "has to be a mapping of keys and values", "has to be a list"

SHAPES = {
    "dict_type": MAPPING,
    "model_type": MAPPING,
    "model_attributes_type": MAPPING,
    "list_type": LIST,
    "tuple_type": LIST,
    "path_type": "has to be a path",
    "string_type": "has to be text",
    "bool_type": "has to be true or false",
    "bool_parsing": "has to be true or false",
    "float_type": "has to be a number",
    "float_parsing": "has to be a number",
    "int_type": "has to be a whole number",
    "int_parsing": "has to be a whole number",
    "int_from_float": "has to be a whole number",
}
"""Pydantic's names of faults that it tells in Python's words, and ours."""

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Names that become names of files and folders."""

PATTERNS = {
    NAME_PATTERN: "has to be of letters, digits, '.', '_' and '-', and to begin with a letter or "
    "digit: files and folders are called so"
}
"""Regular expressions of the configuration, in words."""

ALLOWED = "allowed"
"""What a model's own check says is allowed: a key of the context of its PydanticCustomError."""

MISSING = "required key is missing"

PARSING = frozenset({"float_parsing", "int_parsing", "float_type", "int_type"})


def explain(
    error: ValidationError, model: type[Any], *, prefix: str = "", file: Path | None = None
) -> ConfigurationError:
    """The first fault of ``error``; a misspelt key comes before the key that is missing for it.

    prefix: the key that ``model`` is the value of
    """
    faults = error.errors()
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    first = (unknown or faults)[0]
    place = _find(model, first["loc"])
    if unknown:
        told = _unknown_key(place, model)
    else:  # a value that may have several forms has a fault for each
        told = _one_of_forms(
            [f for f in faults if _find(model, f["loc"]).keys == place.keys], place
        )
    keys = (*place.keys, *((told.key,) if told.key else ()))
    told.key = ".".join(str(part) for part in (prefix, *keys) if part != "")
    told.file = None if file is None else str(file)
    return told


def misspelt(
    wanted: str, given: Sequence[str], *, key: str, file: Path | None = None
) -> ConfigurationError | None:
    """``wanted`` is missing: was one of the keys given meant to be it?"""
    close = difflib.get_close_matches(wanted, given, n=1)
    if not close:
        return None
    return ConfigurationError(
        "unknown key", file=file, key=f"{key}.{close[0]}", hint=f"did you mean {wanted!r}?"
    )


# --------------------------------------------------------------------------- the two kinds of fault


def _unknown_key(place: _Place, root: type[Any]) -> ConfigurationError:
    name = str(place.keys[-1])
    names = sorted({field for model in place.holders for field in model.model_fields})
    close = difflib.get_close_matches(name, names, n=1)
    homes = [] if close else [".".join(path) for path in _homes(root, name)]
    hint = None
    if close:
        hint = f"did you mean {close[0]!r}?"
    elif homes:
        hint = f"it belongs to {' or '.join(homes)}"
    return ConfigurationError("unknown key", allowed=", ".join(names) or None, hint=hint)


def _one_of_forms(faults: Sequence[ErrorDetails], place: _Place) -> ConfigurationError:
    """Message, allowed values and hint; ``key``: what is to be appended to the place."""
    each = [_wrong_value(fault, place) for fault in faults]
    told = each[0]
    if len(each) > 1:
        wanted = [f"has to be {item.allowed}" if item.allowed else item.message for item in each]
        told.message = ", or ".join(dict.fromkeys(wanted))
        told.allowed = None
    seen = repr(faults[0]["input"])
    is_said = told.key or told.message == MISSING or told.message.startswith(seen)
    if not is_said and len(seen) <= LONGEST_SEEN:
        told.message += f" (seen: {seen})"
    return told


def _wrong_value(fault: ErrorDetails, place: _Place) -> ConfigurationError:
    kind, value, details = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "missing":
        return ConfigurationError(MISSING)
    if kind == "union_tag_not_found":
        tag = details["discriminator"].strip("'")
        meant = misspelt(tag, list(value), key="") if isinstance(value, dict) else None
        if meant is not None:
            meant.key = (meant.key or "").removeprefix(".")
            return meant
        return ConfigurationError(MISSING, key=tag, allowed=", ".join(place.forms) or None)
    if kind == "union_tag_invalid":
        named = details["discriminator"]  # a function where the tag may be left out
        key = "type" if named.endswith("()") else named
        return _not_one_of(details["tag"], details["expected_tags"], key)
    if kind == "literal_error":
        return _not_one_of(value, details["expected"])
    return ConfigurationError(
        _in_our_words(fault),
        allowed=details.get(ALLOWED),
        hint=_what_to_write(kind, value, place),
    )


def _in_our_words(fault: ErrorDetails) -> str:
    kind, details = fault["type"], fault.get("ctx", {})
    if kind == "too_short":
        return f"has to have at least {details['min_length']}"
    if kind == "string_pattern_mismatch":
        return PATTERNS.get(details["pattern"], f"has to match {details['pattern']}")
    told = SHAPES.get(kind, fault["msg"].removeprefix("Value error, "))
    return told.replace("Input should be", "has to be")


def _not_one_of(value: Any, expected: str, key: str = "") -> ConfigurationError:
    """``expected``: as pydantic lists them, e.g. ``'a', 'b' or 'c'``."""
    names = re.findall(r"'([^']*)'", expected)
    close = difflib.get_close_matches(str(value), names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else None
    return ConfigurationError(
        f"{value!r} is not known here", key=key.strip("'"), allowed=expected, hint=hint
    )


def _what_to_write(kind: str, value: Any, place: _Place) -> str | None:
    if kind in PARSING and isinstance(value, str) and NUMBER_WITH_UNIT.fullmatch(value):
        return "write the number alone, in the unit that the key's name ends with"
    if kind == "dict_type" and isinstance(value, str) and place.is_plugin:
        return f"write {{type: {value}}}"
    return None


# --------------------------------------------------------------------------- places in the file


@dataclass(frozen=True)
class _Place:
    """Where a fault is.

    keys: as the file has them (pydantic also names the chosen form of a value)
    holders: the models that may have the last key
    is_plugin: the value is the mapping of a part that plugs in
    forms: values of ``type`` that the value may have
    """

    keys: tuple[str | int, ...]
    holders: tuple[type[Any], ...]
    is_plugin: bool
    forms: tuple[str, ...]


def _find(model: type[Any], location: tuple[str | int, ...]) -> _Place:
    """Follow pydantic's location through the models."""
    keys: list[str | int] = []
    holders: tuple[type[Any], ...] = ()
    here: Any = model
    for index, part in enumerate(location):
        models = tuple(_models_in(here))
        field = next((m.model_fields[part] for m in models if part in m.model_fields), None)
        if field is not None:
            keys.append(part)
            holders, here = models, field.annotation
        elif isinstance(part, int):
            keys.append(part)
        elif any(_is_form(m, part) for m in models):
            here = next(m for m in models if _is_form(m, part))
        elif models and index == len(location) - 1:  # an unknown key
            keys.append(part)
            holders, here = models, None
        elif part != "[key]" and _has_free_keys(here):
            keys.append(part)
    is_plugin = here == dict[str, Any] or dict[str, Any] in get_args(here)
    forms = [name for model in _models_in(here) for name in _tags(model)]
    return _Place(tuple(keys), holders, is_plugin, tuple(forms))


def _models_in(annotation: Any) -> Iterator[type[Any]]:
    """The models that a value of this type may be, or may hold items of."""
    if hasattr(annotation, "model_fields"):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _is_form(model: type[Any], name: str) -> bool:
    """Is ``name`` how pydantic calls this one of several forms (by tag, or by class)?"""
    return name == model.__name__ or name in _tags(model)


def _tags(model: type[Any]) -> tuple[str, ...]:
    tag = model.model_fields.get("type")
    return () if tag is None else tuple(map(str, get_args(tag.annotation)))


def _has_free_keys(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(map(_has_free_keys, get_args(annotation)))


def _homes(model: type[Any], name: str, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where in the whole configuration a key of this name is allowed."""
    for key, field in model.model_fields.items():
        if key == name and path:
            yield path
        for nested in _models_in(field.annotation):
            yield from _homes(nested, name, (*path, key))

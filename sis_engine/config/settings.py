"""``--set key.path=value``: changes of a YAML tree, asked for on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sis_engine.errors import ConfigurationError


def apply_settings(tree: Any, changes: Sequence[str], *, example: str) -> None:
    """Apply ``key.path=value`` to a tree of mappings and lists; list items by number.

    example: of such a change, for the message of a wrong one
    """
    for change in changes:
        key, sign, value = change.partition("=")
        if not sign or not key:
            raise ConfigurationError(
                f"{change!r} is not key=value", key="--set", allowed=f"e.g. {example}"
            )
        _set(tree, key, parse_value(value))


def parse_value(text: str) -> Any:
    """A YAML scalar, list or mapping; safe loader, so no objects."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ConfigurationError(f"{text!r} is not a YAML value", key="--set") from error


def _set(tree: Any, key: str, value: Any) -> None:
    *parents, last = [int(part) if part.isdecimal() else part for part in key.split(".")]
    node = tree
    for part in parents:
        if isinstance(node, dict) and part not in node:
            node[part] = {}
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError) as error:
            raise ConfigurationError(f"there is no {part!r} to set", key=key) from error
    try:
        node[last] = value
    except (IndexError, TypeError) as error:
        raise ConfigurationError(f"there is no {last!r} to set", key=key) from error

"""Files that a campaign file names beside itself, named so that it may lie anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sis_engine.config.file import plain
from sis_engine.plugins import Kind, available, load, validated


def from_anywhere(tree: Any, folder: Path) -> None:
    """Absolute paths of structures, banks, what generation 0 starts from, and the labeler's files.

    folder: absolute, where the file lies
    """
    initial = tree.get("initial") or {}
    single = [(system, "structure") for system in tree.get("systems", [])]
    for section, key in (*single, (tree, "label_bank"), (tree, "known_labels"), (initial, "model")):
        if section.get(key) is not None:
            section[key] = str(folder / str(section[key]))
    if initial.get("data"):
        initial["data"] = [str(folder / str(path)) for path in initial["data"]]
    if "labeler" in tree:
        _follow_plugin(Kind.LABELER, tree["labeler"], folder)


def _follow_plugin(kind: Kind, section: Any, folder: Path) -> None:
    """A labeler may be made of others, each with a ``type``."""
    given = plain(section)
    model = load(kind, str(given.get("type"))).Config
    read = validated(model, given, key=kind.value, base=folder)
    _follow(section, read.model_dump(mode="json"), folder)
    for part in section.values():
        if isinstance(part, dict) and part.get("type") in available(kind):
            _follow_plugin(kind, part, folder)


def _follow(given: Any, read: Any, folder: Path) -> None:
    """Where the configuration was read as a path in ``folder``, it is written so."""
    for key in given if isinstance(given, dict) else range(len(given)):
        value = given[key]
        if isinstance(value, dict | list):
            _follow(value, read[key], folder)
        elif isinstance(value, str) and read[key] == str(folder / value):
            given[key] = read[key]

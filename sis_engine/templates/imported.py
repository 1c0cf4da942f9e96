"""``sis import``: a campaign file whose generation 0 starts from data or a model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml.comments import CommentedMap

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.commands.exporting import export_campaign
from sis_engine.commands.status import open_ledger
from sis_engine.config.file import parse_yaml, plain, read_text
from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Context, KeepsProgram
from sis_engine.plugins import Kind, configure
from sis_engine.records import FrameSet
from sis_engine.setup.given_model import adopt_trainable
from sis_engine.storage.atomic import write_text
from sis_engine.storage.exchange import look_at
from sis_engine.storage.splits import frame_at
from sis_engine.structures import read_structure, structure_text
from sis_engine.templates.paths import from_anywhere
from sis_engine.templates.tree import (
    CLUSTER,
    STRUCTURES,
    comment,
    copy_shipped,
    quickstart,
    say_what_it_is,
    shipped,
    target_in,
    use_structure,
    write,
)

MODEL_SUFFIXES = frozenset({".pt", ".pth", ".pb", ".pt2", ".dp"})
MOST_SYSTEMS = 4
"""Kinds of frames in the data that become systems; a person adds others."""


@dataclass(frozen=True)
class Imported:
    """The campaign file that was written, and what its generation 0 starts from: one of the two."""

    campaign: Path
    data: Path | None = None
    model: Path | None = None


def write_import(source: Path, folder: Path, template: Path | None) -> Imported:
    """A campaign file whose generation 0 starts from ``source``.

    source: data (deepmd/npy, extxyz, H5MD), a campaign folder (its label data), or a model file
    template: ``None``: that campaign's own file; for data the quickstart's with their structures
    Raises ConfigurationError for what cannot be imported, or trained further.
    """
    if not source.exists():
        raise ConfigurationError("no such file or folder", file=source)
    target = target_in(folder)
    given = None
    if template is not None:
        given = parse_yaml(read_text(template), template)
        from_anywhere(given, template.parent.absolute())
    if source.suffix in MODEL_SUFFIXES:
        return _from_model(source, target, given)
    if source.is_dir() and campaign_folder.exists(source):
        return _from_campaign(source, target, given)
    return _from_data(source, target, given)


def _from_model(source: Path, target: Path, given: Any) -> Imported:
    tree = quickstart() if given is None else given
    structures = [str(system["structure"]) for system in tree["systems"]]
    frames = [read_structure(shipped(CLUSTER) if given is None else Path(s)) for s in structures]
    _check_trainable(source, plain(tree["trainer"]), {e for f in frames for e in f.species})
    if given is None:
        copy_shipped(CLUSTER, target.parent)
        _say(tree, "the quickstart")
    tree.setdefault("initial", CommentedMap())["model"] = str(source.absolute())
    _finish(tree, target)
    return Imported(target, model=source)


def _check_trainable(model: Path, trainer: dict[str, Any], elements: set[str]) -> None:
    """What ``sis validate`` would refuse later is not written."""
    one = configure(Kind.TRAINER, trainer, key="trainer")
    try:
        with TemporaryDirectory() as scratch:
            adopt_trainable(one, model, sorted(elements), Context(Path(scratch)))
    except ConfigurationError as error:
        error.hint = error.hint or "--template FILE: a campaign with its systems and its trainer"
        raise
    finally:
        if isinstance(one, KeepsProgram):
            one.close()


def _from_campaign(source: Path, target: Path, given: Any) -> Imported:
    """Its data are written beside the new file, in the field's own format."""
    data = target.parent / "data"
    with open_ledger(source) as ledger:
        parts = campaign_folder.parts_of(source, ledger)
    export_campaign(source, data, "deepmd")
    tree = given
    if tree is None:
        tree = parse_yaml(parts.text, parts.file)
        from_anywhere(tree, parts.base.parent.absolute())
        for key in ("label_bank", "known_labels"):
            tree.pop(key, None)
        for system, own in zip(tree["systems"], parts.systems, strict=True):
            system["structure"] = f"{STRUCTURES}/{own.name}.extxyz"
            write_text(target.parent / system["structure"], structure_text(own.frame))
        _say(tree, str(source))
    _start_from_data(tree, data)
    _finish(tree, target)
    return Imported(target, data=data)


def _from_data(source: Path, target: Path, given: Any) -> Imported:
    kinds = look_at(source).kinds
    tree = given
    if tree is None:
        tree = quickstart()
        _use_kinds(tree, kinds[:MOST_SYSTEMS], target.parent)
        _say(tree, "the quickstart")
        comment(tree, "labeler", "has to be at the level of theory of the data")
    _start_from_data(tree, source)
    _finish(tree, target)
    return Imported(target, data=source)


def _use_kinds(tree: Any, kinds: tuple[FrameSet, ...], folder: Path) -> None:
    """A system for each kind of frame, its structure the first one of them."""
    names = [_name_of(kind, index, len(kinds)) for index, kind in enumerate(kinds)]
    paths = [f"{STRUCTURES}/{name}.extxyz" for name in names]
    for kind, path in zip(kinds, paths, strict=True):
        write_text(folder / path, structure_text(frame_at(kind, 0)))
    use_structure(tree, names[0], frame_at(kinds[0], 0), paths[0])
    tree["systems"].extend(
        CommentedMap({"name": name, "structure": path})
        for name, path in zip(names[1:], paths[1:], strict=True)
    )


def _name_of(kind: FrameSet, index: int, n: int) -> str:
    """As the data call it, in letters that a folder may have; numbered where there are several."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", kind.system).strip("._-") or "data"
    return name if n == 1 else f"{name}-{index}"


def _start_from_data(tree: Any, data: Path) -> None:
    initial = tree.setdefault("initial", CommentedMap())
    initial["data"], initial["segment"] = [str(data.absolute())], None


def _say(tree: Any, numbers_of: str) -> None:
    say_what_it_is(tree, "sis import", numbers_of)
    if "initial" in tree:
        comment(tree, "initial", "what was imported; no reference MD where `segment` is empty")


def _finish(tree: Any, target: Path) -> None:
    tree["name"] = target.parent.absolute().name
    write(tree, target)

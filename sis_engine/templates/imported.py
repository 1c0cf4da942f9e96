"""``sis import``: a campaign file whose generation 0 starts from data or a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.config.file import parse_yaml, read_text
from sis_engine.errors import ConfigurationError
from sis_engine.storage.exchange import check_importable
from sis_engine.templates.tree import (
    CLUSTER,
    comment,
    copy_shipped,
    quickstart,
    say_what_it_is,
    target_in,
    write,
)

MODEL_SUFFIXES = frozenset({".pt", ".pth", ".pb", ".pt2", ".dp"})


@dataclass(frozen=True)
class Imported:
    """The campaign file that was written, and what its generation 0 starts from: one of the two."""

    campaign: Path
    data: Path | None = None
    model: Path | None = None


def write_import(source: Path, folder: Path, template: Path | None) -> Imported:
    """A campaign file whose generation 0 starts from ``source``.

    source: data (deepmd/npy, extxyz, H5MD), a campaign folder (its label data), or a model file
    """
    if not source.exists():
        raise ConfigurationError("no such file or folder", file=source)
    if source.suffix not in MODEL_SUFFIXES:
        check_importable(source)
    target = target_in(folder)
    tree = quickstart() if template is None else parse_yaml(read_text(template), template)
    folder.mkdir(parents=True, exist_ok=True)
    tree["name"] = folder.absolute().name
    if template is None:
        copy_shipped(CLUSTER, folder)
    else:
        _follow_structures(tree, template)
    initial = tree.setdefault("initial", CommentedMap())
    if source.suffix in MODEL_SUFFIXES:
        initial["model"] = str(source.absolute())
        made = Imported(target, model=source)
    else:
        data = _data_of(source, folder)
        initial["data"] = [str(data.absolute())]
        initial["segment"] = None
        made = Imported(target, data=data)
    if template is None:
        say_what_it_is(tree, "sis import")
        comment(tree, "initial", "what was imported; no reference MD where `segment` is empty")
    write(tree, target)
    return made


def _data_of(source: Path, folder: Path) -> Path:
    """The data folder itself, or a campaign's data exported beside the new file."""
    if not (source.is_dir() and campaign_folder.exists(source)):
        return source
    from sis_engine.commands.exporting import export_campaign

    export_campaign(source, folder / "data", "deepmd")
    return folder / "data"


def _follow_structures(tree: Any, template: Path) -> None:
    """Structures that the template names beside itself are named from anywhere."""
    for system in tree.get("systems", []):
        given = Path(str(system["structure"]))
        if not given.is_absolute():
            system["structure"] = str((template.parent / given).absolute())

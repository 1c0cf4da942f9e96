"""Commented campaign files to start from: ``sis init`` and ``sis import``."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.commands.validation import runs_in_lammps
from sis_engine.config.file import parse_yaml, read_text
from sis_engine.errors import ConfigurationError
from sis_engine.plugins import Kind, load
from sis_engine.storage.atomic import write_text
from sis_engine.storage.exchange import check_importable
from sis_engine.structures import atoms_of, read_structure

TEMPLATE = "quickstart.yaml"
CLUSTER = "lifsi-dol-cluster.xyz"
MODEL_SUFFIXES = frozenset({".pt", ".pth", ".pb", ".pt2", ".dp"})


def write_template(folder: Path, *, structure: Path | None, labeler: str, trainer: str) -> Path:
    """``campaign.yaml`` (and its structure) in ``folder``, ready for ``sis validate``.

    Raises ConfigurationError for an unreadable structure, an unknown plugin, or a file in the way.
    """
    load(Kind.LABELER, labeler, key="--labeler")
    load(Kind.TRAINER, trainer, key="--trainer")
    tree = _template()
    target = _target(folder)
    if structure is None:
        _copy_cluster(folder)
    else:
        _use_structure(tree, structure)
    if labeler != "xtb":
        _use_plugin(tree, Kind.LABELER, labeler)
    if trainer != "deepmd":
        _use_plugin(tree, Kind.TRAINER, trainer)
        _comment(tree, "training", "numbers of another trainer: look at each")
        if not runs_in_lammps(load(Kind.TRAINER, trainer)):
            tree["explorer"] = CommentedMap({"type": "ase"})
    if (structure, labeler, trainer) != (None, "xtb", "deepmd"):
        _say_what_it_is(tree)
    _write(tree, target)
    return target


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
    target = _target(folder)
    tree = _template() if template is None else parse_yaml(read_text(template), template)
    tree["name"] = folder.absolute().name
    if template is None:
        _copy_cluster(folder)
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
        _say_what_it_is(tree, "sis import")
        _comment(tree, "initial", "what was imported; no reference MD where `segment` is empty")
    _write(tree, target)
    return made


def _data_of(source: Path, folder: Path) -> Path:
    """The data folder itself, or a campaign's data exported beside the new file."""
    if not (source.is_dir() and campaign_folder.exists(source)):
        return source
    from sis_engine.commands.exporting import export_campaign

    export_campaign(source, folder / "data", "deepmd")
    return folder / "data"


def _template() -> Any:
    text = files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    return parse_yaml(text, Path(TEMPLATE))


def _target(folder: Path) -> Path:
    target = folder / campaign_folder.CONFIG_FILE
    if target.exists():
        raise ConfigurationError(
            "exists already", file=target, hint="choose another folder, or remove it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return target


def _copy_cluster(folder: Path) -> None:
    text = files(__package__).joinpath(CLUSTER).read_text(encoding="utf-8")
    write_text(folder / "structures" / CLUSTER, text)


def _use_structure(tree: Any, structure: Path) -> None:
    """The template's one system becomes the person's; what was fitted to the cluster goes."""
    frame = read_structure(structure, key="--structure")
    formula = atoms_of(frame).get_chemical_formula(empirical=False)
    tree["name"] = structure.stem
    system = tree["systems"][0]  # changed in place: its comments and blank lines stay
    system["name"], system["structure"] = structure.stem, str(structure.absolute())
    tree.yaml_set_comment_before_after_key(
        "systems", before=f"{formula}, {'periodic' if any(frame.pbc) else 'not periodic'}"
    )
    tree["trainer"]["sel"] = "auto"
    _comment(tree["trainer"], "sel", "counted in the first data")
    _comment(tree, "labeler", "xTB in process")
    if any(frame.pbc) and tree["labeler"].get("type") == "xtb":
        tree["labeler"]["method"] = "GFN1-xTB"
        tree["labeler"]["charges"] = True


def _comment(tree: Any, key: str, text: str) -> None:
    """Say this behind ``key`` instead of what the template says of its own."""
    tree.ca.items.pop(key, None)
    tree.yaml_add_eol_comment(text, key, column=29)


def _follow_structures(tree: Any, template: Path) -> None:
    """Structures that the template names beside itself are named from anywhere."""
    for system in tree.get("systems", []):
        given = Path(str(system["structure"]))
        if not given.is_absolute():
            system["structure"] = str((template.parent / given).absolute())


def _say_what_it_is(tree: Any, maker: str = "sis init") -> None:
    """The template's first lines speak of the quickstart."""
    tree.yaml_set_start_comment(
        f"A campaign made by `{maker}`: {tree['labeler']['type']} labels, "
        f"{tree['trainer']['type']} models.\n"
        "Numbers are those of the quickstart: look at each (`sis schema` lists all keys), then\n"
        "`sis validate campaign.yaml` and `sis plan campaign.yaml`."
    )


def _use_plugin(tree: Any, kind: Kind, name: str) -> None:
    """Another plugin than the template's, its settings listed in a comment above it."""
    tree.ca.items.pop(kind.value, None)  # what was said of the template's own
    tree[kind.value] = CommentedMap({"type": name})
    tree.yaml_set_comment_before_after_key(kind.value, before=_settings_of(kind, name))


def _settings_of(kind: Kind, name: str) -> str:
    """The plugin's settings with their defaults, as a comment."""
    fields = load(kind, name).Config.model_fields
    told = [
        f"  {key}: {json.dumps(field.get_default(call_default_factory=True), default=str)}"
        for key, field in fields.items()
        if key != "type"
    ]
    return "\n".join([f"settings of {name} and their defaults:", *told])


def _write(tree: Any, target: Path) -> None:
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(tree, stream)
    write_text(target, stream.getvalue())

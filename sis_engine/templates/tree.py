"""The template as a YAML tree whose comments stay, and what is changed in it."""

from __future__ import annotations

import io
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.config.file import parse_yaml
from sis_engine.errors import ConfigurationError
from sis_engine.records import Frame
from sis_engine.storage.atomic import write_text
from sis_engine.structures import atoms_of

TEMPLATE = "quickstart.yaml"
CLUSTER, CRYSTAL = "lifsi-dol-cluster.xyz", "li-bulk-8.extxyz"
STRUCTURES = "structures"
"""Folder beside the campaign file."""
SECTIONS_THAT_TOUCH = re.compile(r"(\n {2,}[^\n]*)\n(?=[A-Za-z_]+:)")
"""Settings of a section, and the next section on the next line."""


def quickstart() -> Any:
    """The quickstart's campaign file."""
    text = files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    return parse_yaml(text, Path(TEMPLATE))


def target_in(folder: Path) -> Path:
    """Where the campaign file will be. Raises ConfigurationError where one lies already."""
    target = folder / campaign_folder.CONFIG_FILE
    if target.exists():
        raise ConfigurationError(
            "exists already", file=target, hint="choose another folder, or remove it"
        )
    return target


def shipped(structure: str) -> Path:
    """A structure that lies beside the template."""
    return Path(str(files(__package__).joinpath(structure)))


def copy_shipped(structure: str, folder: Path) -> None:
    """A shipped structure into the campaign's folder."""
    write_text(folder / STRUCTURES / structure, shipped(structure).read_text(encoding="utf-8"))


def use_structure(tree: Any, name: str, frame: Frame, path: str) -> None:
    """The template's one system becomes another; what was fitted to the cluster goes."""
    formula = atoms_of(frame).get_chemical_formula(empirical=False)
    system = tree["systems"][0]  # changed in place: its comments and blank lines stay
    system["name"], system["structure"] = name, path
    tree.yaml_set_comment_before_after_key(
        "systems", before=f"{formula}, {'periodic' if any(frame.pbc) else 'not periodic'}"
    )
    tree["trainer"]["sel"] = "auto"
    comment(tree["trainer"], "sel", "counted in the first data")
    comment(tree, "labeler", "xTB in process")
    if any(frame.pbc):
        tree["labeler"]["method"] = "GFN1-xTB"
        tree["labeler"]["charges"] = True


def comment(tree: Any, key: str, text: str) -> None:
    """Say this behind ``key`` instead of what the template says of its own."""
    old = tree.ca.items.pop(key, None)
    tree.yaml_add_eol_comment(text, key, column=29)
    if old is not None and old[2] is not None and old[2].value.endswith("\n\n"):
        tree.ca.items[key][2].value += "\n\n"


def say_what_it_is(tree: Any, maker: str, numbers_of: str = "the quickstart") -> None:
    """Other first lines than the template's, which speak of the quickstart."""
    tree.yaml_set_start_comment(
        f"A campaign made by `{maker}`: {tree['labeler']['type']} labels, "
        f"{tree['trainer']['type']} models.\n"
        f"Numbers are those of {numbers_of}: look at each (`sis schema` lists all keys), then\n"
        "`sis validate campaign.yaml` and `sis plan campaign.yaml`."
    )


def write(tree: Any, target: Path) -> None:
    """The tree as a campaign file."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(tree, stream)
    write_text(target, SECTIONS_THAT_TOUCH.sub(r"\1\n\n", stream.getvalue()))

"""``sis init``: a campaign file for a chosen system, labeler, trainer and explorer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sis_engine.commands.exactness import inexact_because
from sis_engine.commands.validation import runs_in_lammps
from sis_engine.errors import ConfigurationError
from sis_engine.plugins import Kind, configure, load
from sis_engine.structures import read_structure
from sis_engine.templates.sections import use_plugins
from sis_engine.templates.tree import (
    CLUSTER,
    CRYSTAL,
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


def write_template(
    folder: Path,
    *,
    structure: Path | None,
    labeler: str,
    trainer: str,
    explorer: str | None = None,
) -> Path:
    """``campaign.yaml`` (and its structure) in ``folder``, ready for ``sis validate``.

    structure: ``None``: the quickstart's cluster, or a crystal where the labeler needs a cell
    explorer: ``None``: LAMMPS where the trainer's models run in it, else ASE
    Raises ConfigurationError for an unreadable structure, an unknown plugin, plugins that do not
    go together, or a file in the way.
    """
    needs_cell = bool(getattr(load(Kind.LABELER, labeler, key="--labeler"), "needs_cell", False))
    names = _chosen(labeler, trainer, explorer)
    tree, target = quickstart(), target_in(folder)
    own = CRYSTAL if needs_cell else CLUSTER
    frame = read_structure(structure or shipped(own), key="--structure")
    if structure is not None:
        tree["name"] = structure.stem
        use_structure(tree, structure.stem, frame, str(structure.absolute()))
    elif own != CLUSTER:
        tree["name"] = Path(own).stem
        use_structure(tree, Path(own).stem, frame, f"{STRUCTURES}/{own}")
    others = {kind: name for kind, name in names.items() if tree[kind.value]["type"] != name}
    use_plugins(tree, others, frame)
    if Kind.TRAINER in others:
        comment(tree, "training", "numbers of another trainer: look at each")
    _promise_what_holds(tree)
    if others or structure is not None:
        say_what_it_is(tree, "sis init")
    folder.mkdir(parents=True, exist_ok=True)
    if structure is None:
        copy_shipped(own, folder)
    write(tree, target)
    return target


def _chosen(labeler: str, trainer: str, explorer: str | None) -> dict[Kind, str]:
    in_lammps = runs_in_lammps(load(Kind.TRAINER, trainer, key="--trainer"))
    chosen = explorer or ("lammps" if in_lammps else "ase")
    load(Kind.EXPLORER, chosen, key="--explorer")
    if chosen == "lammps" and not in_lammps:
        raise ConfigurationError(
            f"models of the trainer {trainer} do not run in LAMMPS",
            key="--explorer",
            allowed="ase",
        )
    return {Kind.LABELER: labeler, Kind.TRAINER: trainer, Kind.EXPLORER: chosen}


def _promise_what_holds(tree: Any) -> None:
    """``exact: false`` where one of the parts cannot keep it, with its reason."""
    for kind in (Kind.LABELER, Kind.EXPLORER):
        section = dict(tree[kind.value])
        if None in section.values():
            continue  # the person has to fill it in first
        reason = inexact_because(configure(kind, section, key=kind.value))
        if reason is not None:
            tree["exact"] = False
            comment(tree, "exact", reason)

"""``sis fork``: a campaign that shares the label bank and every generation up to a point."""

from __future__ import annotations

import io
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.commands.status import open_ledger
from sis_engine.commands.validation import validate
from sis_engine.config.changes import changes_between
from sis_engine.config.file import parse_yaml, read_campaign_text, with_line
from sis_engine.config.settings import apply_settings
from sis_engine.errors import ConfigurationError
from sis_engine.labelling.with_charges import levels_of
from sis_engine.records import Frame
from sis_engine.setup.assembly import Parts, assemble
from sis_engine.storage.generation import GENERATIONS_FOLDER
from sis_engine.storage.ledger import Ledger
from sis_engine.storage.ownership import acquire
from sis_engine.structures import atoms_of


@dataclass(frozen=True)
class Forked:
    """last_generation: the last one both share (-1: none);  changes: as told to the person"""

    last_generation: int
    changes: tuple[str, ...]


def fork_campaign(
    source: Path, target: Path, *, at: int | None, changes: tuple[str, ...]
) -> Forked:
    """Make ``target`` from ``source``; its generations are hard links where the disk allows.

    at: the last generation to keep;  changes: ``key.path=value`` with YAML values
    Nothing is written when the changed configuration is not valid.
    """
    if campaign_folder.exists(target):
        raise ConfigurationError(f"{target} holds a campaign already", allowed="a new folder")
    with open_ledger(source) as old:
        rows = old.generations()
        last = len(rows) - 1 if at is None else at
        if not -1 <= last < len(rows):
            raise ConfigurationError(
                f"generation {at} is not committed",
                key="--at",
                allowed=f"-1 (keep none) … {len(rows) - 1}",
            )
        before = campaign_folder.parts_of(source, old)
        text = changed_text(before.text, changes, before.file, _bank_of(source, old))
        inputs = source / campaign_folder.INPUTS
        with _told_as_settings(changes, before):
            fresh = _other_structures(before, text)
            parts = assemble(before.file, text, inputs, before.base, fresh)
            if last >= 0:
                _check_same_atoms(before, parts)
                _check_same_beginning(before, parts)
            validate(parts)
        if last >= 0:
            _check_same_theory(before, parts)
        with acquire(target), Ledger(target) as new:
            _share_generations(source, target, [row for row in rows if row.number <= last])
            for row in rows[: last + 1]:
                new.commit(row)
            for paid in old.evaluations():
                if paid.generation <= last:
                    new.count(paid)  # what the shared generations cost is part of the fork's cost
            new.event("fork", f"forked from {source.absolute()} at generation {last}")
            campaign_folder.create(target, parts, new)
            differences = changes_between(before.config, parts.config)
            campaign_folder.forked_with(new, differences, last + 1)
            new.set_meta("config_file", str(before.base.absolute()))
    return Forked(last, tuple(item.what for item in differences))


@contextmanager
def _told_as_settings(changes: tuple[str, ...], before: Parts) -> Iterator[None]:
    """A fault of a key that ``--set`` changed is not one of the file, which has no such line."""
    try:
        yield
    except ConfigurationError as error:
        key = error.key or ""
        asked = [change for change in changes if _touch(change.partition("=")[0], key)]
        if asked:
            error.file = error.line = None
            error.key = f"--set {asked[0]}" + ("" if asked[0].startswith(f"{key}=") else f": {key}")
        elif error.file == str(before.file):
            error.line = None
            with_line(error, parse_yaml(before.text, before.file))
        raise


def _touch(one: str, other: str) -> bool:
    """Is one of two dotted keys the other, or below it?"""
    first, second = f"{one}.", f"{other}."
    return first.startswith(second) or second.startswith(first)


def _other_structures(before: Parts, text: str) -> frozenset[str]:
    """Systems whose structure file is another one in the changed ``text``."""
    named = {system.name: system.structure for system in before.config.systems}
    after = read_campaign_text(text, before.file).systems
    return frozenset(item.name for item in after if named.get(item.name) != item.structure)


def _check_same_atoms(before: Parts, after: Parts) -> None:
    """Frames and plans of the kept generations have to be of the fork's systems, atom by atom."""
    frames = {system.name: system.frame for system in after.systems}
    for index, system in enumerate(before.systems):
        old, new = system.frame, frames.get(system.name)
        if new is not None and (old.species, old.pbc) == (new.species, new.pbc):
            continue
        raise ConfigurationError(
            f"the kept generations are of system {system.name!r} with {_in_words(old)}; "
            + ("the fork has no such system" if new is None else f"the fork's is {_in_words(new)}"),
            key=f"systems.{index}" + ("" if new is None else ".structure"),
            allowed="the same atoms in the same order and the same periodicity, elsewhere",
            hint="fork with --at -1: it shares the bank and keeps no generation; or begin a new "
            "campaign",
        )


def _check_same_beginning(before: Parts, after: Parts) -> None:
    """Generation 0 is kept, and nobody asks again how it was to begin."""
    for change in changes_between(before.config, after.config):
        if change.key.startswith("initial."):
            raise ConfigurationError(
                f"generation 0 is kept, and it began with {change.old!r}: {change.new!r} would "
                "change nothing",
                key=change.key,
                allowed=f"{change.old!r}, as it was",
                hint="fork with --at -1: it shares the bank and keeps no generation",
            )


def _in_words(frame: Frame) -> str:
    """Its formula, its first atoms (the order may be what differs) and its periodicity."""
    formula = atoms_of(frame).get_chemical_formula(empirical=False)
    shown = " ".join(frame.species[:6]) + (" …" if frame.n_atoms > 6 else "")
    return f"{formula} (atoms {shown}; periodic along {frame.pbc})"


def _check_same_theory(before: Parts, after: Parts) -> None:
    """Labels of two levels of theory may not meet in one data set."""
    for system in before.systems:
        pairs = itertools.zip_longest(
            levels_of(before.labeler, system),
            levels_of(after.labeler, after.system(system.name)),
        )
        for old, new in pairs:
            # charges that come or go leave or enter a loss; charges of two kinds may not meet
            if old is not None and new is not None and old.fingerprint != new.fingerprint:
                raise ConfigurationError(
                    f"labels of the kept generations are {old.method} by {old.program}; those to "
                    f"come would differ from them ({new.method} by {new.program}, or its settings)",
                    key="--set labeler",
                    allowed="changes of the level of theory in a fork that keeps no generation",
                    hint="fork with --at -1: it shares the bank and starts with generation 0",
                )


def _bank_of(source: Path, ledger: Ledger) -> Path:
    """The bank of the source campaign: the fork uses the same, so no label is paid for twice."""
    parts = campaign_folder.parts_of(source, ledger)
    shared = parts.config.label_bank
    return (source / "labels").absolute() if shared is None else parts.path(shared)


def _share_generations(source: Path, target: Path, rows: list[Any]) -> None:
    (target / GENERATIONS_FOLDER).mkdir(parents=True, exist_ok=True)
    for row in rows:
        try:
            os.link(source / row.file, target / row.file)
        except OSError:  # another file system
            shutil.copyfile(source / row.file, target / row.file)


def changed_text(text: str, changes: tuple[str, ...], file: Path, bank: Path) -> str:
    """The campaign file with ``key.path=value`` applied and the shared bank named."""
    tree: Any = parse_yaml(text, file)
    apply_settings(tree, changes, example="audit.min_frames=60")
    tree["label_bank"] = str(bank)
    stream = io.StringIO()
    YAML(typ="rt", pure=True).dump(tree, stream)
    return stream.getvalue()

"""The campaign that is rehearsed: shipped, small, with a note of every evaluation outside it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sis_engine.errors import SisError
from sis_engine.rehearsal.interposer import Fault, Mode, Operation, is_loaded
from sis_engine.rehearsal.life import (
    ENDED,
    EVALUATIONS,
    End,
    First,
    Stage,
    import_what_a_life_imports,
    live,
    nothing,
)
from sis_engine.rehearsal.remains import Remains, banked, look, orphans

SHIPPED = Path(__file__).with_name("campaign.yaml")
CONFIG = "campaign.yaml"
STRUCTURE = Path(__file__).with_name("cluster.xyz")
MOST_LIVES = 6
"""Undisturbed lives that a disturbed campaign may need to come to its end; one is the rule."""

Changes = Mapping[str, Any]


class RehearsalFailed(SisError):
    """The undisturbed campaign does not come to its end: there is nothing to compare with."""


@dataclass(frozen=True)
class Undisturbed:
    """The campaign to compare with. cpu_s, seen: CPU time and operations of its one life"""

    remains: Remains
    cpu_s: float
    seen: tuple[tuple[str, int], ...] = ()


NOTHING = Undisturbed(Remains("", 0, 0, frozenset()), 0.0)
"""Where nothing is compared with it."""


def prepare(place: Path, changes: Changes | None = None) -> Stage:
    """A new folder ``place`` with the campaign's file in it; whatever was there goes."""
    shutil.rmtree(place, ignore_errors=True)
    (place / "notes").mkdir(parents=True)
    shutil.copy(STRUCTURE, place)
    tree: dict[str, Any] = YAML(typ="safe", pure=True).load(SHIPPED.read_text(encoding="utf-8"))
    for key, value in (changes or {}).items():
        section, _, name = key.partition(".")
        if name:
            tree[section] = {**tree.get(section, {}), name: value}
        else:
            tree[section] = value
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(tree, text)
    stage = stage_in(place)
    (place / CONFIG).write_text(text.getvalue(), encoding="utf-8")
    return stage


def stage_in(place: Path) -> Stage:
    """Of a folder that was prepared."""
    return Stage(place / "run", place / CONFIG, place / "notes")


def evaluated(stage: Stage) -> list[str]:
    """Keys of all evaluations that were finished, in order, whatever became of them."""
    log = stage.notes / EVALUATIONS
    return log.read_text().split() if log.exists() else []


class Ordeal:
    """One campaign through several lives, with account of what each of them did."""

    def __init__(self, stage: Stage, compared: Undisturbed) -> None:
        self.stage = stage
        self.compared = compared
        self.differences: list[str] = []
        self.orphans: list[str] = []
        self.recomputed = 0

    def live(self, **how: Any) -> End:
        """Lead a life and look at what is left of it."""
        known, before = banked(self.stage.folder), len(evaluated(self.stage))
        end = live(self.stage, **how)
        self.recomputed += sum(key in known for key in evaluated(self.stage)[before:])
        self.orphans += orphans(self.stage.folder)
        if end.hung:
            self.differences.append(f"a life hung: {end.last_line}")
        if "Traceback" in end.said or end.last_line.startswith("failed:"):
            self.differences.append(f"unexpected: {end.last_line}")
        return end

    def to_the_end(self, ended: frozenset[int] = ENDED) -> End:
        """Undisturbed lives until the campaign has ended; it has to be as the other.

        ended: exit codes that are an end
        """
        end = End(-1, "", 0.0)
        for _ in range(MOST_LIVES):
            end = self.live()
            if end.code in ended:
                self._compare()
                return end
        self.differences.append(f"did not come to its end: exit code {end.code}: {end.last_line}")
        return end

    def _compare(self) -> None:
        found, wanted = look(self.stage.folder), self.compared.remains
        if found.digest != wanted.digest:
            self.differences.append("another digest")
        if found.paid != wanted.paid:
            self.differences.append(f"{found.paid} evaluations counted, not {wanted.paid}")
        self.differences += [f"{name} is missing" for name in sorted(wanted.files - found.files)]
        self.orphans += sorted(found.files - wanted.files)


def undisturbed(place: Path, changes: Changes | None = None, first: First = nothing) -> Undisturbed:
    """Run it once, its operations counted where that is possible, and say what to compare with."""
    stage = prepare(place, changes)
    count = Fault(Operation.OPEN, Mode.COUNT, 0) if is_loaded() else None
    end = live(stage, fault=count, first=first)
    if end.code not in ENDED:
        raise RehearsalFailed(
            f"the undisturbed campaign ended with exit code {end.code}: {end.said.strip()}",
            hint=f"see {stage.notes}",
        )
    import_what_a_life_imports(stage)
    return Undisturbed(look(stage.folder), end.cpu_s, end.seen)

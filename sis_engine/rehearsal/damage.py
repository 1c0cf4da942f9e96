"""Every kind of file torn and garbled: it is detected, named and dealt with, or it held nothing."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sis_engine.rehearsal.given import Ordeal, Undisturbed, prepare, stage_in
from sis_engine.rehearsal.interposer import Fault, Mode, Operation, is_loaded
from sis_engine.rehearsal.life import ENDED, End, live
from sis_engine.rehearsal.trial import Trial
from sis_engine.storage.atomic import ASIDE_FOLDER
from sis_engine.storage.ledger import Ledger

if TYPE_CHECKING:
    from sis_engine.rehearsal.programme import Compared

KILLED_AT = 0.85
"""The campaign that is damaged was killed after this part of its renames: in its second turn."""


def _flip(where: float, bits: int) -> Callable[[bytes], bytes]:
    def flipped(data: bytes) -> bytes:
        changed = bytearray(data)
        if changed:
            changed[min(int(where * len(changed)), len(changed) - 1)] ^= bits
        return bytes(changed)

    return flipped


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "first byte": _flip(0.0, 0xFF),
    "middle byte": _flip(0.5, 0xFF),
    "last byte": _flip(1.0, 0xFF),
    "one bit": _flip(0.7, 0x04),
    "cut in half": lambda data: data[: len(data) // 2],
    "cut to nothing": lambda _: b"",
}

FILES: dict[str, str] = {
    "generation": "generations/*.h5",
    "ledger": "ledger.sqlite",
    "ledger's journal": "ledger.sqlite-wal",
    "label bank": "labels/labels.sqlite",
    "bank's journal": "labels/labels.sqlite-wal",
    "campaign.yaml": "campaign.yaml",
    "copy of a structure": "inputs/*.extxyz",
    "labels of a turn": "work/0001/label/result-1.h5",
    "result of training": "work/0001/train-1/result-1.h5",
    "model file": "work/0001/train-1/1/*.json",
    "kept replica": "work/0001/explore/kept/*.h5",
    "log for people": "log/console.txt",
    "log for programs": "log/events.jsonl",
    "live traces": "log/live.json",
    "lock": "owner.lock",
    "ledger's index": "ledger.sqlite-shm",
    "bank's index": "labels/labels.sqlite-shm",
}
"""Kinds of files, and where one is."""

_DATABASES = (".sqlite", ".sqlite-wal")
_TELL_NOTHING = frozenset(
    {"log for people", "log for programs", "live traces", "lock", "ledger's index", "bank's index"}
)
"""Written for watchers, or made anew by whoever opens it first: damage there can change nothing."""

NAMED = "named, set aside and made again"
REFUSED = "refused by name; mended, it went on to the same end"
EDIT = "taken for an edit, told key by key"
REDONE = "what it had alone was done again"
NOTHING = "it held nothing that is read"


def damaged(place: Path, compared: Compared, kind: str, damage: str) -> Trial:
    """One file of a campaign that was killed in its second turn, damaged before it goes on."""
    begun = time.monotonic()
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(compared.half_way, place)
    stage = stage_in(place)
    name = f"damage: {kind}: {damage}"
    found = sorted(stage.folder.glob(FILES[kind]))
    if not found:
        return Trial(name, f"{kind}: {damage}", "there was no such file", seconds=0.0)
    path = found[0]
    whole, facts = path.read_bytes(), _facts(path)
    path.write_bytes(DAMAGES[damage](whole))
    touched = path.read_bytes() != whole and (facts is None or _facts(path) != facts)
    ordeal = Ordeal(replace(stage, config=None), compared.whole)
    end = ordeal.live()
    outcome = _outcome(kind, path, end, ordeal, touched=touched)
    if outcome == REFUSED:
        path.write_bytes(whole)
    if outcome != EDIT:
        ordeal.to_the_end()
    return Trial(
        name=name,
        fault=f"{kind}: {damage}",
        outcome=outcome,
        injected=1,
        differences=tuple(ordeal.differences),
        recomputed=ordeal.recomputed,
        orphans=tuple(ordeal.orphans),
        seconds=time.monotonic() - begun,
    )


def _outcome(kind: str, path: Path, end: End, ordeal: Ordeal, *, touched: bool) -> str:
    if end.code not in ENDED:
        if path.name not in end.said:
            ordeal.differences.append(f"stopped without naming {path.name}: {end.last_line}")
        return REFUSED
    told = _events(ordeal.stage.folder)
    aside = (path.parent / ASIDE_FOLDER).glob(f"{path.name}.*")
    if kind == "campaign.yaml" and "configuration:" in told:
        return EDIT
    by_stage = kind == "model file" and "torn_result" in told  # the stage names it, not its files
    if any(aside) or path.name in told or by_stage:
        return NAMED
    if path.name.endswith("-wal"):
        return REDONE
    if kind not in _TELL_NOTHING and touched:
        ordeal.differences.append(f"a damaged {kind} was read as if it were whole")
    return NOTHING


def killed_half_way(place: Path, whole: Undisturbed) -> Path:
    """A campaign killed in its second turn, to be copied: the same each time with the faults in C,
    else killed by the clock.
    """
    stage = prepare(place)
    if is_loaded():
        renames = dict(whole.seen)[Operation.RENAME.value]
        live(stage, fault=Fault(Operation.RENAME, Mode.DIE_AFTER, int(KILLED_AT * renames)))
    else:
        live(stage, kill_after_s=KILLED_AT * whole.cpu_s)
    return place


def _facts(path: Path) -> str | None:
    """What a database says, whatever its bytes: ``None`` for other files and unreadable ones."""
    if not path.name.endswith(_DATABASES):
        return None
    base = path.with_name(path.name.removesuffix("-wal"))
    with tempfile.TemporaryDirectory(dir=base.parent.parent) as copy:
        for item in (base, base.with_name(f"{base.name}-wal")):
            if item.exists():
                shutil.copy(item, copy)
        try:
            connection = sqlite3.connect(Path(copy) / base.name)
            try:
                return "\n".join(connection.iterdump())
            finally:
                connection.close()
        except (sqlite3.Error, UnicodeDecodeError):
            return None


def _events(folder: Path) -> str:
    with Ledger(folder, read_only=True) as ledger:
        return "\n".join(f"{row.kind}: {row.text}" for row in ledger.events())

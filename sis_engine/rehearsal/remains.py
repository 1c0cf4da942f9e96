"""What a campaign folder and the machine look like after a life: labels, files, processes, lock."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sis_engine.errors import TornFile
from sis_engine.storage.atomic import ASIDE_FOLDER, PARTIAL_SUFFIX
from sis_engine.storage.bank import BANK_FILE, LabelBank
from sis_engine.storage.ledger import Ledger
from sis_engine.storage.ownership import holder

_PR_SET_CHILD_SUBREAPER = 36

PATIENCE_S = 60.0
"""How long a warden is given to take down what its engine left, on a loaded machine."""

_OURS: set[int] = set()
"""Children that this process had before: no life left them."""


def adopt_orphans() -> None:
    """What a dead life leaves running becomes a child of this process, so that it is found."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _OURS.clear()
    _OURS.update(_children())


@dataclass(frozen=True)
class Remains:
    """What a campaign came to. paid: evaluations its ledger counts;  files: outside scratch"""

    digest: str
    generations: int
    paid: int
    files: frozenset[str]


def look(folder: Path) -> Remains:
    """Read it as it is; it must not be running."""
    files = files_of(folder)  # first: a look into the ledger makes files of its own
    with Ledger(folder, read_only=True) as ledger:
        rows = ledger.generations()
        paid = sum(item.paid for item in ledger.counts())
    return Remains(rows[-1].digest if rows else "", len(rows), paid, files)


def files_of(folder: Path) -> frozenset[str]:
    """Files of a campaign, relative; of scratch only what was never finished; none moved aside."""
    found = set()
    for path in folder.rglob("*"):
        place = path.relative_to(folder)
        scratch = place.parts[0] == "work" and path.suffix != PARTIAL_SUFFIX
        if path.is_file() and not scratch and ASIDE_FOLDER not in place.parts:
            found.add(str(place))
    return frozenset(found)


def banked(folder: Path) -> frozenset[str]:
    """Keys in the bank of a campaign that was killed, read from a copy: looking changes nothing."""
    place = folder / "labels"
    with tempfile.TemporaryDirectory(dir=folder.parent) as copy:
        for name in (BANK_FILE, f"{BANK_FILE}-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(place / name, copy)
        if not (Path(copy) / BANK_FILE).exists():
            return frozenset()
        try:
            with LabelBank(Path(copy)) as bank:
                return bank.keys(good=None)
        except TornFile:  # the engine will not read it either
            return frozenset()


def orphans(folder: Path) -> tuple[str, ...]:
    """Processes that outlived their engine and a lock that nobody alive should hold.

    The caller has adopted orphans; they are given time to be taken down, then named and ended.
    """
    end = time.monotonic() + PATIENCE_S
    while (left := _children()) and time.monotonic() < end:
        time.sleep(0.02)
    found = [f"process {pid}: {name}" for pid, name in left.items()]
    held = holder(folder) if folder.is_dir() else None
    if held is not None:
        found.append(f"{folder} is held by process {held.pid}")
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
    _children()
    return tuple(found)


def _children() -> dict[int, str]:
    """Living children of this process by name; those that have ended are reaped."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                name, _, rest = (entry / "stat").read_text().rpartition(")")
                pid, parent = int(entry.name), int(rest.split()[1])
                if parent == os.getpid() and pid not in _OURS and not _is_reaped(pid):
                    found[pid] = name.partition("(")[2]
    return found


def _is_reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def differences_of(found: Remains, wanted: Remains) -> tuple[str, ...]:
    """What differs from the undisturbed campaign, in words; files moved aside are no difference."""
    told = []
    if found.digest != wanted.digest:
        told.append("another digest")
    if found.paid != wanted.paid:
        told.append(f"{found.paid} evaluations counted, not {wanted.paid}")
    return (*told, *(f"{name} is left" for name in sorted(found.files - wanted.files)))

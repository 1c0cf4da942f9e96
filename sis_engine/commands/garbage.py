"""``sis gc``: scratch of committed generations is in their files already, and may go."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sis_engine.commands.status import open_ledger
from sis_engine.execution.job_folder import ANSWERED
from sis_engine.storage.ledger import Ledger, StageState
from sis_engine.storage.ownership import acquire

SPOOLED = ("done/*", "parsl/*", *(f"{kind}-*" for kind in ANSWERED))
"""What pools leave behind in the spool."""


@dataclass(frozen=True)
class Collected:
    """Folders that went (or would go) and their size."""

    folders: tuple[Path, ...]
    bytes: int


def collect(folder: Path, *, dry_run: bool = False) -> Collected:
    """Remove ``work/NNNN`` of committed generations, but attempts that failed are kept.

    Result files of pools go, too (their labels are in the bank), work in pools that was stopped or
    failed, and the logs of earlier runs.

    The campaign must not be running.
    """
    open_ledger(folder).close()  # a clear error where there is no campaign; nothing is made there
    with acquire(folder), Ledger(folder) as ledger:
        committed = [row.number for row in ledger.generations()]
        failed = {
            (row.generation, row.stage, row.attempt)
            for row in ledger.stages()
            if row.state is StageState.FAILED
        }
        found = [
            path
            for number in committed
            for path in sorted((folder / "work" / f"{number:04d}").glob("*/*"))
            if not _is_failed(path, number, failed)
        ]
        found += [path for name in SPOOLED for path in sorted((folder / "spool").glob(name))]
        size = sum(_size(path) for path in found)
        if not dry_run:
            for path in found:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            ledger.event("gc", f"removed {len(found)} folders, {size} bytes")
    return Collected(tuple(found), size)


def _is_failed(path: Path, generation: int, failed: set[tuple[int, str, int]]) -> bool:
    return path.name.isdigit() and (generation, path.parent.name, int(path.name)) in failed


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(item.stat().st_size for item in files if item.is_file())

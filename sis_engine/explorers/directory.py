"""Folders of runs: a fresh one for each try."""

from __future__ import annotations

import re
from pathlib import Path

from sis_engine.errors import InfrastructureError

_MOST_TRIES = 10_000


def fresh_directory(parent: Path, name: str) -> Path:
    """A new folder named after ``name``; a number is added where an earlier try left one."""
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", name) or "run"
    for attempt in range(1, _MOST_TRIES):
        path = parent / (stem if attempt == 1 else f"{stem}.{attempt}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise InfrastructureError(
        f"{parent} already holds {_MOST_TRIES} tries of {stem}", hint="remove old ones"
    )

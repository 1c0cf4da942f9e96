"""The lines of a campaign's log, as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sis_engine.bookkeeping.log import LOG_FOLDER, TEXT_FILE
from sis_engine.execution.program import tail

LOOK_EVERY_S = 0.3
_BYTES_A_LINE = 400


def last_lines(folder: Path, count: int) -> tuple[str, ...]:
    """At most the last ``count`` lines; none where there is no log yet."""
    text = tail(folder / LOG_FOLDER / TEXT_FILE, max(8_000, count * _BYTES_A_LINE))
    return tuple(text.splitlines()[-count:]) if count else ()


def follow_lines(
    folder: Path, stop: Callable[[], bool], *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Whole lines that are written from now on, over log rotations too, until ``stop``."""
    path = folder / LOG_FOLDER / TEXT_FILE
    place, inode = _end_of(path)
    rest = b""
    while not stop():
        try:
            with path.open("rb") as stream:
                number = _inode(path)
                if number != inode or stream.seek(0, 2) < place:
                    place, inode, rest = 0, number, b""
                stream.seek(place)
                found = stream.read()
        except FileNotFoundError:
            found = b""
        place += len(found)
        *whole, rest = (rest + found).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
        if not found:
            sleep(LOOK_EVERY_S)


def _end_of(path: Path) -> tuple[int, int | None]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, None
    return found.st_size, found.st_ino


def _inode(path: Path) -> int:
    return path.stat().st_ino

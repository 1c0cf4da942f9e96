"""A trailer after the last byte of a file that proves the bytes before it.

HDF5 stores no checksum of its metadata and reads past damage; a sealed file is refused when it is
truncated at any offset or has one bit flipped, the trailer included. HDF5 readers ignore bytes
after the end that their superblock names, so a sealed file opens in any of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from sis_engine.errors import TornFile
from sis_engine.storage.atomic import (
    BLOCK_BYTES,
    DISK,
    Disk,
    DurableFile,
    infrastructure_error,
    write_file,
)

MAGIC = b"SISSEAL1"
TRAILER_BYTES = len(MAGIC) + 64 + 20 + 1
"""magic, SHA-256 in hexadecimal, body size in decimal, newline"""


def write_sealed(
    path: Path,
    fill: Callable[[DurableFile], None],
    *,
    verify: Callable[[Path], None] | None = None,
    disk: Disk = DISK,
    lasting: bool = True,
) -> None:
    """As :func:`sis_engine.storage.atomic.write_file`, with the seal appended after ``fill``."""

    def fill_and_seal(file: DurableFile) -> None:
        fill(file)
        body = file.seek(0, 2)
        digest = hashlib.sha256()
        file.seek(0)
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
        file.seek(body)
        file.write(_trailer(digest.hexdigest(), body))

    write_file(path, fill_and_seal, verify=verify, disk=disk, lasting=lasting)


def check_seal(path: Path) -> str:
    """Prove every byte; SHA-256 of the *whole* file, trailer included. TornFile if it is not so."""
    body = check_seal_size(path)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            left = body
            while left > 0:
                block = file.read(min(BLOCK_BYTES, left))
                if not block:
                    raise _torn(path, f"it ends {left} bytes early")
                digest.update(block)
                left -= len(block)
            trailer = file.read()
    except OSError as error:
        raise infrastructure_error(error, path, "reading") from error
    if trailer != _trailer(digest.hexdigest(), body):
        raise _torn(path, "its content does not have the recorded SHA-256")
    digest.update(trailer)
    return digest.hexdigest()


def check_seal_size(path: Path) -> int:
    """The cheap check, for status: trailer present and the size as recorded; the body's size."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - TRAILER_BYTES))
            trailer = file.read()
    except FileNotFoundError as error:
        raise TornFile(f"{path} is missing", path=path, hint=_HINT) from error
    except OSError as error:  # not the file's fault: the surroundings may come back
        raise infrastructure_error(error, path, "reading") from error
    if len(trailer) != TRAILER_BYTES or not trailer.startswith(MAGIC):
        raise _torn(path, f"it has {size} bytes and no seal at its end: truncated or not ours")
    recorded = trailer[len(MAGIC) + 64 : -1]
    if not recorded.isdigit() or int(recorded) != size - TRAILER_BYTES:
        raise _torn(path, f"it has {size} bytes, its seal says otherwise")
    return size - TRAILER_BYTES


_HINT = "`sis run` moves a torn file aside and goes on from what is whole"


def _trailer(digest: str, body: int) -> bytes:
    return MAGIC + digest.encode() + f"{body:020d}".encode() + b"\n"


def _torn(path: Path, what: str) -> TornFile:
    return TornFile(f"{path} is torn: {what}", path=path, hint=_HINT)

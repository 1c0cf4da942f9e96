"""LAMMPS's binary dumps, and a ring of them that never touches the disk.

Formatting positions as text and making a file a snapshot cost 0.5 ms each, 2 % of small-cell MD;
binary into a named pipe costs 0.02 ms. The pipe is drained into memory by a thread that keeps
the last ones; they are written beside the log when the run has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from sis_engine.errors import InfrastructureError
from sis_engine.records import FloatArray

_MAGIC = b"DUMPCUSTOM"
_HEAD = struct.Struct("=q10sii")  # -len(magic), magic, endianness, revision
_BOX = struct.Struct("=qqi6i6d")  # step, atoms, triclinic, boundaries, bounds
_PIPE_BYTES = 1 << 20
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of Linux; fcntl names it from Python 3.10 on Linux only
_COALESCE_S = 0.02
_WAIT_S = 0.1


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One snapshot.

    bounds: (3, 2) of the bounding box, Å;  tilts: xy, xz, yz, Å
    table: (n_atoms, n_columns) in the order of the dump's columns
    """

    step: int
    bounds: FloatArray
    tilts: tuple[float, float, float]
    table: FloatArray


def snapshots(data: bytes) -> Iterator[tuple[Snapshot, int]]:
    """Every whole snapshot in ``data`` with the offset of its end; a torn end is left out."""
    offset = 0
    while True:
        found = _snapshot(data, offset)
        if found is None:
            return
        offset = found[1]
        yield found


def _snapshot(data: bytes, start: int) -> tuple[Snapshot, int] | None:
    """Format of LAMMPS's ``dump_custom.cpp`` since 2020 (revision 2; later ones refused)."""
    try:
        length, magic, endian, revision = _HEAD.unpack_from(data, start)
        if length != -len(_MAGIC) or magic != _MAGIC or endian != 1 or revision != 2:
            raise InfrastructureError(
                f"a LAMMPS binary dump begins with {data[start : start + 26]!r}, not the known "
                "header (DUMPCUSTOM, revision 2)",
                hint="use a LAMMPS release that sis doctor approves",
            )
        at = start + _HEAD.size
        step, n_atoms, triclinic, *rest = _BOX.unpack_from(data, at)
        at += _BOX.size
        tilts = (0.0, 0.0, 0.0)
        if triclinic:
            tilts = struct.unpack_from("=3d", data, at)
            at += 24
        width, units_length = struct.unpack_from("=ii", data, at)
        at += 8 + units_length
        has_time = data[at]
        at += 1 + (8 if has_time else 0)
        (columns_length,) = struct.unpack_from("=i", data, at)
        at += 4 + columns_length
        (n_chunks,) = struct.unpack_from("=i", data, at)
        at += 4
        chunks = []
        for _ in range(n_chunks):
            (count,) = struct.unpack_from("=i", data, at)
            at += 4
            if at + 8 * count > len(data):
                return None
            chunks.append(np.frombuffer(data, np.float64, count, at))
            at += 8 * count
    except (struct.error, IndexError):
        return None  # torn: more is to come, or the program was killed while writing
    table = np.concatenate(chunks) if chunks else np.zeros(0)
    if table.size != n_atoms * width:
        return None
    bounds = np.array(rest[6:12]).reshape(3, 2)
    return Snapshot(step, bounds, tilts, table.reshape(n_atoms, width)), at


class Ring:
    """The last ``size`` snapshots that LAMMPS writes to the named pipe ``path``.

    Use as a context around the run; afterwards the snapshots are in the file ``kept``.
    """

    def __init__(self, path: Path, kept: Path, size: int) -> None:
        self._path, self._kept = path, kept
        self._last: deque[bytes] = deque(maxlen=size)
        self._rest = b""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._fault: InfrastructureError | None = None

    def __enter__(self) -> Self:
        try:
            os.mkfifo(self._path)
            # Non-blocking: opening for reading would wait for LAMMPS, which may never come.
            self._pipe = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise InfrastructureError(
                f"cannot make a named pipe at {self._path}: {error}",
                hint="put the campaign on a local file system",
            ) from error
        with contextlib.suppress(OSError):  # only speed
            fcntl.fcntl(self._pipe, _SET_PIPE_SIZE, _PIPE_BYTES)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._pipe)
        self._path.unlink(missing_ok=True)
        self._kept.write_bytes(b"".join(self._last))
        if self._fault is not None:
            raise self._fault

    def _drain(self) -> None:
        while True:
            # Asked before reading: what was written before the end is then surely read.
            ended = self._ended.is_set()
            select.select([self._pipe], [], [], 0.0 if ended else _WAIT_S)
            got = self._read()
            if not got and ended:
                return
            if not ended:
                time.sleep(_COALESCE_S if got else _WAIT_S)

    def _read(self) -> bool:
        try:
            data = os.read(self._pipe, _PIPE_BYTES)
        except BlockingIOError:
            return False
        if data and self._fault is None:
            self._take(data)
        return bool(data)

    def _take(self, data: bytes) -> None:
        self._rest += data
        taken = 0
        try:
            for _, end in snapshots(self._rest):
                self._last.append(self._rest[taken:end])
                taken = end
        except InfrastructureError as error:
            self._fault = error  # go on reading, or LAMMPS would wait for us
        self._rest = self._rest[taken:]

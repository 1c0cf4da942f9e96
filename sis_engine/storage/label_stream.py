"""Labels on their way from a worker: one sealed entry after another in a file that only grows.

An entry is written as its label finishes, so a worker that dies loses only what it had in hand; and
it is flushed to the disk at once, so that a power cut takes no more than the last milliseconds.
Reading stops in front of an entry that is torn or not all there yet.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sis_engine.records import LabelFailure, Labelled
from sis_engine.storage.label_rows import decode, encode, level_from

Result = Labelled | LabelFailure

_MAGIC = b"SIS1"
_LENGTHS = struct.Struct("<II")
_SEAL_BYTES = 32


@dataclass(frozen=True)
class End:
    """The last entry: how the work ended.

    state: "done", "stopped" or "raised";  kind, message, hint, directory: of what was raised
    started, ended: the worker's clock, s since 1970;  host: where it ran
    """

    state: str
    started: float
    ended: float
    host: str
    kind: str = ""
    message: str = ""
    hint: str | None = None
    directory: str | None = None


class LabelStream:
    """The writing end, append-only.

    A thread flushes what has been written; the next label is made meanwhile, and labels that take
    less time than the disk share a flush. :meth:`sync` waits for it. An error of the disk is raised
    by the next call.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o644)
        self._changed = threading.Condition()
        self._written = self._flushed = 0
        self._closing = False
        self._error: OSError | None = None
        self._flusher = threading.Thread(target=self._flush, name="flush", daemon=True)
        self._flusher.start()

    def append(self, item: Result | End) -> None:
        """It outlives this process when this returns; the disk is told at once."""
        data = memoryview(_packed(item))
        while data:
            data = data[os.write(self._descriptor, data) :]
        with self._changed:
            self._raise_error()
            self._written += 1
            self._changed.notify_all()

    def sync(self) -> None:
        """All that was appended is durable when this returns."""
        with self._changed:
            self._changed.wait_for(lambda: self._flushed == self._written or self._error)
            self._raise_error()

    def close(self) -> None:
        """Flush, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._flusher.join()
        os.close(self._descriptor)
        self._raise_error()

    def _flush(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._flushed != self._written or self._closing)
                written = self._written
                if self._flushed == written:
                    return
            error = None
            try:
                os.fsync(self._descriptor)
            except OSError as raised:
                error = raised
            with self._changed:
                self._flushed, self._error = written, error or self._error
                self._changed.notify_all()

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


def read_from(path: Path, offset: int) -> tuple[list[Result | End], int]:
    """Whole entries from ``offset`` on, and where the next one begins."""
    try:
        if path.stat().st_size <= offset:
            return [], offset
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    found: list[Result | End] = []
    begin = 0
    while (entry := _entry(data, begin)) is not None:
        item, begin = entry
        found.append(item)
    return found, offset + begin


def _entry(data: bytes, begin: int) -> tuple[Result | End, int] | None:
    head = begin + len(_MAGIC) + _LENGTHS.size
    if len(data) < head or data[begin : begin + len(_MAGIC)] != _MAGIC:
        return None
    header_bytes, payload_bytes = _LENGTHS.unpack(data[begin + len(_MAGIC) : head])
    body = head + header_bytes
    end = body + payload_bytes
    seal = data[end : end + _SEAL_BYTES]
    if hashlib.sha256(data[begin:end]).digest() != seal:
        return None
    header = json.loads(data[head:body])
    item = End(**header["end"]) if "end" in header else _unpacked(header, data[body:end])
    return item, end + _SEAL_BYTES


def _packed(item: Result | End) -> bytes:
    header, payload = (
        ({"end": dataclasses.asdict(item)}, b"") if isinstance(item, End) else (_header(item))
    )
    text = json.dumps(header, separators=(",", ":")).encode()
    data = _MAGIC + _LENGTHS.pack(len(text), len(payload)) + text + payload
    return data + hashlib.sha256(data).digest()


def _header(item: Result) -> tuple[dict[str, Any], bytes]:
    """What the bank keeps of a label, and what only the walk that asked for it needs."""
    row, payload = encode(item)
    header: dict[str, Any] = {
        "good": isinstance(item, Labelled),
        "level": dataclasses.astuple(item.level),
        "row": row,
    }
    if isinstance(item, Labelled):
        header["version"] = item.program_version
        header["temperature_k"] = item.temperature_k
        if item.charges_level is not None:
            header["charges_level"] = dataclasses.astuple(item.charges_level)
        if item.velocities is not None:
            header["row_bytes"] = len(payload)
            payload += item.velocities.astype("<f8", copy=False).tobytes()
    return header, payload


def _unpacked(header: dict[str, Any], payload: bytes) -> Result:
    rest = header.get("row_bytes", len(payload))
    level = level_from(json.dumps(header["level"]))
    item = decode(header["good"], header["row"], payload[:rest], level, header.get("version"))
    if isinstance(item, LabelFailure):
        return item
    charges = header.get("charges_level")
    velocities = None
    if rest < len(payload):
        velocities = np.frombuffer(payload[rest:], dtype="<f8").reshape(-1, 3)
    return dataclasses.replace(
        item,
        temperature_k=header["temperature_k"],
        velocities=velocities,
        charges_level=None if charges is None else level_from(json.dumps(charges)),
    )

"""The label bank: every finished label, durable at once, keyed by physics, shared by campaigns."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sis_engine.errors import StorageError
from sis_engine.records import (
    Frame,
    LabelFailure,
    Labelled,
    LevelOfTheory,
    Origin,
    label_key,
)
from sis_engine.storage.database import Database, light_transaction, transaction
from sis_engine.storage.label_rows import decode, encode, level_from

FORMAT_VERSION = 1
BANK_FILE = "labels.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS levels (
    fingerprint TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS labels (
    key TEXT PRIMARY KEY, good INTEGER NOT NULL, level TEXT NOT NULL, version TEXT,
    campaign TEXT NOT NULL, header TEXT NOT NULL, payload BLOB NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS quarantine (
    key TEXT NOT NULL, good INTEGER, level TEXT, version TEXT, campaign TEXT, header, payload,
    sha256 TEXT, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS timings (
    machine TEXT NOT NULL, level TEXT NOT NULL, n_atoms INTEGER NOT NULL, threads INTEGER NOT NULL,
    seconds TEXT NOT NULL, PRIMARY KEY (machine, level, n_atoms, threads)) WITHOUT ROWID
"""

_COLUMNS = "key, good, level, version, campaign, header, payload, sha256"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class BankEntry:
    """A row of the bank: the item with the origin it was first paid for, and by which campaign."""

    item: Labelled | LabelFailure
    campaign: str


class LabelBank(Database):
    """``<folder>/labels.sqlite``; several processes and campaigns may use it at once.

    folder: of the bank, e.g. ``<campaign>/labels``
    campaign: written beside each label, so that a resumed campaign knows its own work again
    read_only: for a look beside a running engine; the bank must be there
    """

    def __init__(self, folder: Path, *, campaign: str = "", read_only: bool = False) -> None:
        super().__init__(
            folder / BANK_FILE, schema=_SCHEMA, version=FORMAT_VERSION, read_only=read_only
        )
        self._campaign = campaign
        self._levels: dict[str, LevelOfTheory] = {}

    def put(self, item: Labelled | LabelFailure, *, at_once: bool = True) -> None:
        """Store it; durable when this returns, or, not ``at_once``, when :meth:`flush` does.

        A good label replaces a failure, never the other way; nothing replaces a good label but one
        that has the charges or the virial that it lacks.
        """
        header, payload = encode(item)
        fingerprint = item.level.fingerprint
        good = isinstance(item, Labelled)
        richer = isinstance(item, Labelled) and self._is_richer(item)
        row = (
            item.key,
            int(good),
            fingerprint,
            item.program_version if isinstance(item, Labelled) else None,
            self._campaign,
            header,
            payload,
            _checksum(item.key, header, payload),
        )
        begun = transaction if at_once else light_transaction
        with self._lock, begun(self._connection, self.path):
            if fingerprint not in self._levels:
                self._connection.execute(
                    "INSERT OR IGNORE INTO levels VALUES (?, ?)",
                    (fingerprint, json.dumps(dataclasses.astuple(item.level))),
                )
            self._connection.execute(
                f"INSERT INTO labels ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608
                "ON CONFLICT(key) DO UPDATE SET good=excluded.good, version=excluded.version, "
                "campaign=excluded.campaign, header=excluded.header, payload=excluded.payload, "
                "sha256=excluded.sha256 WHERE labels.good=0 OR ?",
                (*row, richer),
            )
        self._levels.setdefault(fingerprint, item.level)

    def flush(self) -> None:
        """All that was put is durable when this returns."""
        with self._lock, transaction(self._connection, self.path):
            # Written anew though it is the same: a transaction that writes nothing flushes nothing.
            self._connection.execute(f"PRAGMA user_version={FORMAT_VERSION:d}")

    def _is_richer(self, item: Labelled) -> bool:
        """Whether it has all that the label in the bank has, and more."""
        known = self.lookup(item.key)
        if known is None or isinstance(known.item, LabelFailure):
            return False
        pairs = [
            (getattr(known.item.label, name) is not None, getattr(item.label, name) is not None)
            for name in ("charges", "virial")
        ]
        return all(new >= old for old, new in pairs) and any(new > old for old, new in pairs)

    def get(self, frame: Frame, level: LevelOfTheory, origin: Origin) -> Labelled | None:
        """The label of this frame at this level, with the caller's ``origin`` and frame.

        ``cached`` is false where this campaign paid for it for this very origin: work done before
        a kill, not a saving.
        """
        entry = self.lookup(label_key(frame, level))
        if entry is None or isinstance(entry.item, LabelFailure):
            return None
        own = entry.campaign == self._campaign and entry.item.origin == origin
        return dataclasses.replace(entry.item, frame=frame, origin=origin, cached=not own)

    def failure(self, frame: Frame, level: LevelOfTheory, origin: Origin) -> LabelFailure | None:
        """The recorded failure of this frame, if it has no label: do not pay for it twice."""
        entry = self.lookup(label_key(frame, level))
        if entry is None or isinstance(entry.item, Labelled):
            return None
        own = entry.campaign == self._campaign and entry.item.origin == origin
        return dataclasses.replace(entry.item, frame=frame, origin=origin, cached=not own)

    def forget_failures(self, keys: Sequence[str]) -> int:
        """These frames may be tried again; how many failures were forgotten. Labels stay."""
        with self._lock, transaction(self._connection, self.path):
            done = self._connection.executemany(
                "DELETE FROM labels WHERE key=? AND good=0", [(key,) for key in keys]
            )
            return done.rowcount

    def before(
        self, frame: Frame, level: LevelOfTheory, generation: int
    ) -> Labelled | LabelFailure | None:
        """What it has, unless this campaign paid for it in ``generation`` or later."""
        entry = self.lookup(label_key(frame, level))
        if entry is None:
            return None
        own = entry.campaign == self._campaign
        return None if own and entry.item.origin.generation >= generation else entry.item

    def lookup(self, key: str) -> BankEntry | None:
        """The row of a key as it was first paid for, or ``None``; a corrupt one is quarantined."""
        rows = self._all(f"SELECT {_COLUMNS} FROM labels WHERE key=?", (key,))  # noqa: S608
        return self._decode(rows[0]) if rows else None

    def keys(self, *, good: bool | None = True) -> frozenset[str]:
        """Keys of good labels (default), of failures (``False``), or of all (``None``)."""
        query, values = "SELECT key FROM labels", ()
        if good is not None:
            query, values = f"{query} WHERE good=?", (int(good),)  # type: ignore[assignment]
        return frozenset(row[0] for row in self._all(query, values))

    def count(self, *, good: bool = True) -> int:
        """How many good labels (or failures) it holds."""
        return int(self._all("SELECT COUNT(*) FROM labels WHERE good=?", (int(good),))[0][0])

    def count_quarantined(self) -> int:
        """How many rows were found corrupt."""
        return int(self._all("SELECT COUNT(*) FROM quarantine")[0][0])

    def levels(self) -> tuple[LevelOfTheory, ...]:
        """Levels of theory it holds labels of."""
        rows = self._all("SELECT fingerprint FROM levels ORDER BY 1")
        return tuple(self._level(fingerprint) for (fingerprint,) in rows)

    def versions(self, level: LevelOfTheory) -> tuple[str, ...]:
        """Exact program versions that labelled at this level."""
        rows = self._all(
            "SELECT DISTINCT version FROM labels WHERE level=? AND good=1 ORDER BY 1",
            (level.fingerprint,),
        )
        return tuple(row[0] for row in rows)

    def iterate(self, level: LevelOfTheory | None = None) -> Iterator[Labelled]:
        """Good labels in the order they came, one at a time; corrupt rows are left out."""
        query, values = "SELECT rowid FROM labels WHERE good=1", ()
        if level is not None:
            query, values = f"{query} AND level=?", (level.fingerprint,)  # type: ignore[assignment]
        for number in self._all(f"{query} ORDER BY rowid", values):
            rows = self._all(f"SELECT {_COLUMNS} FROM labels WHERE rowid=?", number)  # noqa: S608
            entry = self._decode(rows[0]) if rows else None
            if entry is not None and isinstance(entry.item, Labelled):
                yield entry.item

    def timings(self, level: str, n_atoms: int) -> dict[int, tuple[float, ...]]:
        """The last seconds of a label on this machine, by threads, for the packing rule."""
        rows = self._all(
            "SELECT threads, seconds FROM timings WHERE machine=? AND level=? AND n_atoms=?",
            (platform.node(), level, n_atoms),
        )
        return {threads: tuple(json.loads(text)) for threads, text in rows}

    def keep_timings(self, level: str, n_atoms: int, threads: int, last: Sequence[float]) -> None:
        """Keep them; a power cut may take them back."""
        with self._lock, light_transaction(self._connection, self.path):
            self._connection.execute(
                "INSERT OR REPLACE INTO timings VALUES (?, ?, ?, ?, ?)",
                (platform.node(), level, n_atoms, threads, json.dumps(list(last))),
            )

    def _level(self, fingerprint: str) -> LevelOfTheory:
        if fingerprint not in self._levels:
            rows = self._all("SELECT text FROM levels WHERE fingerprint=?", (fingerprint,))
            level = level_from(rows[0][0]) if rows else None
            if level is None or level.fingerprint != fingerprint:
                raise StorageError(
                    f"{self.path}: level of theory {fingerprint} is not as written", path=self.path
                )
            self._levels[fingerprint] = level
        return self._levels[fingerprint]

    def _decode(self, row: tuple[Any, ...]) -> BankEntry | None:
        key, good, fingerprint, version, campaign, header, payload, checksum = row
        try:
            if _checksum(key, header, payload) != checksum:
                raise ValueError("its SHA-256 is not the recorded one")
            item = decode(bool(good), header, payload, self._level(fingerprint), version)
            if item.key != key:
                raise ValueError("its content does not have its key")
        except (ValueError, KeyError, TypeError, AttributeError, StorageError) as error:
            self._quarantine(key, str(error))
            return None
        return BankEntry(item, campaign)

    def _quarantine(self, key: str, reason: str) -> None:
        """Out of the way and kept: it counts as absent and will be labelled again."""
        if self.read_only:
            return
        _log.warning("%s: label %s is corrupt (%s): quarantined", self.path, key, reason)
        with self._lock, transaction(self._connection, self.path):
            self._connection.execute(
                f"INSERT INTO quarantine SELECT {_COLUMNS}, ? FROM labels WHERE key=?",  # noqa: S608
                (reason, key),
            )
            self._connection.execute("DELETE FROM labels WHERE key=?", (key,))


def _checksum(key: str, header: str, payload: bytes) -> str:
    digest = hashlib.sha256(f"{key}\n{header}\n".encode())
    digest.update(payload)
    return digest.hexdigest()

"""How the bank and the ledger open SQLite: durable at every commit, shared, errors in our tree."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sis_engine.errors import InfrastructureError, NewerFormat, StorageError, TornFile
from sis_engine.storage.atomic import infrastructure_error
from sis_engine.storage.row_seals import Tables, prove_rows, seal_all, seal_from_now_on

BUSY_TIMEOUT_S = 60.0
"""How long one process waits for another's write; writes take milliseconds."""

_DISK_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}
_RESTORE = (
    "restore it from a copy; without one, begin a new campaign with this one's `labels` folder as "
    "its `label_bank`: what was labelled costs nothing there"
)
_TORN_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Database:
    """One SQLite file that threads share; close it, or leave the ``with`` block.

    read_only: for a look beside a writing engine; the file must be there
    sealed: tables whose every row a writer proves and seals (see :mod:`row_seals`)
    """

    def __init__(
        self,
        path: Path,
        *,
        schema: str,
        version: int,
        read_only: bool = False,
        sealed: Tables | None = None,
    ) -> None:
        self.path = path
        self.read_only = read_only
        self._lock = threading.RLock()
        self._connection = (
            open_read_only(path, version=version)
            if read_only
            else open_database(path, schema=schema, version=version, sealed=sealed or {})
        )

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _all(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Every row of a query."""
        with self._lock, translated(self.path):
            return self._connection.execute(query, values).fetchall()


def open_database(
    path: Path, *, schema: str, version: int, sealed: Tables | None = None
) -> sqlite3.Connection:
    """A connection that commits durably (WAL, synchronous=FULL), its tables made if absent.

    InfrastructureError for a full or failing disk, TornFile for a damaged database, NewerFormat
    when a newer engine wrote it. Autocommit: use ``with transaction(…)`` for several statements.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _keep_journal_of_emptied(path)
    except OSError as error:
        raise infrastructure_error(error, path, "opening") from error
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            before = _check_version(connection, path, version)
            with transaction(connection, path):
                for statement in schema.split(";"):
                    connection.execute(statement)
                if sealed and before < version:
                    seal_all(connection, sealed)
                connection.execute(f"PRAGMA user_version={version:d}")
            if sealed:
                prove_rows(connection, path, sealed, hint=_RESTORE)
                seal_from_now_on(connection, sealed)
        except BaseException:
            connection.close()
            raise
    return connection


def _keep_journal_of_emptied(path: Path) -> None:
    """SQLite takes an empty file for a new database and throws away the journal beside it, which
    may be all that is left: whoever restores the file needs it.
    """
    journal = path.with_name(f"{path.name}-wal")
    if path.is_file() and not path.stat().st_size and journal.is_file() and journal.stat().st_size:
        raise TornFile(
            f"{path} is empty, but its journal {journal.name} is not",
            path=path,
            hint=_RESTORE,
        )


def open_read_only(path: Path, *, version: int) -> sqlite3.Connection:
    """A reader beside a writing engine: sees the last commit, takes no lock, creates nothing."""
    if not path.is_file():
        raise StorageError(
            f"there is no {path.name} in {path.parent}",
            path=path,
            hint="is this a campaign folder? `sis run` makes one",
        )
    with translated(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _check_version(connection, path, version)
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All of the statements inside, or none."""
    with translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def light_transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """As :func:`transaction`, without waiting for the disk.

    Killed, the process loses nothing; a power cut may take back what the next full transaction
    has not flushed. For what can be found again elsewhere.
    """
    with translated(path):
        connection.execute("PRAGMA synchronous=NORMAL")
        try:
            with transaction(connection, path):
                yield
        finally:
            connection.execute("PRAGMA synchronous=FULL")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours, naming the file and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _TORN_CODES:
            raise TornFile(
                f"{path} is damaged: {error}",
                path=path,
                hint=f"keep a copy, then try `sqlite3 {path} .recover`",
            ) from error
        if code in _DISK_CODES or code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN}:
            raise InfrastructureError(
                f"{path}: {error}",
                hint="check free space and permissions of the folder, then `sis run` again",
            ) from error
        raise StorageError(f"{path}: {error}", path=path) from error


def _check_version(connection: sqlite3.Connection, path: Path, version: int) -> int:
    """The format that it has; 0: it is new."""
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > version:
        raise NewerFormat(
            f"{path} has format {found}, this engine knows {version}",
            path=path,
            hint="upgrade: pip install --upgrade sis-engine",
        )
    return found

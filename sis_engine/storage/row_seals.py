"""A hash beside every row: SQLite reads a row with a flipped bit as if it had been written so.

Triggers of the writing connection keep ``row_seals`` current inside each transaction; a writer that
opens the database proves every row first. A database of an older engine is sealed as it is.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from sis_engine.errors import TornFile

TABLE = """
CREATE TABLE IF NOT EXISTS row_seals (
    of TEXT NOT NULL, row NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (of, row)) WITHOUT ROWID"""

Tables = Mapping[str, str]
"""Names of the sealed tables, each with the column that identifies its rows."""


def prove_rows(connection: sqlite3.Connection, path: Path, tables: Tables, *, hint: str) -> None:
    """TornFile naming the first row that is not as it was sealed, or was never sealed."""
    connection.create_function("sis_seal", -1, _seal, deterministic=True)
    for table, key in tables.items():
        values = ", ".join(f"{table}.{column}" for column in _columns(connection, table))
        torn = connection.execute(
            f"SELECT {table}.{key} FROM {table} LEFT JOIN row_seals ON of=? AND row={table}.{key} "  # noqa: S608
            f"WHERE row_seals.sha256 IS NOT sis_seal({values}) LIMIT 1",
            (table,),
        ).fetchone()
        if torn is not None:
            raise TornFile(
                f"{path} is damaged: row {torn[0]} of its table {table} is not as it was written",
                path=path,
                hint=hint,
            )


def seal_all(connection: sqlite3.Connection, tables: Tables) -> None:
    """Take every row as it is: of an older engine, which sealed none."""
    connection.create_function("sis_seal", -1, _seal, deterministic=True)
    for table, key in tables.items():
        values = ", ".join(_columns(connection, table))
        connection.execute(
            f"INSERT OR REPLACE INTO row_seals SELECT ?, {key}, sis_seal({values}) FROM {table}",  # noqa: S608
            (table,),
        )


def seal_from_now_on(connection: sqlite3.Connection, tables: Tables) -> None:
    """Keep the seals with every change that this connection makes."""
    connection.execute("PRAGMA recursive_triggers=ON")  # a REPLACE deletes a row unseen otherwise
    for table, key in tables.items():
        new = ", ".join(f"new.{column}" for column in _columns(connection, table))
        # No OR REPLACE: inside a trigger the outer statement's way with conflicts would hold.
        drop = f"DELETE FROM row_seals WHERE of='{table}' AND row="  # noqa: S608
        seal = f"INSERT INTO row_seals VALUES ('{table}', new.{key}, sis_seal({new}))"  # noqa: S608
        put = f"{drop}new.{key}; {seal}"
        for when, what in (("INSERT", put), ("UPDATE", put), ("DELETE", f"{drop}old.{key}")):
            connection.execute(
                f"CREATE TEMP TRIGGER seal_{table}_{when.lower()} "
                f"AFTER {when} ON main.{table} BEGIN {what}; END"
            )


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [f'"{row[1]}"' for row in connection.execute(f"PRAGMA table_info({table})")]


def _seal(*values: str | float | bytes | None) -> str:
    return hashlib.sha256(repr(values).encode("utf-8", "surrogatepass")).hexdigest()[:32]

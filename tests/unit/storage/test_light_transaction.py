from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from sis_engine.errors import InfrastructureError
from sis_engine.storage.database import light_transaction


class Failing(sqlite3.Connection):
    """The k-th statement fails as on a full disk."""

    left = 10**9

    def execute(self, *given: object) -> sqlite3.Cursor:
        self.left -= 1
        if self.left == 0:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return super().execute(*given)  # type: ignore[arg-type]


@pytest.mark.parametrize("k", range(1, 6))
def test_whatever_statement_fails_it_is_a_fault_of_the_surroundings(tmp_path: Path, k: int) -> None:
    path = tmp_path / "a.sqlite"
    connection = sqlite3.connect(path, isolation_level=None, factory=Failing)
    connection.execute("CREATE TABLE t (n)")
    connection.left = k
    with (
        pytest.raises(InfrastructureError, match="disk is full"),
        light_transaction(connection, path),
    ):
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()

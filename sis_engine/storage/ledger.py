"""The commit record of a campaign: what is done, what was paid for, and what happened when.

``ledger.sqlite`` has one writer (the engine that :func:`sis_engine.storage.ownership.acquire` let
in) and any number of readers. A generation exists if and only if its row does.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sis_engine.records import LabelFailure, Labelled, Purpose
from sis_engine.storage import row_seals
from sis_engine.storage.database import Database, light_transaction, transaction
from sis_engine.storage.ledger_rows import (
    EvaluationRow,
    EventRow,
    GenerationRow,
    Outcome,
    PurposeCount,
    StageRow,
    StageState,
)

__all__ = [
    "EvaluationRow",
    "EventRow",
    "GenerationRow",
    "Ledger",
    "Outcome",
    "PurposeCount",
    "StageRow",
    "StageState",
]

FORMAT_VERSION = 2
"""2: every row is sealed."""
LEDGER_FILE = "ledger.sqlite"
REDONE_S = "redone_s"
"""Key of the seconds of stages that were taken back: spent, though their results are gone."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stages (
    generation INTEGER NOT NULL, stage TEXT NOT NULL, attempt INTEGER NOT NULL,
    state TEXT NOT NULL, result_path TEXT, sha256 TEXT, seconds REAL, message TEXT NOT NULL,
    started_at TEXT NOT NULL, ended_at TEXT, PRIMARY KEY (generation, stage, attempt));
CREATE TABLE IF NOT EXISTS generations (
    number INTEGER PRIMARY KEY, file TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    parent_sha256 TEXT, digest TEXT NOT NULL, committed_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS abandoned (
    number INTEGER NOT NULL, file TEXT, sha256 TEXT, digest TEXT, reason TEXT NOT NULL,
    abandoned_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS evaluations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, generation INTEGER NOT NULL,
    purpose TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT, system TEXT NOT NULL,
    plan TEXT NOT NULL, idx INTEGER NOT NULL, attempt INTEGER NOT NULL, seconds REAL NOT NULL,
    UNIQUE (key, generation, purpose, plan, idx, attempt));
CREATE INDEX IF NOT EXISTS evaluations_of ON evaluations (generation, purpose, outcome);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, level TEXT NOT NULL,
    kind TEXT NOT NULL, text TEXT NOT NULL, data TEXT NOT NULL)
"""


_SEALED = {
    "meta": "key",
    "stages": "rowid",
    "generations": "number",
    "abandoned": "rowid",
    "evaluations": "seq",
    "events": "seq",
}
"""Its tables, and what identifies their rows."""


class Ledger(Database):
    """``<campaign>/ledger.sqlite``. Every call commits durably before it returns.

    A writer proves every row when it opens it: TornFile where one is not as it was written.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        super().__init__(
            folder / LEDGER_FILE,
            schema=f"{_SCHEMA};{row_seals.TABLE}",
            version=FORMAT_VERSION,
            read_only=read_only,
            sealed=_SEALED,
        )

    # ---------------------------------------------------------------- stages

    def start_stage(self, generation: int, stage: str) -> int:
        """Record that a stage starts; the number of this attempt, from 1."""
        with self._lock, transaction(self._connection, self.path):
            (last,) = self._connection.execute(
                "SELECT COALESCE(MAX(attempt), 0) FROM stages WHERE generation=? AND stage=?",
                (generation, stage),
            ).fetchone()
            self._connection.execute(
                "INSERT INTO stages VALUES (?, ?, ?, 'started', NULL, NULL, NULL, '', ?, NULL)",
                (generation, stage, last + 1, _now()),
            )
        return int(last) + 1

    def finish_stage(
        self,
        generation: int,
        stage: str,
        attempt: int,
        *,
        result_path: Path | str | None,
        sha256: str | None,
        seconds: float,
        message: str = "",
    ) -> None:
        """The attempt is done and its result durable at ``result_path``."""
        path = None if result_path is None else self._relative(result_path)
        self._end_stage(generation, stage, attempt, ("done", path, sha256, seconds, message))

    def fail_stage(
        self, generation: int, stage: str, attempt: int, seconds: float, message: str
    ) -> None:
        """The attempt ended without a result."""
        self._end_stage(generation, stage, attempt, ("failed", None, None, seconds, message))

    def stages(self, generation: int | None = None) -> tuple[StageRow, ...]:
        """Attempts in the order they started, of one generation or all."""
        where, values = ("", ()) if generation is None else ("WHERE generation=?", (generation,))
        rows = self._all(f"SELECT * FROM stages {where} ORDER BY started_at, rowid", values)  # noqa: S608
        return tuple(
            StageRow(generation, stage, attempt, StageState(state), *rest)
            for generation, stage, attempt, state, *rest in rows
        )

    def done_stage(self, generation: int, stage: str) -> StageRow | None:
        """The last finished attempt at a stage, or ``None``."""
        rows = [row for row in self.stages(generation) if row.stage == stage]
        return next((row for row in reversed(rows) if row.state is StageState.DONE), None)

    def forget_stages(self, generation: int, *, keep: tuple[str, ...]) -> None:
        """Take back all stages of a generation that is not committed, but those named."""
        marks = ", ".join("?" * len(keep))
        taken = f"generation=? AND stage NOT IN ({marks})"
        with self._lock, transaction(self._connection, self.path):
            self._add_redone(taken, (generation, *keep))
            self._connection.execute(f"DELETE FROM stages WHERE {taken}", (generation, *keep))  # noqa: S608

    def _add_redone(self, taken: str, values: tuple[object, ...]) -> None:
        """Seconds of stages that are taken back were spent all the same: inside a transaction."""
        spent = self._connection.execute(
            f"SELECT COALESCE(SUM(seconds), 0.0) FROM stages WHERE {taken}",  # noqa: S608
            values,
        ).fetchone()[0]
        self._connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT(key) DO UPDATE "
            "SET value = value + excluded.value",
            (REDONE_S, spent),
        )

    # ---------------------------------------------------------------- generations

    def commit(self, row: GenerationRow) -> None:
        """The one transaction that makes a generation exist."""
        with self._lock, transaction(self._connection, self.path):
            self._connection.execute(
                "INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    row.number,
                    self._relative(row.file),
                    row.sha256,
                    row.size,
                    row.parent_sha256,
                    row.digest,
                    row.committed_at,
                ),
            )

    def generations(self) -> tuple[GenerationRow, ...]:
        """Committed generations, oldest first."""
        rows = self._all("SELECT * FROM generations ORDER BY number", ())
        return tuple(GenerationRow(*row) for row in rows)

    def abandon(self, first: int, reason: str) -> tuple[GenerationRow, ...]:
        """Take back generation ``first`` and all after it, with their stages; what was taken.

        Their evaluations stay counted: they were paid for.
        """
        taken = tuple(row for row in self.generations() if row.number >= first)
        with self._lock, transaction(self._connection, self.path):
            self._connection.execute(
                "INSERT INTO abandoned SELECT number, file, sha256, digest, ?, ? "
                "FROM generations WHERE number>=?",
                (reason, _now(), first),
            )
            self._connection.execute("DELETE FROM generations WHERE number>=?", (first,))
            self._add_redone("generation>=?", (first,))
            self._connection.execute("DELETE FROM stages WHERE generation>=?", (first,))
        return taken

    # ---------------------------------------------------------------- evaluations

    def count(self, row: EvaluationRow) -> bool:
        """Count one evaluation; ``False`` if it was counted before (a resume recounts nothing).

        The label itself is durable in the bank by now, and a count that a power cut took back is
        made again when the stage is; waiting for the disk would cost as much as a fast label.
        """
        with self._lock, light_transaction(self._connection, self.path):
            changed = self._connection.execute(
                "INSERT OR IGNORE INTO evaluations (key, generation, purpose, outcome, reason, "
                "system, plan, idx, attempt, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    row.key,
                    row.generation,
                    row.purpose.value,
                    row.outcome.value,
                    row.reason,
                    row.system,
                    row.plan,
                    row.idx,
                    row.attempt,
                    row.seconds,
                ),
            ).rowcount
        return changed > 0

    def count_evaluation(self, generation: int, item: Labelled | LabelFailure) -> bool:
        """Count a labeler's result by its origin; ``False`` if it was counted before.

        A label made where there was a failure (which the bank has forgotten since) is another
        evaluation.
        """
        origin = item.origin
        failed = isinstance(item, LabelFailure)
        paid = Outcome.FAILED if failed else Outcome.GOOD
        row = EvaluationRow(
            key=item.key,
            generation=generation,
            purpose=origin.purpose,
            outcome=Outcome.CACHED if item.cached else paid,
            system=origin.system,
            plan=origin.plan,
            idx=origin.index,
            seconds=item.seconds,
            reason=item.reason.value if isinstance(item, LabelFailure) else None,
        )
        if self.count(row):
            return True
        return not failed and self._failed_before(row) and self.count(replace(row, attempt=1))

    def _failed_before(self, row: EvaluationRow) -> bool:
        found = self._all(
            "SELECT 1 FROM evaluations WHERE key=? AND generation=? AND purpose=? AND plan=? "
            "AND idx=? AND attempt=0 AND outcome=?",
            (row.key, row.generation, row.purpose.value, row.plan, row.idx, Outcome.FAILED.value),
        )
        return bool(found)

    def counts(
        self, generation: int | None = None, *, through: int | None = None
    ) -> tuple[PurposeCount, ...]:
        """Evaluations by purpose; purposes with none are left out.

        generation: of this one only;  through: of this one and all before it;  neither: of all
        """
        where, values = ("", ()) if generation is None else ("WHERE generation=?", (generation,))
        if through is not None:
            where, values = "WHERE generation<=?", (through,)
        rows = self._all(
            "SELECT purpose, SUM(outcome='good'), SUM(outcome='failed'), SUM(outcome='cached'), "  # noqa: S608
            f"SUM(CASE outcome WHEN 'cached' THEN 0.0 ELSE seconds END) FROM evaluations {where} "
            "GROUP BY purpose",
            values,
        )
        found = {name: PurposeCount(Purpose(name), *rest) for name, *rest in rows}
        return tuple(found[purpose.value] for purpose in Purpose if purpose.value in found)

    def paid_by_others(self) -> int:
        """Labels that came from a shared bank and that this campaign never paid for, each once."""
        rows = self._all(
            "SELECT COUNT(DISTINCT key) FROM evaluations WHERE outcome=? AND key NOT IN "
            "(SELECT key FROM evaluations WHERE outcome<>?)",
            (Outcome.CACHED.value, Outcome.CACHED.value),
        )
        return int(rows[0][0])

    def evaluations(self, generation: int | None = None) -> tuple[EvaluationRow, ...]:
        """Evaluations in the order they were counted."""
        where, values = ("", ()) if generation is None else ("WHERE generation=?", (generation,))
        rows = self._all(
            "SELECT key, generation, purpose, outcome, system, plan, idx, seconds, reason, attempt "  # noqa: S608
            f"FROM evaluations {where} ORDER BY seq",
            values,
        )
        return tuple(
            EvaluationRow(key, number, Purpose(purpose), Outcome(outcome), *rest)
            for key, number, purpose, outcome, *rest in rows
        )

    # ---------------------------------------------------------------- events and meta

    def event(
        self,
        kind: str,
        text: str,
        *,
        level: str = "info",
        data: Mapping[str, str | int | float | bool | None] | None = None,
    ) -> None:
        """Record something that happened."""
        with self._lock, transaction(self._connection, self.path):
            self._connection.execute(
                "INSERT INTO events (time, level, kind, text, data) VALUES (?, ?, ?, ?, ?)",
                (_now(), level, kind, text, json.dumps(dict(data or {}))),
            )

    def events(self, *, after: int = 0, limit: int | None = None) -> tuple[EventRow, ...]:
        """Events with ``seq`` above ``after``, oldest first; the last ``limit`` of them."""
        rows = self._all(
            "SELECT * FROM (SELECT seq, time, level, kind, text, data FROM events WHERE seq>? "
            "ORDER BY seq DESC LIMIT ?) ORDER BY seq",
            (after, -1 if limit is None else limit),
        )
        return tuple(EventRow(*row) for row in rows)

    def set_meta(self, key: str, value: str) -> None:
        with self._lock, transaction(self._connection, self.path):
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def meta(self, key: str) -> str | None:
        rows = self._all("SELECT value FROM meta WHERE key=?", (key,))
        return rows[0][0] if rows else None

    def _end_stage(
        self, generation: int, stage: str, attempt: int, values: tuple[Any, ...]
    ) -> None:
        with self._lock, transaction(self._connection, self.path):
            changed = self._connection.execute(
                "UPDATE stages SET state=?, result_path=?, sha256=?, seconds=?, message=?, "
                "ended_at=? WHERE generation=? AND stage=? AND attempt=?",
                (*values, _now(), generation, stage, attempt),
            ).rowcount
            if changed != 1:
                raise ValueError(f"attempt {attempt} at {stage} of {generation} never started")

    def _relative(self, path: Path | str) -> str:
        """Campaign folders are moved and copied: paths inside are kept relative."""
        given = Path(path)
        return (
            str(given.relative_to(self.folder)) if given.is_relative_to(self.folder) else str(given)
        )


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")

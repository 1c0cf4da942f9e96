"""The durable queue: every change of a campaign's place in the service is on disk at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from sis_engine.service.jobs import Job, JobState, Process, Wanted
from sis_engine.storage.database import Database, transaction

FORMAT_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    name TEXT PRIMARY KEY, priority INTEGER NOT NULL, cores INTEGER NOT NULL, gpus INTEGER NOT NULL,
    state TEXT NOT NULL, wanted TEXT NOT NULL, reason TEXT NOT NULL, pid INTEGER, started INTEGER,
    core_ids TEXT NOT NULL, gpu_ids TEXT NOT NULL, faults INTEGER NOT NULL,
    not_before REAL NOT NULL, reached TEXT NOT NULL, approve INTEGER NOT NULL,
    told INTEGER NOT NULL, submitted_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS beats (kind TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID
"""


class Queue(Database):
    """``ROOT/.service/queue.sqlite``: one writer (the daemon), any number of readers."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(path, schema=_SCHEMA, version=FORMAT_VERSION, read_only=read_only)

    def jobs(self) -> tuple[Job, ...]:
        """In the order in which they get their turn: by priority, then by age."""
        rows = self._all("SELECT * FROM jobs ORDER BY priority DESC, submitted_at, name")
        return tuple(_job(row) for row in rows)

    def job(self, name: str) -> Job | None:
        rows = self._all("SELECT * FROM jobs WHERE name=?", (name,))
        return _job(rows[0]) if rows else None

    def put(self, job: Job) -> Job:
        """Write a campaign's row, new or changed; what was written."""
        marks = ", ".join("?" * 17)
        with self._lock, transaction(self._connection, self.path):
            self._connection.execute(
                f"INSERT OR REPLACE INTO jobs VALUES ({marks})",  # noqa: S608 - question marks
                _row(job),
            )
        return job

    def change(self, job: Job, **changes: Any) -> Job:
        """The same with some fields changed, on disk."""
        return self.put(replace(job, **changes))

    def remove(self, name: str) -> None:
        with self._lock, transaction(self._connection, self.path):
            self._connection.execute("DELETE FROM jobs WHERE name=?", (name,))

    def beat(self, kind: str, at: float) -> None:
        """The daemon was alive at this Unix time."""
        with self._lock, transaction(self._connection, self.path):
            self._connection.execute("INSERT OR REPLACE INTO beats VALUES (?, ?)", (kind, at))

    def last_beat(self, kind: str) -> float | None:
        rows = self._all("SELECT at FROM beats WHERE kind=?", (kind,))
        return float(rows[0][0]) if rows else None


def _row(job: Job) -> tuple[Any, ...]:
    process = job.process
    return (
        job.name,
        job.priority,
        job.cores,
        job.gpus,
        job.state.value,
        job.wanted.value,
        job.reason,
        None if process is None else process.pid,
        None if process is None else process.started,
        json.dumps(job.core_ids),
        json.dumps(job.gpu_ids),
        job.faults,
        job.not_before,
        job.reached,
        int(job.approve),
        job.told,
        job.submitted_at,
    )


def _job(row: tuple[Any, ...]) -> Job:
    (name, priority, cores, gpus, state, wanted, reason, pid, started) = row[:9]
    (core_ids, gpu_ids, faults, not_before, reached, approve, told, submitted_at) = row[9:]
    return Job(
        name=name,
        priority=priority,
        cores=cores,
        gpus=gpus,
        state=JobState(state),
        wanted=Wanted(wanted),
        reason=reason,
        process=None if pid is None else Process(pid, started),
        core_ids=tuple(json.loads(core_ids)),
        gpu_ids=tuple(json.loads(gpu_ids)),
        faults=faults,
        not_before=not_before,
        reached=reached,
        approve=bool(approve),
        told=told,
        submitted_at=submitted_at,
    )

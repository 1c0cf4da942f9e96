"""All jobs of a campaign that are open: this engine's, and those a killed one left behind."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from sis_engine.errors import TornFile
from sis_engine.execution.job_folder import JobFolder
from sis_engine.execution.job_records import LabelJob
from sis_engine.interfaces import LabelTask, SinglePoints
from sis_engine.records import LevelOfTheory, System, label_key
from sis_engine.remote.job import FollowedJob
from sis_engine.storage.codec import load_record
from sis_engine.storage.label_stream import Result, read_from

DONE = "done"
"""Result files of ended jobs are kept there until ``sis gc``: the record of who made what."""

_log = logging.getLogger(__name__)


class Book:
    """The spool of one campaign and the jobs in it. Thread safe.

    A label is durable in its job's results until the job is closed, and from then on where all
    finished labels are.
    keep: puts a label there;  flush: makes all that was put there durable
    """

    def __init__(
        self, spool: Path, keep: Callable[[Result], None], flush: Callable[[], None]
    ) -> None:
        self.spool = spool
        self._keep = keep
        self._flush = flush
        self._lock = threading.Lock()
        self._left: list[FollowedJob] = []

    def take_in(self, level_of: Callable[[System], LevelOfTheory]) -> int:
        """What an engine that was killed left: finished labels are kept, jobs that run are found.

        Returns how many finished labels there were. Work that nobody has begun is revoked.
        """
        found = 0
        for path in sorted(self.spool.glob("label-*")):
            folder = JobFolder(path)
            job = _read(folder, level_of)
            if job is None or (folder.claimed_by() is None and folder.revoke()):
                shutil.rmtree(path, ignore_errors=True)
                continue
            for result in job.results():
                self._keep(result)
                found += 1
            if job.end is not None:
                self.close(job)
            elif job.is_claimed():
                self.leave(job)
            else:
                self.close(job)
        return found

    def leave(self, job: FollowedJob) -> None:
        """Nobody follows it just now; who wants one of its labels finds it."""
        with self._lock:
            self._left.append(job)

    def found(self, keys: Iterable[str], kind: type[LabelTask]) -> list[FollowedJob]:
        """Open jobs that make labels of these keys; they are now the caller's to follow."""
        wanted = set(keys)
        self._put_away()
        with self._lock:
            mine = [
                job
                for job in self._left
                if isinstance(job.task, kind) and not wanted.isdisjoint(job.keys)
            ]
            self._left = [job for job in self._left if job not in mine]
        return mine

    def _put_away(self) -> None:
        """Jobs that were complete when they were left, and have said so since."""
        with self._lock:
            complete = [job for job in self._left if job.is_complete]
            for job in complete:
                job.results()
            over = [job for job in complete if job.end is not None]
            self._left = [job for job in self._left if job not in over]
        for job in over:
            self.close(job)

    def keep(self, result: Result) -> None:
        """A label that nobody waits for just now."""
        self._keep(result)

    def close(self, job: FollowedJob) -> None:
        """It has ended or is lost; its finished labels are elsewhere and its results are filed."""
        if job.made:
            self._flush()
        place = self.spool / DONE
        place.mkdir(parents=True, exist_ok=True)
        if job.folder.results.exists():
            job.folder.results.replace(place / job.folder.name)
        shutil.rmtree(job.folder.path, ignore_errors=True)


def made_more_than_once(spool: Path) -> dict[str, int]:
    """Keys of labels that the jobs of a spool have made more than once, and how often."""
    counts: dict[str, int] = {}
    for path in (*spool.glob(f"{DONE}/*"), *spool.glob("label-*/results")):
        for item in read_from(path, 0)[0]:
            key = getattr(item, "key", None)
            if key is not None:
                counts[key] = counts.get(key, 0) + 1
    return {key: n for key, n in counts.items() if n > 1}


def keys_of(task: LabelTask, level: LevelOfTheory) -> tuple[str, ...]:
    """Of single points those of all; of a trajectory that of its plan's name and its start."""
    if isinstance(task, SinglePoints):
        return tuple(label_key(frame, level) for frame in task.frames)
    return (f"{task.origin.plan} {task.spec} {label_key(task.start.frame, level)}",)


def _read(folder: JobFolder, level_of: Callable[[System], LevelOfTheory]) -> FollowedJob | None:
    try:
        asked = load_record(folder.task, LabelJob)
    except (TornFile, OSError) as error:
        _log.warning("%s: no task in it: %s", folder.path, error)
        return None
    level = level_of(asked.task.system)
    return FollowedJob(folder, asked.task, keys_of(asked.task, level), None)

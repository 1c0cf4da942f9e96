"""Where jobs are handed out and taken back: what single points and trajectories have in common."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sis_engine.execution.job_folder import JobFolder
from sis_engine.execution.job_records import LabelJob
from sis_engine.execution.job_worker import run_job
from sis_engine.execution.losses import AFTER_THAT, TRIES, Loss
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.execution.pools import LabelPool
from sis_engine.interfaces import Context, Labeler, LabelTask
from sis_engine.labelling.remedies import Note
from sis_engine.records import Failure, Frame, LabelFailure, Labelled, LevelOfTheory, Origin, System
from sis_engine.remote.account import Account
from sis_engine.remote.bench import bench_of
from sis_engine.remote.book import Book
from sis_engine.remote.grouping import Pace
from sis_engine.remote.job import FollowedJob
from sis_engine.storage.codec import hand_over_record

LOOK_S = (0.01, 0.5)
"""How soon, and at most how late, it is looked for new results when none came."""
WIND_DOWN_S = 30.0
"""How long a stop waits for what workers have in hand."""


class Desk:
    """One pool, one labeler, one spool; several threads may use it.

    settings: the labeler's configuration, for the workers;  base: where its relative paths start
    """

    def __init__(
        self,
        labeler: Labeler,
        settings: Mapping[str, Any],
        base: Path,
        pool: ParslPool,
        book: Book,
        note: Note,
        account: Account,
    ) -> None:
        self.labeler = labeler
        self.pool = pool
        self.book = book
        self.account = account
        self._settings = json.dumps(dict(settings))
        self._base = base
        self._note = note
        self.pace = Pace(_config(pool), pool.slots)
        self._arrived = threading.Event()

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.labeler.level_of_theory(system)

    def submit(
        self,
        task: LabelTask,
        context: Context,
        keys: tuple[str, ...],
        known: tuple[Labelled, ...] = (),
    ) -> FollowedJob:
        """Into the spool, then into the pool's queue."""
        folder = JobFolder.new(self.book.spool, "label")
        bench = bench_of(context, self._base, self.pool)
        asked = LabelJob(bench, self._settings, task, known)
        hand_over_record(folder.task, asked)
        future = self.pool.submit(partial(run_job, str(folder.path.absolute())))
        future.when_done(self._arrived.set)
        self.account.submitted()
        return FollowedJob(folder, task, keys, future)

    def wait(self, pause: float) -> float:
        """Until something may have come; how long to wait the next time.

        Raises InfrastructureError when the pool has been without a block for too long.
        """
        trouble = self.pool.check()
        if trouble is not None:
            self._note("pool", trouble)
        self._arrived.wait(pause)
        self._arrived.clear()
        return min(2.0 * pause, LOOK_S[1])

    def ended(self, job: FollowedJob) -> None:
        """All its labels have been handed on, and are in the bank."""
        self.account.ended(job)
        self.book.close(job)

    def told_lost(self, job: FollowedJob, loss: Loss) -> None:
        """It cannot come back; somebody is told."""
        job.give_up()
        self.account.lost(job, loss)
        by = job.folder.claimed_by() or {}
        self._note(
            "job_lost",
            f"pool {self.pool.name}: {loss.value} on {by.get('host') or 'no node yet'}; {job.made} "
            f"finished labels of it are kept, the rest is handed out again",
        )

    def given_up(self, frame: Frame, origin: Origin, system: System, loss: Loss) -> LabelFailure:
        """The failure of a label whose job was lost too often."""
        return LabelFailure(
            frame,
            self.level_of_theory(system),
            origin,
            AFTER_THAT[loss],
            f"pool {self.pool.name}: {loss.value}, {TRIES[loss] + 1} times in a row with this "
            f"label in hand",
            retry_can_help=loss is Loss.MEMORY,
        )

    def not_given(self, frame: Frame, origin: Origin, system: System) -> LabelFailure:
        """The labeler said nothing of this frame."""
        return LabelFailure(
            frame,
            self.level_of_theory(system),
            origin,
            Failure.PROGRAM,
            "the labeler ended without a result for this frame",
        )

    def abandon(self, jobs: list[FollowedJob]) -> None:
        """Whoever asked goes away: what they have in hand is for who asks next."""
        for job in jobs:
            job.folder.cancel()
            self.book.leave(job)

    def wind_down(self, jobs: list[FollowedJob]) -> None:
        """A stop is wanted: wait a little for labels in hand, and keep them."""
        for job in jobs:
            job.folder.cancel()
        until = time.monotonic() + WIND_DOWN_S
        waiting = [job for job in jobs if job.is_claimed()]
        while waiting and time.monotonic() < until:
            for job in waiting:
                for result in job.results():
                    self.book.keep(result)
            waiting = [job for job in waiting if job.end is None and job.lost() is None]
            time.sleep(LOOK_S[0])


def _config(pool: ParslPool) -> LabelPool:
    if isinstance(pool.config, LabelPool):
        return pool.config
    return LabelPool(provider=pool.config.provider)

"""Work with one answer (a training, a replica, a prediction), done in a pool.

A lost one is done again, as its loss allows; one that fails never ends its siblings. One that an
engine was killed over is found again by what it asks: its answer is taken, or waited for.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sis_engine.errors import (
    InfrastructureError,
    ProgramFailed,
    SisError,
    StopRequested,
    TornFile,
)
from sis_engine.execution.job_folder import JobFolder
from sis_engine.execution.job_records import Bench
from sis_engine.execution.job_worker import DONE, RAISED, STOPPED, run_job
from sis_engine.execution.losses import AFTER_THAT, TRIES, Loss
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.interfaces import Context
from sis_engine.labelling.remedies import Note
from sis_engine.records import Failure
from sis_engine.remote.account import Account
from sis_engine.remote.job import FollowedJob
from sis_engine.remote.raised import failure_or_error
from sis_engine.storage.codec import hand_over_record, load_record
from sis_engine.storage.digest import fingerprint

Answer = TypeVar("Answer")

LOOK_S = (0.02, 1.0)
"""How soon, and at most how late, it is looked for an answer."""


class Calls:
    """Hands work of one pool out and waits for its answers; several threads may."""

    def __init__(self, pool: ParslPool, spool: Path, note: Note, account: Account) -> None:
        self.pool = pool
        self.account = account
        self._spool = spool
        self._note = note
        self._arrived = threading.Event()
        self._lock = threading.Lock()
        self._own: set[str] = set()

    def one(self, kind: str, asked: Any, answer: type[Answer], context: Context) -> Answer:
        """The answer to one. Raises what was raised there."""
        ((_, found),) = self.each(kind, [asked], answer, context)
        return found

    def each(
        self, kind: str, asked: Sequence[Any], answer: type[Answer], context: Context
    ) -> Iterator[tuple[int, Answer]]:
        """(place, answer) as they come. What was raised there first is raised last.

        Work that raised may have an answer too: as far as it came.
        """
        out: dict[int, FollowedJob] = {}
        losses: dict[int, Counter[Loss]] = {place: Counter() for place in range(len(asked))}
        first: SisError | None = None
        pause = LOOK_S[0]
        try:
            for place, item in enumerate(asked):
                out[place] = self._submit(kind, item)
            while out:
                ended = [place for place, job in out.items() if self._is_over(job)]
                for place in ended:
                    job = out.pop(place)
                    found: Answer | None = None
                    try:
                        found = self._answer(job, answer)
                        self._raise_what_was_raised(job)
                        if found is None:
                            self._count(job, losses[place])
                            out[place] = self._submit(kind, asked[place])
                    except SisError as error:
                        first = first or error
                    if found is not None:
                        yield place, found
                if context.stop():
                    raise StopRequested(f"stopped while pool {self.pool.name} was at work")
                pause = LOOK_S[0] if ended else self._wait(pause)
        finally:
            for job in out.values():
                job.folder.cancel()
        if first is not None:
            raise first

    def _submit(self, kind: str, asked: Any) -> FollowedJob:
        name = f"{kind}-{_key(asked)}"
        with self._lock:
            left = self._left_behind(name)
            if left is not None:
                return left
            folder = JobFolder.new(self._spool, name)
            self._own.add(folder.name)
        hand_over_record(folder.task, asked)
        future = self.pool.submit(partial(run_job, str(folder.path.absolute())))
        future.when_done(self._arrived.set)
        self.account.submitted()
        return FollowedJob(folder, None, (), future)

    def _left_behind(self, name: str) -> FollowedJob | None:
        """The same work of an engine that was killed: done, or still being done.

        What nobody had begun is revoked; what was stopped, or failed, is done anew.
        """
        for path in sorted(self._spool.glob(f"{name}-*")):
            folder = JobFolder(path)
            if path.name in self._own or folder.is_cancelled():
                continue
            if folder.claimed_by() is None:
                if folder.revoke():
                    shutil.rmtree(path, ignore_errors=True)
                continue  # else somebody begins it just now, and sees that it was cancelled
            job = FollowedJob(folder, None, (), None)
            job.results()
            if job.end is None or job.end.state == DONE:
                self._own.add(path.name)
                return job
        return None

    def _wait(self, pause: float) -> float:
        trouble = self.pool.check()
        if trouble is not None:
            self._note("pool", trouble)
        self._arrived.wait(pause)
        self._arrived.clear()
        return min(2.0 * pause, LOOK_S[1])

    @staticmethod
    def _is_over(job: FollowedJob) -> bool:
        job.results()
        if job.end is None:
            job.loss = job.lost()
        if job.loss is not None:
            job.give_up()
            job.results()  # it may have ended until it could no longer go on
        return job.end is not None or job.loss is not None

    def _answer(self, job: FollowedJob, answer: type[Answer]) -> Answer | None:
        """``None``: there is none. The folder of work that has failed stays."""
        if job.end is None:
            return None
        self.account.ended(job)
        if job.end.state == STOPPED or (job.end.state == RAISED and not job.folder.answer.exists()):
            return None
        try:
            found: Answer = load_record(job.folder.answer, answer)
        except TornFile as error:
            if not job.is_left_behind:
                raise
            job.folder.cancel()  # nobody finds it again
            self._note("job_torn", f"pool {self.pool.name}: an earlier engine's {error}")
            return None
        if job.end.state == DONE:
            shutil.rmtree(job.folder.path, ignore_errors=True)
        return found

    def _raise_what_was_raised(self, job: FollowedJob) -> None:
        if job.end is not None and job.end.state == RAISED:
            raise failure_or_error(job.end)
        if job.end is not None and job.end.state == STOPPED:
            raise StopRequested(f"stopped while pool {self.pool.name} was at work")

    def _count(self, job: FollowedJob, losses: Counter[Loss]) -> None:
        """Raises when it was lost too often in the same way. Not asked of what an engine left."""
        if job.is_left_behind:
            return
        loss = job.loss or Loss.UNKNOWN
        self.account.lost(job, loss)
        by = job.folder.claimed_by() or {}
        told = f"pool {self.pool.name}: {loss.value} on {by.get('host') or 'no node yet'}"
        losses[loss] += 1
        if losses[loss] <= TRIES[loss]:
            self._note("job_lost", f"{told}; it is done again")
            return
        told += f", {losses[loss]} times"
        if AFTER_THAT[loss] is Failure.INFRASTRUCTURE:
            raise InfrastructureError(told, hint="mend the scheduler, then `sis run` goes on")
        hint = f"more memory or walltime in execution.pools.{self.pool.name}, or smaller work"
        raise ProgramFailed(told, directory=job.folder.path, hint=hint)


_NO_BENCH = Bench(None, Path(), None, 0, 0.0)


def _key(asked: Any) -> str:
    """Of what is asked, wherever and with however many threads it is done."""
    return fingerprint(replace(asked, bench=_NO_BENCH))[:16]

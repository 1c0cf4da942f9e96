"""Labels made in a pool: single points in groups, trajectories one a task.

What is handed out lies in a spool that outlives the engine. Whatever becomes of a task, a pool or
the engine itself, finished labels are taken in, and only what is missing is handed out again.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from sis_engine.banked import LabelStore
from sis_engine.errors import SisError, StopRequested
from sis_engine.execution.job_folder import JobFolder
from sis_engine.execution.job_records import LabelJob
from sis_engine.execution.job_worker import run_job
from sis_engine.execution.losses import AFTER_THAT, TRIES, Loss
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.execution.pools import LabelPool
from sis_engine.in_flight import InFlight
from sis_engine.interfaces import (
    Capability,
    Context,
    Labeler,
    LabelTask,
    SinglePoints,
)
from sis_engine.records import Failure, Frame, LabelFailure, Labelled, LevelOfTheory, Origin, System
from sis_engine.remedies import Note
from sis_engine.remote.account import Account
from sis_engine.remote.book import Book, keys_of
from sis_engine.remote.grouping import Pace
from sis_engine.remote.job import FollowedJob
from sis_engine.remote.known_head import known_head
from sis_engine.remote.raised import failure_or_error
from sis_engine.storage.codec import save_record
from sis_engine.storage.label_stream import Result

LOOK_S = (0.01, 0.5)
"""How soon, and at most how late, it is looked for new results when none came."""
WIND_DOWN_S = 30.0
"""How long a stop waits for what workers have in hand."""


@dataclass(eq=False)
class _Wanted:
    """A label that is asked for, and how often its job was lost while it was in hand."""

    key: str
    frame: Frame
    origin: Origin
    losses: dict[Loss, int] = field(default_factory=dict)
    alone: bool = False


class RemoteLabeler:
    """A labeler whose calculations run in a pool; several threads may ask it.

    settings: the labeler's configuration, for the workers;  base: where its relative paths start
    in_flight: of the bank in front of it: two trajectories from one start pay for it once
    lift: whether trajectories run on the workers also where the labeler has single points only
    """

    def __init__(
        self,
        labeler: Labeler,
        settings: Mapping[str, Any],
        base: Path,
        pool: ParslPool,
        book: Book,
        bank: LabelStore,
        in_flight: InFlight,
        note: Note,
        *,
        lift: bool,
    ) -> None:
        self.labeler = labeler
        self.pool = pool
        self.account = Account(pool.name)
        self._settings = json.dumps(dict(settings))
        self._base = base
        self._book = book
        self._bank = bank
        self._in_flight = in_flight
        self._note = note
        self._lift = lift
        self._pace = Pace(_config(pool), pool.slots)
        self._arrived = threading.Event()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Single points are wanted all together: they are grouped here, not outside."""
        own = self.labeler.capabilities - {Capability.SIDE_BY_SIDE}
        return own | {Capability.SEGMENT, Capability.OPTIMISE} if self._lift else own

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self.labeler.level_of_theory(system)

    def demand(self) -> int:
        """Others may share the node of any label: a second try may have more room."""
        return 2

    def label(
        self, task: LabelTask, context: Context, *, alone: bool = False, all_cores: bool = False
    ) -> Iterator[Result]:
        """One result a frame as it finishes. alone: in a task of its own"""
        del all_cores
        if isinstance(task, SinglePoints):
            yield from _Batch(self, task, context, alone=alone).results()
        elif {Capability.SEGMENT, Capability.OPTIMISE} & self.labeler.capabilities:
            yield from self._trajectory(task, context, ())
        else:
            yield from self._lifted(task, context)

    # ------------------------------------------------------------------ trajectories

    def _lifted(self, task: LabelTask, context: Context) -> Iterator[Result]:
        """Its known head from the bank, the rest from a worker."""
        head, whole = known_head(self.labeler, self._bank, task, context)
        yield from head
        known = tuple(item for item in head if isinstance(item, Labelled))
        if whole:
            return
        if known or isinstance(task, SinglePoints):
            yield from self._trajectory(task, context, known)
            return
        # Its first frame may be in another plan's hands at this moment.
        first = keys_of(
            SinglePoints(task.system, (task.start.frame,), (task.origin,)),
            self.level_of_theory(task.system),
        )[0]
        if not self._in_flight.claim(first):
            self._in_flight.wait(first, context.stop)
            yield from self._lifted(task, context)
            return
        held = True
        try:
            for result in self._trajectory(task, context, ()):
                yield result
                if held:  # it is in the bank now
                    held = False
                    self._in_flight.give_back(first)
        finally:
            if held:
                self._in_flight.give_back(first)

    def _trajectory(
        self, task: LabelTask, context: Context, known: tuple[Labelled, ...]
    ) -> Iterator[Result]:
        """One task; where it is lost, another goes on behind what was finished."""
        tries: dict[Loss, int] = {}
        first = known[0].origin.index if known else 0
        done = len(known)
        while True:
            keys = keys_of(task, self.level_of_theory(task.system))
            found = self._book.found(keys, type(task))
            job = found[0] if found else self.submit(task, context, keys, known)
            if found:
                job.offset = 0
            loss: Loss | None = None
            before = done
            for item in self._followed(job, context):
                if isinstance(item, Loss):
                    loss = item
                elif item.origin.index - first >= done:
                    done = item.origin.index - first + 1
                    known = (*known, item) if isinstance(item, Labelled) else known
                    yield item
            if loss is None and not (job.end and job.end.state == "stopped"):
                return
            if done > before:
                tries.clear()
            if loss is not None:
                tries[loss] = tries.get(loss, 0) + 1
                if tries[loss] > TRIES[loss]:
                    yield self._given_up(task, task.origin, loss, done)
                    return

    def _followed(self, job: FollowedJob, context: Context) -> Iterator[Result | Loss]:
        """Its results; last its loss, if it is lost. Raises what was raised there."""
        open_jobs = [job]
        try:
            pause = LOOK_S[0]
            while True:
                found = job.results()
                yield from found
                if job.end is not None:
                    break
                loss = None if found else job.lost()
                if loss is not None:
                    self.told_lost(job, loss)
                    yield loss
                    break
                if context.stop():
                    self.wind_down(open_jobs)
                    raise StopRequested("stopped while a trajectory was labelled in a pool")
                self.pool.check()
                pause = LOOK_S[0] if found else self.wait(pause)
            self.ended(job)
            open_jobs = []
            if job.end is not None and job.end.state == "raised":
                raise failure_or_error(job.end)
        finally:
            self.abandon(open_jobs)

    def _given_up(self, task: LabelTask, origin: Origin, loss: Loss, done: int) -> LabelFailure:
        frame = task.system.frame if isinstance(task, SinglePoints) else task.start.frame
        return self.given_up(frame, replace(origin, index=origin.index + done), task.system, loss)

    # ------------------------------------------------------------------ jobs

    def submit(
        self,
        task: LabelTask,
        context: Context,
        keys: tuple[str, ...],
        known: tuple[Labelled, ...] = (),
    ) -> FollowedJob:
        """Into the spool, then into the pool's queue."""
        folder = JobFolder.new(self._book.spool, "label")
        asked = LabelJob(
            labeler=self._settings,
            base=self._base,
            task=task,
            workdir=context.workdir.absolute(),
            kept=None if context.kept is None else context.kept.absolute(),
            threads=self.pool.config.cores_per_worker,
            patience=context.patience,
            known=known,
        )
        save_record(folder.task, asked)
        future = self.pool.submit(partial(run_job, str(folder.path.absolute())))
        future.when_done(self._arrived.set)
        self.account.submitted()
        return FollowedJob(folder, task, keys, future)

    def wait(self, pause: float) -> float:
        """Until something may have come; how long to wait the next time."""
        self._arrived.wait(pause)
        self._arrived.clear()
        return min(2.0 * pause, LOOK_S[1])

    def ended(self, job: FollowedJob) -> None:
        """All its labels have been handed on, and are in the bank."""
        self.account.ended(job)
        self._book.close(job)

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
            self._book.leave(job)

    def wind_down(self, jobs: list[FollowedJob]) -> None:
        """A stop is wanted: wait a little for labels in hand, and keep them."""
        for job in jobs:
            job.folder.cancel()
        until = time.monotonic() + WIND_DOWN_S
        waiting = [job for job in jobs if job.is_claimed()]
        while waiting and time.monotonic() < until:
            for job in waiting:
                for result in job.results():
                    self._book.keep(result)
            waiting = [job for job in waiting if job.end is None and job.lost() is None]
            time.sleep(LOOK_S[0])

    def keep(self, result: Result) -> None:
        """A label that nobody asked for just now."""
        self._book.keep(result)

    def found(self, keys: list[str]) -> list[FollowedJob]:
        return self._book.found(keys, SinglePoints)

    @property
    def pace(self) -> Pace:
        return self._pace


class _Batch:
    """Single points on their way through the pool: what waits, what is out, what has come."""

    def __init__(
        self, labeler: RemoteLabeler, task: SinglePoints, context: Context, *, alone: bool
    ) -> None:
        self._labeler = labeler
        self._system = task.system
        self._context = context
        self._alone = alone
        keys = keys_of(task, labeler.level_of_theory(task.system))
        self._wanted = {
            key: _Wanted(key, frame, origin, alone=alone)
            for key, frame, origin in zip(keys, task.frames, task.origins, strict=True)
        }
        self._open = labeler.found(list(keys))
        out = {key for job in self._open for key in job.keys}
        self._waiting = deque(item for key, item in self._wanted.items() if key not in out)
        self._error: SisError | None = None

    def results(self) -> Iterator[Result]:
        pause = LOOK_S[0]
        try:
            while self._wanted and (self._open or self._error is None):
                self._hand_out()
                came = False
                for job in tuple(self._open):
                    for result in self._from(job):
                        came = True
                        yield result
                if not self._wanted:
                    break
                if self._context.stop():
                    self._labeler.wind_down(self._open)
                    raise StopRequested("stopped while labels were made in a pool")
                self._labeler.pool.check()
                pause = LOOK_S[0] if came else self._labeler.wait(pause)
            self._settle()
        finally:
            self._labeler.abandon(self._open)
        if self._error is not None:
            raise self._error

    def _settle(self) -> None:
        """The last result comes before the word that its job has ended."""
        for job in tuple(self._open):
            job.results()
            if job.end is not None:
                self._drop(job)

    def _hand_out(self) -> None:
        """Fill the pool's queue, not more: sizes of later groups follow from what was measured."""
        pace = self._labeler.pace
        while self._waiting and self._error is None and len(self._open) < pace.most_open:
            size = 1 if self._alone else pace.group(len(self._waiting))
            group = [self._waiting.popleft()]
            while len(group) < size and self._waiting and not (group[0].alone):
                if self._waiting[0].alone:
                    break
                group.append(self._waiting.popleft())
            task = SinglePoints(
                self._system,
                tuple(item.frame for item in group),
                tuple(item.origin for item in group),
            )
            keys = tuple(item.key for item in group)
            self._open.append(self._labeler.submit(task, self._context, keys))

    def _from(self, job: FollowedJob) -> Iterator[Result]:
        """New results of one job; when it is over, what it left waits again."""
        found = job.results()
        for result in found:
            item = self._wanted.pop(result.key, None)
            if item is None:
                self._labeler.keep(result)
            else:
                self._labeler.pace.took(result.seconds)
                yield replace(result, frame=item.frame, origin=item.origin)
        if job.end is not None:
            self._drop(job)
            yield from self._after(job)
            return
        loss = None if found else job.lost()
        if loss is not None:
            self._labeler.told_lost(job, loss)
            begun = job.is_claimed()
            self._drop(job)
            yield from self._lost(job, loss, begun=begun)

    def _drop(self, job: FollowedJob) -> None:
        self._open.remove(job)
        self._labeler.ended(job)

    def _after(self, job: FollowedJob) -> Iterator[Result]:
        """What an ended job did not make: stopped in front of it, or raised at the first."""
        left = [self._wanted[key] for key in job.keys if key in self._wanted]
        end = job.end
        if end is not None and end.state == "raised" and left:
            first = left[0]
            level = self._labeler.level_of_theory(self._system)
            told = failure_or_error(end, first.frame, first.origin, level)
            if isinstance(told, LabelFailure):
                del self._wanted[first.key]
                yield told
                left = left[1:]
            else:
                self._error = self._error or told
        elif end is not None and end.state == "done":
            for item in left:  # asking again would be asking for ever
                del self._wanted[item.key]
                yield self._labeler.not_given(item.frame, item.origin, self._system)
            return
        self._waiting.extendleft(reversed(left))

    def _lost(self, job: FollowedJob, loss: Loss, *, begun: bool) -> Iterator[Result]:
        """Only what was in hand counts as tried; its siblings are none the worse."""
        left = [self._wanted[key] for key in job.keys if key in self._wanted]
        for item in left[:1] if begun else left:
            item.losses[loss] = item.losses.get(loss, 0) + 1
            item.alone = item.alone or loss in (Loss.WORKER, Loss.MEMORY)
            if item.losses[loss] > TRIES[loss]:
                del self._wanted[item.key]
                yield self._labeler.given_up(item.frame, item.origin, self._system, loss)
        self._waiting.extendleft(item for item in reversed(left) if item.key in self._wanted)


def _config(pool: ParslPool) -> LabelPool:
    if isinstance(pool.config, LabelPool):
        return pool.config
    return LabelPool(provider=pool.config.provider)

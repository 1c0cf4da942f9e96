"""Single points on their way through a pool."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace

from sis_engine.errors import SisError, StopRequested
from sis_engine.execution.losses import TRIES, Loss
from sis_engine.interfaces import Context, SinglePoints
from sis_engine.records import Frame, LabelFailure, Origin
from sis_engine.remote.book import keys_of
from sis_engine.remote.desk import LOOK_S, Desk
from sis_engine.remote.job import FollowedJob
from sis_engine.remote.raised import failure_or_error
from sis_engine.storage.label_stream import Result

SETTLE_S = 2.0


@dataclass(eq=False)
class _Wanted:
    """A label that is asked for, and how often its job was lost while it was in hand."""

    key: str
    frame: Frame
    origin: Origin
    losses: dict[Loss, int] = field(default_factory=dict)
    alone: bool = False


class Batch:
    """Single points on their way through the pool: what waits, what is out, what has come."""

    def __init__(self, desk: Desk, task: SinglePoints, context: Context, *, alone: bool) -> None:
        self._desk = desk
        self._system = task.system
        self._context = context
        self._alone = alone
        keys = keys_of(task, desk.level_of_theory(task.system))
        self._wanted = {
            key: _Wanted(key, frame, origin, alone=alone)
            for key, frame, origin in zip(keys, task.frames, task.origins, strict=True)
        }
        self._open = desk.book.found(keys, SinglePoints)
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
                    self._desk.wind_down(self._open)
                    raise StopRequested("stopped while labels were made in a pool")
                pause = self._desk.wait(LOOK_S[0] if came else pause)
            self._settle()
        finally:
            self._leave()
        if self._error is not None:
            raise self._error

    def _settle(self) -> None:
        """The last result comes a moment before the word that its job has ended."""
        until = time.monotonic() + SETTLE_S
        while self._open and not self._error and time.monotonic() < until:
            for job in tuple(self._open):
                job.results()
                if job.end is not None:
                    self._drop(job)
            time.sleep(LOOK_S[0] if self._open else 0.0)

    def _leave(self) -> None:
        """Jobs that have made all that was wanted only have to be put away."""
        for job in self._open:
            job.is_complete = self._wanted.keys().isdisjoint(job.keys)
        self._desk.abandon(self._open)

    def _hand_out(self) -> None:
        """Fill the pool's queue, not more: sizes of later groups follow from what was measured."""
        pace = self._desk.pace
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
            self._open.append(self._desk.submit(task, self._context, keys))

    def _from(self, job: FollowedJob) -> Iterator[Result]:
        """New results of one job; when it is over, what it left waits again."""
        came = yield from self._taken(job)
        loss = None if came or job.end is not None else job.lost()
        if loss is not None:
            self._desk.told_lost(job, loss)
            yield from self._taken(job)  # what was written until it could no longer go on
        if job.end is not None:
            self._drop(job)
            yield from self._after(job)
        elif loss is not None:
            begun = job.is_claimed()
            self._drop(job)
            yield from self._lost(job, loss, begun=begun)

    def _taken(self, job: FollowedJob) -> Generator[Result, None, bool]:
        """Its new results; whether there were any."""
        found = deque(job.results())
        came = bool(found)
        try:
            while found:
                result = found.popleft()
                item = self._wanted.pop(result.key, None)
                if item is None:
                    self._desk.book.keep(result)
                else:
                    self._desk.pace.took(result.seconds)
                    yield replace(result, frame=item.frame, origin=item.origin)
        finally:  # whoever asked went away
            for result in found:
                self._desk.book.keep(result)
        return came

    def _drop(self, job: FollowedJob) -> None:
        self._open.remove(job)
        self._desk.ended(job)

    def _after(self, job: FollowedJob) -> Iterator[Result]:
        """What an ended job did not make: stopped in front of it, or raised at the first."""
        left = [self._wanted[key] for key in job.keys if key in self._wanted]
        end = job.end
        if end is not None and end.state == "raised" and left:
            first = left[0]
            level = self._desk.level_of_theory(self._system)
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
                yield self._desk.not_given(item.frame, item.origin, self._system)
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
                yield self._desk.given_up(item.frame, item.origin, self._system, loss)
        self._waiting.extendleft(item for item in reversed(left) if item.key in self._wanted)

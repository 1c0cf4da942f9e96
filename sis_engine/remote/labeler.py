"""Labels made in a pool: single points in groups, trajectories one a task.

What is handed out lies in a spool that outlives the engine. Whatever becomes of a task, a pool or
the engine itself, finished labels are taken in, and only what is missing is handed out again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from sis_engine.errors import StopRequested
from sis_engine.execution.losses import TRIES, Loss
from sis_engine.interfaces import (
    Capability,
    Context,
    LabelTask,
    Optimisation,
    Segment,
    SinglePoints,
)
from sis_engine.labelling.banked import LabelStore
from sis_engine.labelling.in_flight import InFlight
from sis_engine.records import LabelFailure, Labelled, LevelOfTheory, System
from sis_engine.remote.batch import Batch
from sis_engine.remote.book import keys_of
from sis_engine.remote.desk import LOOK_S, Desk
from sis_engine.remote.job import FollowedJob
from sis_engine.remote.known_head import known_head
from sis_engine.remote.raised import failure_or_error
from sis_engine.storage.label_stream import Result


class RemoteLabeler:
    """A labeler whose calculations run in a pool; several threads may ask it.

    bank: where the known head of a trajectory is looked for
    in_flight: of the bank in front of it: two trajectories from one start pay for it once
    lift: whether trajectories run on the workers also where the labeler has single points only
    """

    def __init__(self, desk: Desk, bank: LabelStore, in_flight: InFlight, *, lift: bool) -> None:
        self.desk = desk
        self.labeler = desk.labeler
        self._bank = bank
        self._in_flight = in_flight
        self._lift = lift

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
            yield from Batch(self.desk, task, context, alone=alone).results()
        elif self._is_native(task):
            yield from self._trajectory(task, context, ())
        else:
            yield from self._lifted(task, context)

    def _is_native(self, task: Segment | Optimisation) -> bool:
        """Whether the code drives it itself; what it had done then lies in its kept folder."""
        own = Capability.SEGMENT if isinstance(task, Segment) else Capability.OPTIMISE
        return own in self.labeler.capabilities

    # ------------------------------------------------------------------ trajectories

    def _lifted(self, task: Segment | Optimisation, context: Context) -> Iterator[Result]:
        """Its known head from the bank, the rest from a worker."""
        head, whole = known_head(self.labeler, self._bank, task, context)
        yield from head
        known = tuple(item for item in head if isinstance(item, Labelled))
        if whole:
            return
        if known:
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
        if known_head(self.labeler, self._bank, task, context)[0]:  # made since it was looked at
            self._in_flight.give_back(first)
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
        self, task: Segment | Optimisation, context: Context, known: tuple[Labelled, ...]
    ) -> Iterator[Result]:
        """One task; where it is lost, another goes on behind what was finished."""
        tries: Counter[Loss] = Counter()
        first = known[0].origin.index if known else 0
        done = len(known)
        while True:
            job = self._job(task, context, known)
            before, loss = done, None
            for item in self._followed(job, context):
                if isinstance(item, Loss):
                    loss = item
                elif item.origin.index - first >= done:
                    done = item.origin.index - first + 1
                    known = self._longer(known, task, item)
                    yield item
            if loss is None and not job.was_stopped:
                return
            if done > before:
                tries.clear()
            if loss is not None and self._is_too_much(loss, tries):
                yield self._given_up(task, loss, done)
                return

    def _job(
        self, task: Segment | Optimisation, context: Context, known: tuple[Labelled, ...]
    ) -> FollowedJob:
        """One that an engine before this one left, or a new one."""
        keys = keys_of(task, self.level_of_theory(task.system))
        for found in self.desk.book.found(keys, type(task)):
            found.offset = 0
            return found
        return self.desk.submit(task, context, keys, known)

    def _longer(
        self, known: tuple[Labelled, ...], task: Segment | Optimisation, item: Result
    ) -> tuple[Labelled, ...]:
        """What another task would have to replay."""
        if isinstance(item, LabelFailure) or self._is_native(task):
            return known
        return (*known, item)

    @staticmethod
    def _is_too_much(loss: Loss, tries: Counter[Loss]) -> bool:
        tries[loss] += 1
        return tries[loss] > TRIES[loss]

    def _followed(self, job: FollowedJob, context: Context) -> Iterator[Result | Loss]:
        """Its results; last its loss, if it is lost. Raises what was raised there."""
        open_jobs = [job]
        try:
            pause = LOOK_S[0]
            while True:
                found = job.results()
                yield from found
                loss = None if found or job.end is not None else job.lost()
                if loss is not None:
                    self.desk.told_lost(job, loss)
                    yield from job.results()  # written until it could no longer go on
                if job.end is not None:
                    break
                if loss is not None:
                    yield loss
                    break
                if context.stop():
                    self.desk.wind_down(open_jobs)
                    raise StopRequested("stopped while a trajectory was labelled in a pool")
                pause = LOOK_S[0] if found else self.desk.wait(pause)
            self.desk.ended(job)
            open_jobs = []
            if job.end is not None and job.end.state == "raised":
                raise failure_or_error(job.end)
        finally:
            self.desk.abandon(open_jobs)

    def _given_up(self, task: Segment | Optimisation, loss: Loss, done: int) -> LabelFailure:
        origin = replace(task.origin, index=task.origin.index + done)
        return self.desk.given_up(task.start.frame, origin, task.system, loss)

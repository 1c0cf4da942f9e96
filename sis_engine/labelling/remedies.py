"""What follows from a label that failed, by the class of its failure.

================  ============================================================================
the frame         not converged, solver, bad geometry, not finite, absurd: quarantine with the
                  reason, the run goes on (the labeler's own handlers have had their try)
room              out of memory or time: once more, alone on the machine and with twice the
                  time, where that can help; then quarantine. The physics stays as it is
the program       missing or broken: quarantine, and when many fail in a row, a frame that has a
                  label is labelled anew: does that fail too (or is there none), a stop with a
                  clear message, and no queue is burnt; else the frames of a bad model are to
                  blame, and the run goes on (:mod:`sis_engine.labelling.doubt`)
the surroundings  disk, node, scheduler: :class:`InfrastructureError`; the run is tried again
                  with back-off (:mod:`sis_engine.bookkeeping.backoff`), then paused
================  ============================================================================

Whether a failure is kept for good is the bank's matter: only what the frame is to blame for.
"""

from __future__ import annotations

import enum
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Protocol

from sis_engine.errors import (
    InfrastructureError,
    ProgramFailed,
    ProgramHung,
    SisError,
)
from sis_engine.interfaces import Capability, Context, LabelTask, SinglePoints
from sis_engine.labelling.doubt import (
    Doubt,
    Proven,
    not_counted,
    nothing_is_proven,
    place_of,
)
from sis_engine.labelling.side_by_side import Result
from sis_engine.records import Failure, Frame, LabelFailure, Labelled, LevelOfTheory, Origin, System
from sis_engine.reference_md import finite_or_failure
from sis_engine.storage.atomic import SURROUNDINGS

PATIENCE = 2.0
"""Factor on the labeler's own time limits at a second try."""

Note = Callable[[str, str], None]
"""Told (kind, text) of what was done about a failure."""


class Response(enum.Enum):
    """What to do next about a failed label."""

    QUARANTINE = "quarantine"
    """kept with its reason, never trained on; the run goes on"""
    MORE_ROOM = "more_room"
    """once more with more memory and time, then quarantine"""
    COUNT = "count"
    """quarantine, but stop when it is the program and not the frames"""
    BACK_OFF = "back_off"
    """try the run again later, then pause"""


RESPONSES: dict[Failure, Response] = {
    Failure.NOT_CONVERGED: Response.QUARANTINE,
    Failure.SOLVER: Response.QUARANTINE,
    Failure.BAD_GEOMETRY: Response.QUARANTINE,
    Failure.NON_FINITE: Response.QUARANTINE,
    Failure.ABSURD: Response.QUARANTINE,
    Failure.OUT_OF_MEMORY: Response.MORE_ROOM,
    Failure.OUT_OF_TIME: Response.MORE_ROOM,
    Failure.PROGRAM: Response.COUNT,
    Failure.INFRASTRUCTURE: Response.BACK_OFF,
}


class InTurn(Protocol):
    """A labeler whose calculations wait for their turn: for cores here, or for workers elsewhere.

    demand: how many labels are wanted at this moment, at least one
    """

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    @property
    def demand(self) -> Callable[[], int]: ...

    def level_of_theory(self, system: System) -> LevelOfTheory: ...

    def label(
        self, task: LabelTask, context: Context, *, alone: bool = False, all_cores: bool = False
    ) -> Iterator[Result]:
        """alone: a second try, with nothing of ours beside it where that can be had"""
        ...


class RemediedLabeler:
    """A labeler that answers failures as RESPONSES says, and never raises for a single frame.

    note: told of every second try, of every exception of the labeler, and of frames that make its
        program fail
    proven: a frame that has a label;  count: handed what became of it when labelled anew
    """

    def __init__(
        self,
        labeler: InTurn,
        note: Note,
        proven: Proven = nothing_is_proven,
        count: Callable[[Result], None] = not_counted,
    ) -> None:
        self._labeler = labeler
        self._note = note
        self._doubt = Doubt(note, proven, count)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._labeler.capabilities

    def level_of_theory(self, system: System) -> LevelOfTheory:
        return self._labeler.level_of_theory(system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Result]:
        """What the labeler yields, failures answered.

        Raises InfrastructureError, ProgramFailed (systematic), and what else the labeler raises
        that is about more than one frame.
        """
        self._settle_doubt(context)
        if isinstance(task, SinglePoints):
            yield from self._points(task, context)
        else:
            yield from self._trajectory(task, context)

    # ------------------------------------------------------------------ tasks

    def _points(self, task: SinglePoints, context: Context) -> Iterator[Result]:
        again: list[LabelFailure] = []
        for result in self._whatever_happens(task, context):
            if isinstance(result, LabelFailure) and self._wants_room(result):
                again.append(result)
            else:
                yield self._answered(result, task.system)
        # Only now: the labeler's turn at the cores has to end before anything can run alone.
        for failed in again:
            self._tell(failed)
            one = SinglePoints(task.system, (failed.frame,), (failed.origin,))
            for result in self._whatever_happens(one, _roomier(context), failed):
                whole = replace(result, seconds=result.seconds + failed.seconds)
                yield self._answered(whole, task.system)

    def _trajectory(self, task: LabelTask, context: Context) -> Iterator[Result]:
        """A segment or optimisation that the labeler drives: a second try goes on, not over."""
        last = -1
        failed: LabelFailure | None = None
        for result in self._trajectory_once(task, context):
            if isinstance(result, LabelFailure) and result.retry_can_help and _needs_room(result):
                failed = result
                break
            last = result.origin.index
            yield self._answered(result, task.system)
        if failed is None:
            return
        self._tell(failed)
        for result in self._trajectory_once(task, _roomier(context), failed):
            if result.origin.index > last:
                yield self._answered(result, task.system)

    def _trajectory_once(
        self, task: LabelTask, context: Context, failed: LabelFailure | None = None
    ) -> Iterator[Result]:
        """An exception of the labeler is the last frame's failure."""
        if isinstance(task, SinglePoints):
            raise TypeError("single points are not a trajectory")
        frame, origin = task.start.frame, task.origin
        try:
            for result in self._labelled(task, context, failed):
                yield result
                frame, origin = result.frame, replace(origin, index=result.origin.index + 1)
        except Exception as error:  # noqa: BLE001 - the border to a plugin
            yield self._as_failure(error, task.system, frame, origin)

    def _whatever_happens(
        self, task: SinglePoints, context: Context, failed: LabelFailure | None = None
    ) -> Iterator[Result]:
        """One result a frame, also where the labeler raises: then the others are asked for anew.

        So they are where the program is in doubt, for nothing can be settled in the labeler's turn.
        """
        left = _Left(task)
        while left:
            ended = True
            try:
                with closing(self._labelled(left.as_task(), context, failed)) as results:
                    for result in results:
                        left.take(result.origin)
                        yield result
                        if self._doubt.is_due:
                            ended = False
                            break
            except Exception as error:
                if not left:
                    raise
                frame, origin = left.take_first()
                yield self._as_failure(error, task.system, frame, origin)
            else:
                if ended:
                    return
            self._settle_doubt(context)

    def _labelled(
        self, task: LabelTask, context: Context, failed: LabelFailure | None
    ) -> Generator[Result]:
        late = failed is not None and failed.reason is Failure.OUT_OF_TIME
        yield from self._labeler.label(task, context, alone=failed is not None, all_cores=late)

    # ------------------------------------------------------------------ one result

    def _answered(self, result: Result, system: System) -> Result:
        """The result itself. Raises when it says something about more than its own frame."""
        if isinstance(result, Labelled):
            self._doubt.worked()
            return result
        response = RESPONSES[result.reason]
        if response is Response.BACK_OFF:
            raise InfrastructureError(
                f"label {place_of(result.origin)}: {result.message}{_files(result)}",
                hint="mend what failed; labels made so far are kept, nothing is paid for twice",
            )
        if response is Response.COUNT:
            self._doubt.failed(system, result)
        return result

    def _settle_doubt(self, context: Context) -> None:
        """Raises ProgramFailed where so many failed that it has to be the program, and it is."""

        def ask(system: System, frame: Frame, origin: Origin) -> Result:
            one = SinglePoints(system, (frame,), (origin,))
            try:
                (result,) = self._labelled(one, context, None)
            except Exception as error:  # noqa: BLE001 - the border to a plugin
                result = self._as_failure(error, system, frame, origin)
            return self._answered(finite_or_failure(result), system)

        if self._doubt.is_due:
            self._doubt.settle(ask)

    def _wants_room(self, failure: LabelFailure) -> bool:
        """Can it come out otherwise: was there anything beside it, or does the labeler say so?"""
        return _needs_room(failure) and (failure.retry_can_help or self._labeler.demand() > 1)

    def _tell(self, failure: LabelFailure) -> None:
        reason = failure.reason.value.replace("_", " ")
        self._note(
            "label_again",
            f"label {place_of(failure.origin)}: {reason} ({failure.message}); once more, alone and "
            f"with {PATIENCE:g} times the time",
        )

    def _as_failure(
        self, error: Exception, system: System, frame: Frame, origin: Origin
    ) -> LabelFailure:
        """An exception as the failure of one frame; raises it where it is about more."""
        level = self.level_of_theory(system)
        directory = error.directory if isinstance(error, (ProgramFailed, ProgramHung)) else None
        if isinstance(error, (ProgramFailed, ProgramHung)):
            reason = Failure.OUT_OF_TIME if isinstance(error, ProgramHung) else Failure.PROGRAM
            return LabelFailure(frame, level, origin, reason, str(error), directory=directory)
        if isinstance(error, SisError):
            raise error
        if isinstance(error, OSError) and error.errno in SURROUNDINGS:
            told = f"label {place_of(origin)}: {error}"
            raise InfrastructureError(told, hint="mend it, then go on") from error
        self._note("labeler_raised", "".join(traceback.format_exception(error)))
        reason = Failure.OUT_OF_MEMORY if isinstance(error, MemoryError) else Failure.PROGRAM
        message = f"the labeler raised {type(error).__name__}: {error}"
        return LabelFailure(frame, level, origin, reason, message)


class _Left:
    """The frames of a task that have no result yet; taking one out costs the same in any order."""

    def __init__(self, task: SinglePoints) -> None:
        self._system = task.system
        self._items = dict(enumerate(zip(task.frames, task.origins, strict=True)))
        self._places: dict[Origin, list[int]] = {}
        for place in reversed(self._items):
            self._places.setdefault(task.origins[place], []).append(place)

    def __bool__(self) -> bool:
        return bool(self._items)

    def as_task(self) -> SinglePoints:
        frames, origins = zip(*self._items.values(), strict=True)
        return SinglePoints(self._system, frames, origins)

    def take(self, origin: Origin) -> None:
        """The first of this origin; of one that was not asked for, the first of all."""
        places = self._places.get(origin)
        while places:
            if self._items.pop(places.pop(), None) is not None:
                return
        self.take_first()

    def take_first(self) -> tuple[Frame, Origin]:
        place = next(iter(self._items), None)
        if place is None:
            raise LookupError("the labeler gave more results than there were frames")
        return self._items.pop(place)


def _needs_room(failure: LabelFailure) -> bool:
    return RESPONSES[failure.reason] is Response.MORE_ROOM


def _roomier(context: Context) -> Context:
    return replace(context, patience=PATIENCE * context.patience)


def _files(failure: LabelFailure) -> str:
    return "" if failure.directory is None else f"; files: {failure.directory}"

"""Labelers that fail in a chosen way, for the tests of what the engine does about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sis_engine.interfaces import Capability, Context, LabelTask, Optimisation, Segment
from sis_engine.labelling.side_by_side import SideBySide
from sis_engine.records import (
    Failure,
    Frame,
    LabelFailure,
    Labelled,
    Origin,
    Purpose,
    System,
)
from sis_engine.setup.label_source import label_source
from sis_engine.testing.fakes import FakeBank, FakeLabeler

DIMER = System("dimer", Frame(("Ar", "Ar"), [[0, 0, 0], [2.6, 0, 0]]))

Answer = Callable[["FaultyLabeler", int, Context], Failure | Exception | None]
"""What becomes of the frame with this index: a failure, an exception, or (``None``) a label."""


class FaultyLabeler(FakeLabeler):
    """Fails as ``answer`` says; notes what it was asked, and how many were at work together."""

    def __init__(
        self, answer: Answer, *, retry_can_help: bool = False, side_by_side: bool = True
    ) -> None:
        super().__init__()
        if not side_by_side:
            self.capabilities = self.capabilities - {Capability.SIDE_BY_SIDE}
        self.answer = answer
        self.retry_can_help = retry_can_help
        self.asked: list[tuple[int, Context]] = []
        self.most_at_work = 0
        self._at_work = 0

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        if isinstance(task, (Segment, Optimisation)):
            raise TypeError("single points only")
        for frame, origin in zip(task.frames, task.origins, strict=True):
            with self._lock:
                self.asked.append((origin.index, context))
                self._at_work += 1
                self.most_at_work = max(self.most_at_work, self._at_work)
            try:
                yield self._one(task.system, frame, origin, context)
            finally:
                with self._lock:
                    self._at_work -= 1

    def _one(
        self, system: System, frame: Frame, origin: Origin, context: Context
    ) -> Labelled | LabelFailure:
        threading.Event().wait(0.002)
        answer = self.answer(self, origin.index, context)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            one = super().label(task_of(system, [frame], [origin]), context)
            return next(iter(one))
        level = self.level_of_theory(system)
        return LabelFailure(
            frame, level, origin, answer, f"fake {answer.value}", self.retry_can_help, seconds=1.0
        )


def task_of(system: System, frames: Sequence[Frame], origins: Sequence[Origin]):
    from sis_engine.interfaces import SinglePoints

    return SinglePoints(system, tuple(frames), tuple(origins))


def dimers(n: int, system: System = DIMER):
    """A task of ``n`` dimers of different length."""
    frames = [Frame(("Ar", "Ar"), [[0, 0, 0], [2.5 + 0.01 * k, 0, 0]]) for k in range(n)]
    origins = [Origin(Purpose.SINGLE, 0, system.name, "p", k) for k in range(n)]
    return task_of(system, frames, origins)


class Bench:
    """A faulty labeler with all that the engine puts around it, and what was noted.

    counted: what was labelled though nobody asked for it
    """

    def __init__(self, labeler: FakeLabeler, folder: Path, *, cores: int = 1, exact=False) -> None:
        self.labeler = labeler
        self.bank = FakeBank()
        self.notes: list[tuple[str, str]] = []
        self.counted: list[Labelled | LabelFailure] = []
        self.folder = folder
        self.source: SideBySide = label_source(
            labeler,
            self.bank,
            cores=cores,
            exact=exact,
            note=lambda kind, text: self.notes.append((kind, text)),
            count=self.counted.append,
        )

    def label(self, task: LabelTask, **context: object) -> list[Labelled | LabelFailure]:
        given = Context(self.folder, **{"threads": self.source.cores, **context})
        return list(self.source.label(task, given))

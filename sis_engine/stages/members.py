"""TRAIN and ADMIT a whole committee: its seats side by side, as far as cores allow."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sis_engine.errors import ModelRefused, StopRequested
from sis_engine.interfaces import Progress, Trainer, no_progress
from sis_engine.records import (
    Challenger,
    Committee,
    Dataset,
    Member,
    Model,
    ModelResult,
    SeatResult,
)
from sis_engine.stages.context import Console, StageContext
from sis_engine.stages.model import Seat, challengers_of, needed, why

LEAST = 2
"""Members, the driver included, of which a deviation can be taken."""


@dataclass(frozen=True)
class _Watched:
    """A console on which only the driver's progress is shown; events are shown of all."""

    console: Console

    def stage(self, generation: int, name: str) -> Progress:
        del generation, name
        return no_progress

    def event(self, text: str, kind: str = "event", level: str = "info") -> None:
        self.console.event(text, kind, level)

    def evaluated(self) -> None:
        self.console.evaluated()

    def lived(self, time_ps: float) -> None:
        self.console.lived(time_ps)


class Crew:
    """Trainers that work side by side: the campaign's own, and others like it."""

    def __init__(self, stage: StageContext, n: int) -> None:
        self._free: queue.Queue[Trainer] = queue.Queue()
        for trainer in stage.parts.trainers(n):
            self._free.put(trainer)

    @contextmanager
    def one(self) -> Iterator[Trainer]:
        """A trainer that nobody else uses meanwhile."""
        trainer = self._free.get()
        try:
            yield trainer
        finally:
            self._free.put(trainer)


def make_committee(
    stage: StageContext,
    dataset: Dataset,
    previous: Committee | None,
    driver: Model | None,
    n_members: int,
    *,
    refit_bias: bool,
) -> ModelResult:
    """A model for every seat, each with a seed of its own. Raises ModelRefused.

    driver: what seat 0 continues. A member that is refused twice leaves its seat empty for this
    generation and is trained from scratch in the next; a refused driver, or fewer than two seats
    filled, is a refusal of all.
    """
    before: dict[int, Model] = {0: driver} if driver is not None else {}
    if previous is not None:
        before |= {item.seat: item.model for item in previous.members}
    made = _side_by_side(stage, dataset, before, n_members, refit_bias=refit_bias)
    seats = tuple(SeatResult(seat, made[seat]) for seat in range(1, n_members))
    for item in seats:
        if item.admitted is None:
            told = why(item.challengers[-1])
            stage.note("empty_seat", f"member {item.seat} of the committee was refused: {told}")
    if sum(item.admitted is not None for item in seats) + 1 < LEAST:
        told = "\n".join(f"  member {i.seat}: {why(i.challengers[-1])}" for i in seats)
        raise ModelRefused(
            f"no member of the committee beside its driver was admitted:\n{told}",
            hint="`sis report` shows the figures; see admission in the campaign file",
        )
    return ModelResult(needed(made[0]), seats)


def _side_by_side(
    stage: StageContext,
    dataset: Dataset,
    before: Mapping[int, Model],
    n_members: int,
    *,
    refit_bias: bool,
) -> dict[int, tuple[Challenger, ...]]:
    """Challengers by seat. What a seat raises ends the others soon, and is raised here."""
    workers = min(n_members, stage.parts.trainings_at_once)
    crew = Crew(stage, workers)
    abandoned = threading.Event()

    def make(number: int) -> tuple[Challenger, ...]:
        own = replace(stage, stop=lambda: abandoned.is_set() or stage.stop())
        if number > 0:
            own = replace(own, console=_Watched(stage.console))
        try:
            with crew.one() as trainer:
                seat = Seat(number, trainer, before.get(number))
                found = challengers_of(own, dataset, seat, refit_bias=refit_bias)
            return needed(found) if number == 0 else found
        except BaseException:
            abandoned.set()
            raise

    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(make, number) for number in range(n_members)]
    errors = [error for task in tasks if (error := task.exception()) is not None]
    if errors:
        # The first fault, not the stops that it caused in the other seats.
        raise next((e for e in errors if not _is_stop(e)), errors[0])
    return {number: task.result() for number, task in enumerate(tasks)}


def _is_stop(error: BaseException) -> bool:
    return isinstance(error, StopRequested)


def committee_of(made: ModelResult, previous: Committee | None, driver: Model) -> Committee:
    """The models to use: those made now, or those that stay where nothing was made."""
    if made.admitted is None:
        return Committee(driver, () if previous is None else previous.members)
    return Committee(
        driver,
        tuple(
            Member(item.seat, item.admitted.model)
            for item in made.seats
            if item.admitted is not None
        ),
    )

"""Where a campaign is in its course, seen from outside while its engine runs: stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sis_engine.errors import SisError
from sis_engine.storage.ledger import LEDGER_FILE, Ledger, StageState

LOOK_EVERY_S = 0.01


@dataclass(frozen=True)
class Moment:
    """A time in a campaign's course: so long after a stage has begun."""

    generation: int
    stage: str
    after_s: float = 0.0

    @property
    def kind(self) -> str:
        """The stage without the number of its challenger."""
        return self.stage.rstrip("-0123456789")

    def __str__(self) -> str:
        return f"{self.kind} of generation {self.generation}"


@dataclass(frozen=True)
class Course:
    """Stages of a campaign that has ended, in order: (generation, stage, seconds)."""

    stages: tuple[tuple[int, str, float], ...]

    @classmethod
    def of(cls, folder: Path) -> Course:
        with Ledger(folder, read_only=True) as ledger:
            done = [row for row in ledger.stages() if row.state is StageState.DONE]
        return cls(tuple((row.generation, row.stage, row.seconds or 0.0) for row in done))

    @property
    def seconds(self) -> float:
        return sum(seconds for _, _, seconds in self.stages)

    def at(self, seconds: float) -> Moment:
        """The moment so many seconds of stages after the start."""
        for generation, stage, lasted in self.stages:
            if seconds < lasted:
                return Moment(generation, stage, seconds)
            seconds -= lasted
        generation, stage, lasted = self.stages[-1]
        return Moment(generation, stage, lasted)

    def place(self, generation: int, stage: str) -> int:
        """Of a stage in the order of stages; the end for one that was not met."""
        names = [(item[0], item[1]) for item in self.stages]
        return names.index((generation, stage)) if (generation, stage) in names else len(names)


def attempts(folder: Path) -> tuple[tuple[int, str, int], ...]:
    """(generation, stage, attempt) of all that was begun, in order."""
    if not (folder / LEDGER_FILE).exists():
        return ()
    try:
        with Ledger(folder, read_only=True) as ledger:
            return tuple((row.generation, row.stage, row.attempt) for row in ledger.stages())
    except SisError:  # it is just being made
        return ()


def reach(
    folder: Path, moment: Moment, course: Course, ends_within: Callable[[float], bool]
) -> bool:
    """Wait until an engine that was just started is there, or further; ``False``: it has ended.

    ends_within: waits so many seconds at most for its end, and says whether that came
    """
    before = frozenset(attempts(folder))
    wanted = course.place(moment.generation, moment.stage)
    while not ends_within(LOOK_EVERY_S):
        new = [item for item in attempts(folder) if item not in before]
        places = [course.place(generation, stage) for generation, stage, _ in new]
        if any(place > wanted for place in places):
            return True
        if wanted in places:
            return not ends_within(moment.after_s)
    return False

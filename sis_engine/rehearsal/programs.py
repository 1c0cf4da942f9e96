"""Labeler, trainer and MD whose program lets them down once: said, survived, nothing is left."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sis_engine.errors import ProgramFailed
from sis_engine.execution.program import ProgramRun, run_program
from sis_engine.explorers.ase.explorer import AseExplorer
from sis_engine.interfaces import Context
from sis_engine.records import Labelled
from sis_engine.rehearsal.given import Ordeal, prepare
from sis_engine.rehearsal.life import ENDED
from sis_engine.rehearsal.trial import Trial
from sis_engine.testing.fakes import FakeLabeler, FakeTrainer

if TYPE_CHECKING:
    from sis_engine.rehearsal.programme import Compared

SCRIPT = Path(__file__).with_name("misbehave.py")
SILENCE_S = 3.0
"""Of a program that hangs; others have all the time that a loaded machine needs."""
PATIENCE_S = 900.0
MOST_OUTPUT_BYTES = 1 << 24
GRACE_S = 0.5

WAYS = {
    "hangs": "hang",
    "ignores SIGTERM": "ignore_term",
    "leaves children": "leave_children",
    "prints a gigabyte": "print_a_gigabyte",
    "prints bytes that are not UTF-8": "print_other_bytes",
    "exits 0 without output": "say_nothing",
    "exits 137": "be_killed",
    "crashes": "crash",
    "writes NaN": "write_nan",
}
_HANG = frozenset({"hang", "ignore_term"})
PARTS = ("labeler", "trainer", "MD")
GOOD = "do_its_work"
"""What a program that does not let its engine down is asked to do."""
STAYED = "said with its reason; the campaign went on or paused, and ended"


def names() -> tuple[tuple[str, str], ...]:
    """(part, way) of every trial."""
    return tuple((part, way) for part in PARTS for way in WAYS)


def let_down(part: str, way: str) -> Callable[[], None]:
    """What a life does first: the first call of that part runs the program, and believes it.

    way: a function of the script
    """

    def prepared() -> None:
        {"labeler": _labeler, "trainer": _trainer, "MD": _explorer}[part](_Errand(way))

    return prepared


def good_programs() -> None:
    """What a life does first: its labeler's first call and all training and MD run a program."""
    _labeler(_Errand(GOOD))
    _trainer(_Errand(GOOD, once=False))
    _explorer(_Errand(GOOD, once=False))


class _Errand:
    """Runs the program at the first call, or at each."""

    def __init__(self, way: str, *, once: bool = True) -> None:
        self._way, self._once = way, once
        self._done = False

    def number(self, context: Context) -> float | None:
        """What it wrote; ``None``: nothing is made of it. Raises as any part's program does."""
        if self._done and self._once:
            return None
        self._done = True
        outcome = run_program(
            ProgramRun(
                (sys.executable, "-I", "-S", str(SCRIPT), self._way),
                directory=context.workdir,
                max_output_bytes=MOST_OUTPUT_BYTES,
                silent_timeout_s=SILENCE_S if self._way in _HANG else PATIENCE_S,
                grace_s=GRACE_S,
            ),
            stop=context.stop,
        )
        if not outcome.stdout_tail.strip():
            raise ProgramFailed(
                "misbehave.py ended with exit code 0 and wrote nothing", directory=context.workdir
            )
        return None if self._way == GOOD else float(outcome.stdout_tail)


def _labeler(errand: _Errand) -> None:
    original = FakeLabeler.label

    def label(self: FakeLabeler, task: Any, context: Context) -> Iterator[Any]:
        number = errand.number(context)
        for item in original(self, task, context):
            if number is not None and isinstance(item, Labelled):
                spoilt = dataclasses.replace(item.label, energy=number)
                yield dataclasses.replace(item, label=spoilt)
            else:
                yield item
            number = None

    FakeLabeler.label = label  # type: ignore[method-assign]


def _trainer(errand: _Errand) -> None:
    original = FakeTrainer.train

    def train(self: FakeTrainer, dataset: Any, start: Any, schedule: Any, context: Context) -> Any:
        number = errand.number(context)
        result = original(self, dataset, start, schedule, context)
        return result if number is None else dataclasses.replace(result, claimed_force_rmse=number)

    FakeTrainer.train = train  # type: ignore[method-assign, assignment]


def _explorer(errand: _Errand) -> None:
    original = AseExplorer.explore

    def explore(self: AseExplorer, task: Any, context: Context, *given: Any) -> Iterator[Any]:
        errand.number(context)
        yield from original(self, task, context, *given)

    AseExplorer.explore = explore  # type: ignore[method-assign, assignment]


def misbehaved(place: Path, compared: Compared, part: str, way: str) -> Trial:
    """One campaign that this happens to once. Its data may differ: a failed frame is left out."""
    begun = time.monotonic()
    ordeal = Ordeal(prepare(place), compared.whole)
    end = ordeal.live(first=let_down(part, WAYS[way]))
    if end.code not in {3, *ENDED}:
        ordeal.differences.append(f"exit code {end.code}: {end.last_line}")
    if end.code not in ENDED:
        end = ordeal.live()
        if end.code not in ENDED:
            ordeal.differences.append(f"did not end: exit code {end.code}: {end.last_line}")
    return Trial(
        name=f"program: {part} {way}",
        fault=f"{part} {way}",
        outcome=STAYED,
        injected=1,
        differences=tuple(ordeal.differences),
        recomputed=ordeal.recomputed,
        orphans=tuple(ordeal.orphans),
        seconds=time.monotonic() - begun,
    )

"""How many replicas run at once: measured once, kept in the ledger, and only where it pays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sis_engine.errors import ProgramFailed
from sis_engine.interfaces import Context, MdTask
from sis_engine.records import (
    Arrangement,
    Condition,
    Ensemble,
    Frame,
    Model,
    ModelForm,
    Replica,
    System,
)
from sis_engine.stages.arrange import arranged
from sis_engine.storage.ledger import Ledger

OPTIONS = (Arrangement(1, 1), Arrangement(2, 1), Arrangement(4, 1))
FRAME = Frame(("H",), [[0.0, 0.0, 0.0]])  # type: ignore[arg-type]


class Timed:
    """An explorer whose speeds are given; it counts how often it was asked."""

    def __init__(self, speeds: dict[int, float], options: Any = OPTIONS) -> None:
        self.asked: list[int] = []
        self._speeds, self._options = speeds, options

    def arrangements(self, n_replicas: int, cores: int) -> Any:
        return self._options

    def steps_per_s(self, task: MdTask, arrangement: Arrangement, context: Context) -> float:
        self.asked.append(arrangement.workers)
        if arrangement.workers not in self._speeds:
            raise ProgramFailed("out of memory on the device")
        return self._speeds[arrangement.workers]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path) as opened:
        yield opened


def told(ledger: Ledger, explorer: Any, tmp_path: Path, duration_ps: float = 1e6) -> Any:
    """The arrangement that a stage hands on, and what it said."""
    said: list[str] = []
    config = SimpleNamespace(trainer={}, explorer={})
    stage: Any = SimpleNamespace(
        parts=SimpleNamespace(explorer=explorer, config=config),
        ledger=ledger,
        console=SimpleNamespace(event=said.append),
    )
    condition = Condition("md", Ensemble.NVT, 300.0, 0.5, duration_ps)
    system = System("s", FRAME)
    replicas = tuple(Replica(f"r{k}", system, FRAME, condition, k) for k in range(4))
    model = Model("m", "t", ("H",), (), ModelForm.FROZEN)
    return arranged(stage, MdTask(model, replicas), Context(tmp_path, threads=4)), said


def test_the_best_is_taken_and_not_measured_again(ledger: Ledger, tmp_path: Path) -> None:
    explorer = Timed({1: 100.0, 2: 190.0, 4: 195.0})
    context, said = told(ledger, explorer, tmp_path)
    assert context.arrangement == Arrangement(2, 1)  # four at once are only a little faster
    assert sorted(explorer.asked) == [1, 2, 4]
    assert said[0].startswith("replicas: 2 at once with one thread each (190 steps/s) is best of")
    again = Timed({})
    context, said = told(ledger, again, tmp_path)
    assert (context.arrangement, again.asked, said) == (Arrangement(2, 1), [], [])


def test_one_that_cannot_run_is_left_out(ledger: Ledger, tmp_path: Path) -> None:
    context, said = told(ledger, Timed({1: 100.0, 2: 190.0}), tmp_path)
    assert context.arrangement == Arrangement(2, 1)
    assert "4 replicas at once cannot be timed: out of memory" in said[0]


def test_where_nothing_could_be_timed_it_is_tried_again(ledger: Ledger, tmp_path: Path) -> None:
    """A young model's MD blows up in every probe: the next model's need not."""
    context, said = told(ledger, Timed({}), tmp_path)
    assert context.arrangement is None
    assert len(said) == 3
    better = Timed({1: 100.0, 2: 190.0, 4: 195.0})
    context, _ = told(ledger, better, tmp_path)
    assert sorted(better.asked) == [1, 2, 4]
    assert context.arrangement == Arrangement(2, 1)


def test_short_md_is_not_worth_the_measuring(ledger: Ledger, tmp_path: Path) -> None:
    explorer = Timed({4: 1e9})
    context, _ = told(ledger, explorer, tmp_path, duration_ps=0.0005)
    assert explorer.asked == [4]
    assert context.arrangement == Arrangement(4, 1)


def test_where_there_is_no_choice_nothing_is_measured(ledger: Ledger, tmp_path: Path) -> None:
    explorer = Timed({}, OPTIONS[:1])
    assert told(ledger, explorer, tmp_path)[0].arrangement is None
    assert told(ledger, object(), tmp_path)[0].arrangement is None
    assert explorer.asked == []

"""A group of replicas in rounds: who is stopped, who goes on, and what their lives come to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sis_engine.interfaces import Context, MdTask, Needs
from sis_engine.records import (
    Committee,
    Condition,
    Ensemble,
    Exit,
    Exploration,
    Frame,
    HaltRule,
    MdFrame,
    Model,
    ModelFile,
    ModelForm,
    Quantity,
    Relation,
    Replica,
    Sampling,
    SuspectOutcome,
    System,
    Trace,
)
from sis_engine.stages import explore

FRAME = Frame(("H",), np.zeros((1, 3)))
FILE = ModelFile(ModelForm.FROZEN, Path("m.pth"), "0" * 64)
MODEL = Model("m", "t", ("H",), (FILE,), ModelForm.FROZEN)
SURE = HaltRule("blow_up", Quantity.MAX_FORCE, Relation.ABOVE, 1.0)
SUSPECT = HaltRule("energy", Quantity.POTENTIAL_ENERGY, Relation.BELOW, 0.0, suspect=True)
END_PS = 1.0


class Scripted:
    """Its replicas halt when the script says so: {replica: [(MD time, rule), …]}, in rounds."""

    def __init__(self, script: dict[str, list[tuple[float, HaltRule]]]) -> None:
        self.tasks: list[MdTask] = []
        self._script = script

    def explore(self, task: MdTask, context: Context, calculator: Any) -> Iterator[Exploration]:
        self.tasks.append(task)
        rounds = task.rounds
        assert rounds is not None
        ends = {r.id: self._next(r) for r in task.replicas}
        ended = [*rounds.ended, *((time_ps, rule is not None) for time_ps, rule in ends.values())]
        last = next((k for k in range(1, 10) if rounds.is_enough(ended, k)), 10)
        stop_ps = last * rounds.length_ps
        for replica in task.replicas:
            time_ps, rule = ends[replica.id]
            exit_ = Exit.COMPLETED if rule is None else Exit.HALTED
            if time_ps > stop_ps:
                time_ps, rule, exit_ = stop_ps, None, Exit.STOPPED
            yield run(replica, time_ps, exit_, rule)

    def _next(self, replica: Replica) -> tuple[float, HaltRule | None]:
        later = [
            item
            for item in self._script.get(replica.id, [])
            if 1000.0 * item[0] > replica.time_offset_fs
        ]
        return later[0] if later else (END_PS, None)


def run(replica: Replica, time_ps: float, exit_: Exit, rule: HaltRule | None) -> Exploration:
    last = MdFrame(FRAME, 1000.0 * time_ps, velocities=np.zeros((1, 3)))
    trace = Trace(replica.id, np.array([1000.0 * time_ps]), (Quantity.HEAT,), np.zeros((1, 1)))
    value = None if rule is None else 9.0
    return Exploration(replica, trace, (last,), exit_, time_ps, 1.0, halted_by=rule, value=value)


@pytest.fixture(autouse=True)
def _suspects_are_agreed_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def decided(stage: Any, run: Exploration, verdict: Any, *_: Any) -> SuspectOutcome:
        labelled: Any = SimpleNamespace(label=None)
        return SuspectOutcome(verdict, labelled, agreed=True)

    monkeypatch.setattr(explore, "decide_suspect", decided)
    monkeypatch.setattr(explore, "_may_ask", lambda *_: True)
    monkeypatch.setattr(explore, "Labelled", SimpleNamespace)


def group(explorer: Scripted, failures: int = 1) -> dict[str, explore.Judged]:
    config = SimpleNamespace(
        round_ps=0.2, max_suspects=3, sampling=SimpleNamespace(sampling=Sampling)
    )
    kept = SimpleNamespace(get=lambda _: None, put=lambda *_: None)
    stage: Any = SimpleNamespace(
        generation=0,
        kept=lambda *_: kept,
        parts=SimpleNamespace(
            config=SimpleNamespace(explore=config),
            sampler=SimpleNamespace(needs=Needs(failures=failures)),
            explorer=explorer,
            trainer=SimpleNamespace(calculator=None),
            monitors=(),
        ),
    )
    condition = Condition("md", Ensemble.NVT, 300.0, 0.5, END_PS)
    replicas = [Replica(f"r{k}", System("s", FRAME), FRAME, condition, k + 1) for k in range(3)]
    purse: Any = None
    judged = explore._group(stage, Committee(MODEL), replicas, None, purse, Context(Path()))
    return {item.exploration.replica.id: item for item in judged}


def lives(found: dict[str, explore.Judged]) -> dict[str, tuple[float, bool]]:
    return {
        name: (round(item.exploration.md_ps, 3), item.verdict is not None)
        for name, item in found.items()
    }


def test_after_the_round_of_a_failure_the_others_end_with_it() -> None:
    explorer = Scripted({"r1": [(0.32, SURE)], "r2": [(0.39, SURE)]})
    assert lives(group(explorer)) == {"r0": (0.4, False), "r1": (0.32, True), "r2": (0.39, True)}
    assert len(explorer.tasks) == 1


def test_a_sampler_that_answers_two_waits_for_two() -> None:
    explorer = Scripted({"r1": [(0.32, SURE)], "r2": [(0.7, SURE)]})
    found = lives(group(explorer, failures=2))
    assert found == {"r0": (0.8, False), "r1": (0.32, True), "r2": (0.7, True)}


def test_where_a_suspect_was_none_those_that_were_stopped_go_on() -> None:
    explorer = Scripted({"r0": [(0.12, SUSPECT)], "r1": [(0.55, SURE)]})
    found = group(explorer)
    first, second = explorer.tasks
    assert [item.time_offset_fs for item in second.replicas] == [120.0, 200.0, 200.0]
    assert second.rounds == first.rounds
    assert lives(found) == {"r0": (0.6, False), "r1": (0.55, True), "r2": (0.6, False)}
    assert found["r2"].exploration.trace.time_fs.tolist() == pytest.approx([200.0, 600.0])


def test_a_known_failure_ends_what_goes_on_after_a_suspect() -> None:
    explorer = Scripted({"r0": [(0.12, SUSPECT)], "r1": [(0.15, SURE)]})
    assert lives(group(explorer)) == {"r0": (0.12, False), "r1": (0.15, True), "r2": (0.2, False)}
    assert len(explorer.tasks) == 1


def test_without_a_failure_all_run_to_their_ends() -> None:
    found = group(Scripted({}))
    assert {item.exploration.exit for item in found.values()} == {Exit.COMPLETED}
    assert replace(found["r0"].exploration).md_ps == END_PS

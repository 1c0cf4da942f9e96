"""Money: every purchase of labels is bounded by the budget and waits for approval where asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from sis_engine.bookkeeping.states import State
from sis_engine.commands.quote import quote
from sis_engine.records import Purpose
from sis_engine.storage.ledger import Ledger
from tests.integration.small_campaigns import digest_of, events, paid, records, run, write_campaign

pytestmark = pytest.mark.slow  # whole campaigns

SPENDS = {
    "seed": 7,
    "monitors.1": {
        "type": "energy",
        "upper_margin_sigma": 0.0,
        "lower_margin_sigma": 0.0,
        "model_error_per_atom": 0.0,
        "burn_in_fs": 0.0,
    },
    "audit.max_relative_force_rmse": 0.12,
    "initial.segment.length_fs": 40.0,
    "explore.replicas": 2,
    "explore.condition.duration_ps": 0.2,
    "sampler.min_survivors": 2,
    "sampler.segment.length_fs": 60.0,
    "sampler.audit": {"decorrelation_fs": 10.0, "burn_in_ps": 0.02},
    "audit.min_frames": 4,
    "test": {
        "segment": {"length_fs": 20.0, "timestep_fs": 2.0},
        "equilibration_fs": 10.0,
        "stride": 2,
    },
    "budget.generations": 3,
}
"""Buys labels for every purpose in three generations."""


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The campaign without a limit on evaluations."""
    place = tmp_path_factory.mktemp("free")
    run(place / "run", write_campaign(place / "given", SPENDS))
    return place / "run"


def by_purpose(folder: Path) -> dict[Purpose, int]:
    with Ledger(folder, read_only=True) as ledger:
        return {item.purpose: item.paid for item in ledger.counts() if item.paid}


def test_the_free_campaign_buys_for_many_purposes(free: Path) -> None:
    found = by_purpose(free)
    assert {Purpose.INITIAL, Purpose.SEGMENT, Purpose.BISECT, Purpose.TEST} <= set(found)
    assert {Purpose.SUSPECT, Purpose.AUDIT} <= set(found)


@pytest.mark.parametrize("fraction", [0.3, 0.55, 0.8, 0.95])
def test_no_budget_is_ever_exceeded(fraction: float, free: Path, tmp_path: Path) -> None:
    budget = int(fraction * paid(free))
    config = write_campaign(tmp_path / "given", SPENDS | {"budget.evaluations": budget})
    ended = run(tmp_path / "run", config)
    assert ended.state is State.EXHAUSTED, ended
    assert paid(tmp_path / "run") <= budget


@pytest.mark.parametrize("purpose", [Purpose.SUSPECT, Purpose.BISECT, Purpose.AUDIT])
def test_no_budget_of_one_purpose_is_ever_exceeded(
    purpose: Purpose, free: Path, tmp_path: Path
) -> None:
    limit = max(1, by_purpose(free)[purpose] // 2)
    changes = SPENDS | {"budget.evaluations_by_purpose": {purpose.value: limit}}
    run(tmp_path / "run", write_campaign(tmp_path / "given", changes))
    assert by_purpose(tmp_path / "run").get(purpose, 0) <= limit


def test_a_suspect_that_nothing_is_left_for_is_a_catastrophe(free: Path, tmp_path: Path) -> None:
    first = records(free)[0]
    assert first.suspects
    budget = sum(item.n_evaluations for item in first.outcomes)
    changes = SPENDS | {"test": None, "budget.evaluations": budget}
    run(tmp_path / "run", write_campaign(tmp_path / "given", changes))
    assert set(by_purpose(tmp_path / "run")) == {Purpose.INITIAL}
    assert "taken for a catastrophe" in events(tmp_path / "run")
    found = records(tmp_path / "run")[0]
    assert not found.suspects
    assert found.verdicts
    assert not any(item.suspect for item in found.verdicts)


def test_nothing_is_bought_without_approval_and_the_end_is_the_same(
    free: Path, tmp_path: Path
) -> None:
    config = write_campaign(tmp_path / "given", SPENDS | {"pause_before": ["label"]})
    place = tmp_path / "run"
    ended, bought, asked = run(place, config), 0, list[str]()
    while ended.state is State.PAUSED:
        assert paid(place) == bought, "bought while it waited"
        assert "evaluations (" in ended.reason
        asked.append(ended.reason.splitlines()[0])
        told = quote(place)
        assert told.reason.startswith("waits for approval before label")
        assert run(place).state is State.PAUSED  # without --approve it goes on waiting
        assert paid(place) == bought
        ended = run(place, approve=True)
        bought = paid(place)
        assert len(asked) < 20, asked
    assert {"label", "label (suspects of cluster)", "label (audit 1)"} <= {
        line.split("before ")[1].split(":")[0] for line in asked
    }
    assert digest_of(place) == digest_of(free)
    assert paid(place) == paid(free)


def test_frames_of_an_audit_that_become_data_are_quoted_as_free(free: Path) -> None:
    plans = {item.plan.split("-")[1]: item for item in quote(free).plans}
    assert (plans["audited"].least, plans["audited"].most) == (0, 0)
    others = [item for name, item in plans.items() if name != "audited"]
    assert others
    assert all(item.least > 0 for item in others)


def test_a_budget_of_what_a_free_campaign_cost_is_enough_for_it(tmp_path: Path) -> None:
    """An audit in two parts costs what it costs in one."""
    lean = {
        "sampler": {"type": "sis-lean", "min_survivors": 2, "audit": {"decorrelation_fs": 10.0}},
        "explore.replicas": 2,
    }
    free = run(tmp_path / "free", write_campaign(tmp_path / "given", lean))
    assert free.state is State.STABLE, free
    looked, whole = (item.result.errors.n_frames for item in records(tmp_path / "free")[-1].audits)
    assert looked < whole
    enough = lean | {"budget.evaluations": paid(tmp_path / "free")}
    held = run(tmp_path / "held", write_campaign(tmp_path / "again", enough))
    assert held.state is State.STABLE, held
    assert paid(tmp_path / "held") == paid(tmp_path / "free")

"""Every sampler turns the whole loop, on the shipped fakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sis_engine.bookkeeping.states import State
from sis_engine.records import DatasetPart, Labelled, Purpose, Stable, TrainingSchedule
from sis_engine.testing.fakes import FakeTrainer, Morse
from tests.integration.small_campaigns import banked, digest_of, paid, records, run, write_campaign

pytestmark = pytest.mark.slow  # whole campaigns

STOP = {"min_survivors": 3, "audit": {"decorrelation_fs": 40.0, "burn_in_ps": 0.1}}
SAMPLERS: dict[str, dict[str, Any]] = {
    "random": {"type": "random", "labels_per_system": 40, **STOP},
    "stride": {"type": "stride", "labels_per_system": 40, **STOP},
    "aimd": {"type": "aimd", "segment": {"length_fs": 200.0, "timestep_fs": 2.0}, **STOP},
    "sis-lean": {"type": "sis-lean", **STOP},
    "hybrid": {
        "type": "hybrid",
        "force_field": {"type": "fake", "depth_ev": 0.25},  # the reference has 0.3
        "cheap": {"length_ps": 0.2, "timestep_fs": 2.0},
        "segment": {"length_fs": 200.0, "timestep_fs": 2.0},
        **STOP,
    },
}
PAYS_FOR = {
    "random": {Purpose.INITIAL, Purpose.SINGLE},
    "stride": {Purpose.INITIAL, Purpose.SINGLE},
    "aimd": {Purpose.INITIAL, Purpose.SEGMENT},
    "sis-lean": {Purpose.INITIAL, Purpose.SINGLE},
    "hybrid": {Purpose.INITIAL, Purpose.SEGMENT},
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_ends_stable_by_an_audit_that_passed(name: str, tmp_path: Path) -> None:
    config = write_campaign(tmp_path / "given", {"sampler": SAMPLERS[name]})
    ended = run(tmp_path / "run", config)
    assert ended.state is State.STABLE, ended
    found = records(tmp_path / "run")
    assert isinstance(found[-1].decision, Stable)
    assert found[-1].audits[-1].result.passed
    assert found[0].verdicts, "nothing failed: this shows nothing"
    asked = {plan.purpose for record in found for plan in record.plans}
    assert asked - {Purpose.SINGLE} <= PAYS_FOR[name]
    assert PAYS_FOR[name] <= asked
    assert paid(tmp_path / "run") == banked(tmp_path / "run")


@pytest.mark.parametrize("name", ["random", "stride", "sis-lean"])
def test_a_first_model_that_dies_at_once_is_taught_from_where_it_began(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # its only frames are the start and a collapse that no SCF answers: nothing new was ever learnt
    def fitted(
        self: FakeTrainer, parts: Sequence[DatasetPart], schedule: TrainingSchedule
    ) -> Morse:
        collapses = sum(part.frames.n_frames for part in parts) <= 30
        return replace(sound(self, parts, schedule), hole_angstrom=3.6 if collapses else 0.0)

    sound = FakeTrainer._fitted
    monkeypatch.setattr(FakeTrainer, "_fitted", fitted)
    changes = {
        "sampler": SAMPLERS[name],
        "labeler.unconverged_below_angstrom": 1.9,
        "budget.generations": 6,
    }
    ended = run(tmp_path / "run", write_campaign(tmp_path / "given", changes))
    assert ended.state is State.STABLE, ended
    first, second, *_ = records(tmp_path / "run")
    assert {life.time_ps for life in first.lives} == {0.0}
    assert "reference MD from the start" in second.plans[0].reason


def test_what_a_label_agreed_with_is_no_suspect_in_a_later_generation(tmp_path: Path) -> None:
    sampler = SAMPLERS["random"] | {"labels_per_system": 20, "duration_schedule_ps": [1.0] * 3}
    run(tmp_path / "run", write_campaign(tmp_path / "given", {"sampler": sampler}))
    found = records(tmp_path / "run")
    agreed = [item for item in found[1].suspects if item.agreed]
    assert agreed, "no suspect was right: this shows nothing"
    (support,) = found[2].support
    for item in agreed:
        assert isinstance(item.outcome, Labelled)
        assert support.energy_min <= item.outcome.label.energy <= support.energy_max
    again = {item.verdict.criterion for item in found[2].suspects}
    assert not again & {item.verdict.criterion for item in agreed}


def test_a_first_look_is_told_as_one_and_not_as_a_failed_audit(tmp_path: Path) -> None:
    ended = run(tmp_path / "run", write_campaign(tmp_path, {"sampler": SAMPLERS["sis-lean"]}))
    assert ended.state is State.STABLE, ended
    assert [item.result.passed for item in records(tmp_path / "run")[-1].audits] == [False, True]
    told = "".join(path.read_text() for path in (tmp_path / "run" / "log").iterdir())
    assert "first look of the audit: relative force RMSE" in told
    assert "audit passed: relative force RMSE" in told
    assert "audit failed" not in told


def test_the_same_seed_decides_the_same(tmp_path: Path) -> None:
    changes = {"sampler": SAMPLERS["random"], "budget.generations": 2}
    digests = set()
    for place in ("one", "two"):
        run(tmp_path / place, write_campaign(tmp_path / f"given-{place}", changes))
        digests.add(digest_of(tmp_path / place))
    assert len(digests) == 1


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_keeps_within_its_evaluations(name: str, tmp_path: Path) -> None:
    changes = {"sampler": SAMPLERS[name], "budget.evaluations": 60}
    ended = run(tmp_path / "run", write_campaign(tmp_path / "given", changes))
    assert ended.state is State.EXHAUSTED
    # Suspects are the monitors' questions, not the sampler's requests.
    assert paid(tmp_path / "run", but=Purpose.SUSPECT) <= 60


def test_aimd_is_one_trajectory(tmp_path: Path) -> None:
    """The first frame of each segment is the last one of the segment before, in motion."""
    sampler = {**SAMPLERS["aimd"], "segment": {"length_fs": 30.0, "timestep_fs": 2.0}}
    changes = {
        "sampler": sampler,
        "budget.generations": 3,
        "audit.max_relative_force_rmse": 1e-9,  # never enough
    }
    run(tmp_path / "run", write_campaign(tmp_path / "given", changes))
    segments = [
        [item for item in outcome.labelled if item.origin.purpose is purpose]
        for record in records(tmp_path / "run")
        for outcome in record.outcomes
        for purpose in (Purpose.INITIAL, Purpose.SEGMENT)
        if outcome.purpose is purpose
    ]
    assert len(segments) == 3
    for before, after in pairwise(segments):
        last, first = before[-1], after[0]
        assert first.frame.key == last.frame.key
        assert first.velocities is not None
        assert (first.velocities == last.velocities).all()

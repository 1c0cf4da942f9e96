"""A committee through the whole loop, on the shipped fakes: made, watched, kept, and resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sis_engine.bookkeeping.states import State
from sis_engine.errors import TrainingDiverged
from sis_engine.records import Admission, Quantity, Requests, Stable
from sis_engine.stages import model as model_stage
from sis_engine.testing.fakes import FakeTrainer
from tests.integration.small_campaigns import digest_of, events, records, run, write_campaign

pytestmark = pytest.mark.slow  # whole campaigns

COMMITTEE: dict[str, Any] = {
    "type": "committee",
    "members": 3,
    "labels_per_system": 30,
    "force": {"lo": 0.02, "hi": 0.5},
    "min_survivors": 3,
    "audit": {"decorrelation_fs": 40.0, "burn_in_ps": 0.1},
}
CHANGES = {"sampler": COMMITTEE}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("committee")
    ended = run(place / "run", write_campaign(place / "given", CHANGES), report=True)
    assert ended.state is State.STABLE, ended
    return place / "run"


def test_every_generation_keeps_its_members_and_how_they_were_made(finished: Path) -> None:
    for record in records(finished):
        assert record.model is not None
        assert [member.seat for member in record.members] == [1, 2]
        for member in record.members:
            assert member.model.elements == record.model.elements
            assert member.images
            assert all(image.data for image in member.images)
            (challenger,) = member.challengers
            assert challenger.training is not None
            assert challenger.training.model.id == member.model.id
        seeds = {record.challengers[0].schedule.seed}
        seeds |= {member.challengers[0].schedule.seed for member in record.members}
        assert len(seeds) == 3


def test_the_committee_watches_all_md_and_its_candidates_are_labelled(finished: Path) -> None:
    first, *rest = records(finished)
    for exploration in first.explorations:
        looks = exploration.trace.series(Quantity.MODEL_DEVIATION)
        assert looks is not None
        assert looks[0] > 0.0
    assert isinstance(first.decision, Requests)
    asked = first.decision.plans[0]
    assert all(start.deviation is not None for start in asked.starts)
    assert "accurate" in first.decision.reason
    assert isinstance(rest[-1].decision, Stable)


def test_what_was_foreseen_is_kept_with_what_came_true(finished: Path) -> None:
    first, second, *_ = records(finished)
    assert first.foreseen == ()
    labelled = sum(len(outcome.labelled) for outcome in second.outcomes)
    assert len(second.foreseen) == labelled > 0
    assert all(pair.deviation > 0.0 and pair.error > 0.0 for pair in second.foreseen)


def test_the_report_is_written(finished: Path) -> None:
    assert (finished / "report.html").stat().st_size > 10_000


def test_a_campaign_that_is_taken_up_again_has_the_digest_of_one_that_was_not(
    finished: Path, tmp_path: Path
) -> None:
    """Members are found again in the generation file, and their trainings where they ended."""
    config = write_campaign(tmp_path / "given", {**CHANGES, "budget.generations": 1})
    asked = {"stops": 0}

    def stop() -> bool:  # now and then, so that it stops in many places, trainings included
        asked["stops"] += 1
        return asked["stops"] % 60 == 0

    for _ in range(50):
        if run(tmp_path / "run", config, stop=stop).state is State.EXHAUSTED:
            break
    config = write_campaign(tmp_path / "given", CHANGES)
    assert run(tmp_path / "run", config).state is State.STABLE
    assert digest_of(tmp_path / "run") == digest_of(finished)


def test_a_member_that_is_refused_twice_leaves_its_seat_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit = model_stage.admit

    def strict(trainer: Any, explorer: Any, result: Any, *rest: Any) -> Admission:
        found: Admission = admit(trainer, explorer, result, *rest)
        refused = "-m2" in str(result.model.files[0].path)
        return replace(found, passed=False, reasons=("too old",)) if refused else found

    monkeypatch.setattr(model_stage, "admit", strict)
    config = write_campaign(tmp_path / "given", {**CHANGES, "budget.generations": 1})
    assert run(tmp_path / "run", config).state is State.EXHAUSTED
    (record,) = records(tmp_path / "run")
    assert [member.seat for member in record.members] == [1]
    assert record.explorations[0].trace.series(Quantity.MODEL_DEVIATION) is not None
    assert "member 2 of the committee was refused: too old" in events(tmp_path / "run")


def test_a_committee_without_members_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = FakeTrainer.train

    def diverging(self: Any, dataset: Any, start: Any, schedule: Any, context: Any) -> Any:
        if "-m" in context.workdir.parent.name:
            raise TrainingDiverged("the fake loss is not finite")
        return train(self, dataset, start, schedule, context)

    monkeypatch.setattr(FakeTrainer, "train", diverging)
    ended = run(tmp_path / "run", write_campaign(tmp_path / "given", CHANGES))
    assert ended.state is State.PAUSED
    assert "no member of the committee beside its driver was admitted" in ended.reason
    assert "not finite" in ended.reason


def test_one_model_is_what_it_was_before_there_were_committees(tmp_path: Path) -> None:
    """Seat 0 has the seed, and the files, that it has without other seats."""
    alone = write_campaign(tmp_path / "alone", {"budget.generations": 1})
    run(tmp_path / "run-alone", alone)
    committee = write_campaign(tmp_path / "many", {**CHANGES, "budget.generations": 1})
    run(tmp_path / "run-many", committee)
    (one,), (many,) = records(tmp_path / "run-alone"), records(tmp_path / "run-many")
    assert one.members == ()
    assert [image.sha256 for image in one.model_images] == [
        image.sha256 for image in many.model_images
    ]

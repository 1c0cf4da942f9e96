"""Campaigns in rounds of MD time: kills change nothing (who is stopped: tests/unit/stages)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sis_engine.bookkeeping.states import State
from sis_engine.commands.validation import validate
from sis_engine.errors import ConfigurationError
from sis_engine.records import Requests
from sis_engine.setup.assembly import assemble
from tests.integration.small_campaigns import digest_of, paid, records, run, write_campaign
from tests.integration.test_durability import TINY

pytestmark = pytest.mark.slow  # whole campaigns

ROUND_PS = 0.05
IN_ROUNDS = {
    **TINY,
    "explore.replicas": 4,
    "explore.round_ps": ROUND_PS,
    "explore.suspect_relative_error": 1e-6,  # the labeler never agrees: a suspect is a failure
    "budget.generations": 2,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never stopped."""
    place = tmp_path_factory.mktemp("whole")
    done(place / "run", write_campaign(place / "given", IN_ROUNDS))
    return place / "run"


def done(folder: Path, config: Path) -> None:
    ended = run(folder, config)
    assert ended.state in {State.EXHAUSTED, State.STABLE}, ended.reason


def test_the_labels_are_those_of_a_campaign_without_rounds(whole: Path, tmp_path: Path) -> None:
    """The earliest failure is the same; what comes later was only waited for."""
    config = write_campaign(
        tmp_path / "given", {**IN_ROUNDS, "explore.round_ps": None, "budget.generations": 1}
    )
    done(tmp_path / "run", config)
    free, held = (records(folder)[0].decision for folder in (tmp_path / "run", whole))
    assert isinstance(free, Requests)
    assert isinstance(held, Requests)
    one, other = (next(p for p in found.plans if "cp-0" in p.id) for found in (free, held))
    assert [s.frame.key for s in one.starts] == [s.frame.key for s in other.starts]


@pytest.mark.parametrize("after", [40, 200])
def test_a_stop_in_the_middle_changes_no_digest(whole: Path, tmp_path: Path, after: int) -> None:
    config = write_campaign(tmp_path / "given", IN_ROUNDS)
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > after

    assert run(tmp_path / "run", config, stop=stop).state is State.PAUSED
    done(tmp_path / "run", config)
    assert digest_of(tmp_path / "run") == digest_of(whole)
    assert paid(tmp_path / "run") == paid(whole)


def test_a_sampler_that_looks_at_every_end_refuses_rounds(tmp_path: Path) -> None:
    config = write_campaign(
        tmp_path, {**IN_ROUNDS, "sampler": {"type": "random", "min_survivors": 2}}
    )
    with pytest.raises(ConfigurationError, match="looks at every replica's end") as raised:
        validate(assemble(config))
    assert raised.value.key == "explore.round_ps"

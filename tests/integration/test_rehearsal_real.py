"""``sis rehearse --real``: kills and stops of ``sis run`` itself, here on parts that are fast."""

from __future__ import annotations

from pathlib import Path

import pytest

from sis_engine.rehearsal.real import Real
from sis_engine.rehearsal.stops import STOPS_WITHIN_S, Stop
from tests.integration.small_campaigns import write_campaign
from tests.integration.test_durability import TINY


@pytest.mark.slow
def test_a_run_that_is_killed_and_stopped_in_every_stage_comes_to_the_same_end(
    tmp_path: Path,
) -> None:
    config = write_campaign(tmp_path / "given", {**TINY, "budget.generations": 1})
    said: list[str] = []
    killed, *stopped, together = Real(config, tmp_path / "runs", 3, 1, said.append).rehearse()
    assert killed.kills == 3
    kinds = {trial.name.partition(":")[0] for trial in stopped}
    assert "SIGTERM in label" in kinds
    met = {line.partition(":")[0] for line in said if line.startswith("SIGTERM")}
    assert together.outcome.startswith(f"met {len(met)} of ")
    assert all(trial.injected > 0 for trial in stopped)
    assert sum("SIGTERM" in line for line in said) == sum(trial.injected for trial in stopped)
    for trial in (killed, *stopped, together):
        assert trial.differences == (), trial
        assert trial.orphans == (), trial
        assert trial.recomputed == 0


def test_a_stop_that_takes_too_long_or_ends_otherwise_is_a_difference() -> None:
    assert Stop(0, "train-1", 3, 1.0).differences == ()
    assert Stop(0, "train-1", 0, 1.0).differences == ()  # it was over just then
    (told,) = Stop(0, "train-1", 3, STOPS_WITHIN_S + 1.0).differences
    assert told == "31.0 s from SIGTERM to exit"
    (told,) = Stop(0, "train-1", -9, 1.0).differences
    assert told == "exit code -9, not 3"

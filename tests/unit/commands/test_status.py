"""What is known of a campaign that runs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from sis_engine.commands.status import standing
from sis_engine.storage.generation import GenerationRecord
from sis_engine.storage.ledger import Ledger
from sis_engine.storage.ownership import acquire

SMOKE = Path(__file__).parents[3] / "configs" / "smoke.yaml"


def test_a_running_generation_longer_than_all_before_counts_in_the_rest(tmp_path: Path) -> None:
    """Four minutes left of this generation, and seconds for nine more, cannot both be."""
    before = GenerationRecord(0, stage_seconds=(("label", 5.0), ("explore", 7.0)))
    now = {"generation": 1, "stage": "train-1", "generation_eta_s": 240.0, "at": time.time() + 10.0}
    with acquire(tmp_path), Ledger(tmp_path) as ledger:
        ledger.set_meta("config_text", SMOKE.read_text())
        ledger.start_stage(1, "train-1")
        ledger.set_meta("now", json.dumps(now))
        outlook = standing(tmp_path, ledger, (before,)).outlook
    assert outlook is not None
    assert outlook.longest_generation_s == pytest.approx(250.0, abs=2.0)
    assert outlook.generations_left is not None
    assert outlook.rest_at_longest_s == outlook.generations_left * outlook.longest_generation_s

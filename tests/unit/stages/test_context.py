"""What a stage enters into the ledger, and what the person who watches is told of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sis_engine.stages.context import StageContext
from sis_engine.storage.ledger import Ledger
from tests.unit.storage.storage_samples import make_labelled


def test_an_evaluation_that_is_counted_already_is_not_shown_as_another(tmp_path: Path) -> None:
    shown: list[int] = []
    console = SimpleNamespace(evaluated=lambda: shown.append(1))
    with Ledger(tmp_path) as ledger:
        stage: Any = SimpleNamespace(ledger=ledger, generation=0, console=console)
        first, second, known = make_labelled(3)
        for item in (first, second, first, second):  # the stage, and the stage after a kill
            StageContext.count(stage, item)
        assert len(shown) == 2
        StageContext.count(stage, replace(known, cached=True))
        assert len(shown) == 2
        assert sum(row.paid for row in ledger.counts()) == 2

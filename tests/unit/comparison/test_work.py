"""The reference trajectory that all runs of a comparison look at."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sis_engine.comparison import work
from sis_engine.comparison.reference import Reference
from sis_engine.comparison.work import Bench
from sis_engine.errors import CampaignHeld, StopRequested

FOUND = Reference(())


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    config = SimpleNamespace(examiner=SimpleNamespace(reference=None))
    comparison: Any = SimpleNamespace(examiner_parts=lambda _case, _seed: None, config=config)
    places: Any = SimpleNamespace(examiner=lambda _case: tmp_path)
    monkeypatch.setattr(work, "reference_settings", lambda _comparison, _case: {})
    monkeypatch.setattr(work, "WAIT_S", 0.0)
    asked = iter((False, False, True))
    return Bench(comparison, places, lambda: next(asked), lambda _: None)


def held(times: int, calls: list[Path]) -> Any:
    def make(folder: Path, *_given: Any, **_named: Any) -> Reference:
        calls.append(folder)
        if len(calls) <= times:
            raise CampaignHeld(f"{folder} is held by process 1")
        return FOUND

    return make


def test_a_run_waits_while_its_sibling_looks_at_the_reference(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    monkeypatch.setattr(work, "make_reference", held(2, calls))
    assert bench.reference("all") is FOUND
    assert len(calls) == 3


def test_a_run_that_waits_hears_a_stop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []
    monkeypatch.setattr(work, "make_reference", held(99, calls))
    with pytest.raises(StopRequested, match="in use"):
        bench.reference("all")
    assert len(calls) == 3

"""What `sis status` shows a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sis_engine.cli.status_view import show_status
from sis_engine.commands.status import Standing
from sis_engine.report.facts import CampaignFacts
from sis_engine.report.summary import summarise
from tests.unit.report import synthetic

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def shown(capsys: Capture, facts: CampaignFacts | None = None) -> list[str]:
    """The lines that are shown of the made-up campaign."""
    facts = synthetic.facts() if facts is None else facts
    show_status(Standing(facts, summarise(synthetic.records(), facts), None, None))
    return capsys.readouterr().out.splitlines()


def test_what_ended_replicas_is_told_in_full(capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    whole = {life.verdict for life in summarise(synthetic.records(), synthetic.facts()).survival}
    for width in ("200", "80"):
        monkeypatch.setenv("COLUMNS", width)
        text = "".join("".join(shown(capsys)).split())
        for verdict in whole - {None}:
            assert "".join(verdict.split()) in text


def test_a_generation_that_lived_and_was_not_the_end_says_why(capsys: Capture):
    rows = [line for line in shown(capsys) if line.split()[:1] in (["0"], ["1"], ["2"])]
    assert "audit" not in rows[0]
    assert "audit failed: upper limit 0.370 above 0.25" in rows[1]
    assert rows[2].rstrip().endswith("audit passed")


def test_warnings_come_before_the_state(capsys: Capture):
    facts = replace(synthetic.facts(), warnings=("generation 1: 0001.h5 is torn",))
    lines = shown(capsys, facts)
    assert lines[0] == "! generation 1: 0001.h5 is torn"
    assert "stable" in lines[1]
    assert not any("torn" in line for line in lines[1:])

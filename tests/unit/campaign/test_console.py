from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console as RichConsole

from sis_engine.bookkeeping.log import CampaignLog
from sis_engine.bookkeeping.outlook import Outlook
from sis_engine.campaign import console as console_module
from sis_engine.campaign.console import CampaignConsole, Facts


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(console_module, "time", made)
    return made


def shown(console: CampaignConsole) -> str:
    stream = StringIO()
    RichConsole(file=stream, width=100).print(console)
    return stream.getvalue()


def test_the_panel_names_every_figure(clock: Clock) -> None:
    console = CampaignConsole("demo", quiet=True)
    console.facts.stage_started = clock.now
    console.facts.evaluations = 41
    console.evaluated()
    console.lived(3.2)
    console.lived(1.0)
    console.expect(Outlook(((("label", 40.0), ("explore", 90.0), ("decide", 10.0)),), 7))
    console.event("generation 2 committed")
    report = console.stage(3, "explore")
    clock.now += 5.0
    report(5.0, 20.0, "MD r02", temperature_k=312.0)
    text = shown(console)
    assert "3, explore" in text
    assert "not known: it ends when the replicas live" in text
    assert "at most 7 generations (budget.generations): 0:16:20 if each takes as long" in text
    assert "25%" in text
    assert "left of this stage 0:00:15, of this generation 0:00:25" in text
    assert "312 K" in text
    assert "42" in text
    assert "3.20 ps" in text
    assert "generation 2 committed" in text


def test_without_a_pace_the_last_generation_tells_how_long_a_stage_takes(clock: Clock) -> None:
    facts = Facts(stage="label", stage_started=clock.now)
    facts.outlook = Outlook(((("label", 40.0), ("explore", 90.0)),))
    clock.now += 10.0
    assert facts.eta_s is None
    assert facts.generation_eta_s == pytest.approx(30.0 + 90.0)


def test_the_generation_in_hand_counts_in_what_the_budget_leaves(clock: Clock) -> None:
    console = CampaignConsole("demo", quiet=True)
    console.expect(Outlook(((("label", 5.0), ("explore", 10.0)),), generations_left=9))
    report = console.stage(1, "label")
    clock.now += 60.0
    report(50.0, 100.0)
    assert console.facts.generation_eta_s == pytest.approx(60.0 + 10.0)
    told = "0:19:30 if each takes as long as the longest (0:02:10)"
    assert any(told in line for line in console.facts.outlook_lines)


def test_before_the_first_generation_no_end_is_made_up(clock: Clock) -> None:
    console = CampaignConsole("demo", quiet=True)
    assert "to the end" not in shown(console)  # nothing has begun
    console.expect(Outlook())
    console.stage(0, "label")
    assert console.facts.generation_eta_s is None
    assert "left of this stage –, of this generation –" in shown(console)
    assert "no budget bounds it" in shown(console)


def test_what_a_budget_leaves_is_counted_down_within_a_generation(clock: Clock) -> None:
    console = CampaignConsole("demo", quiet=True)
    console.facts.evaluations = 900
    console.expect(Outlook(evaluations_left=100, wall_left_s=7200.0))
    clock.now += 3600.0
    console.evaluated()
    assert "no generation begins after 1:00:00 (budget.wall_hours)" in shown(console)
    assert "99 evaluations left (budget.evaluations)" in shown(console)


def test_the_start_up_of_a_program_is_not_taken_for_its_pace(clock: Clock) -> None:
    console = CampaignConsole("demo", quiet=True)
    report = console.stage(0, "train-1")
    clock.now += 10.0
    report(1.0, 1500.0)
    assert console.facts.eta_s is None
    report(30.0, 1500.0)
    assert console.facts.eta_s == pytest.approx(490.0)


def test_the_last_screen_says_how_it_ended(clock: Clock) -> None:
    console = CampaignConsole("demo", quiet=True)
    console.expect(Outlook())
    console.stage(1, "decide")(1.0, 2.0, "audit")
    console.ended("stable")
    assert "1, stable" in shown(console)
    assert "to the end" not in shown(console)
    assert "audit" not in shown(console)


def test_markup_in_messages_is_text(clock: Clock) -> None:
    console = CampaignConsole("demo", quiet=True)
    report = console.stage(0, "label")
    report(1.0, 2.0, "[red]plan[/red]")
    console.event("[bold]event[/bold]")
    assert "[red]plan[/red]" in shown(console)
    assert "[bold]event[/bold]" in shown(console)


def test_facts_are_kept_at_most_once_a_second(clock: Clock) -> None:
    kept: list[str] = []
    console = CampaignConsole("demo", keep=lambda f: kept.append(f.as_json()), quiet=True)
    report = console.stage(0, "label")
    for step in range(20):
        clock.now += 0.25
        report(step, 20.0)
    assert len(kept) == 1 + 5
    assert {"generation", "stage", "eta_s", "generation_eta_s", "temperature_k"} <= set(
        json.loads(kept[-1])
    )


def test_events_are_logged_for_people_and_programs(tmp_path: Path, clock: Clock) -> None:
    console = CampaignConsole("demo", log=CampaignLog(tmp_path), quiet=True)
    console.stage(1, "train-1")
    console.event("both refused", "refused", "warning")
    entries = [json.loads(x) for x in (tmp_path / "log" / "events.jsonl").read_text().splitlines()]
    assert [item["kind"] for item in entries] == ["stage", "refused"]
    assert entries[1]["level"] == "warning"
    assert entries[1]["generation"] == 1
    assert "both refused" in (tmp_path / "log" / "console.txt").read_text()


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    CampaignLog(tmp_path).write("event", "text")

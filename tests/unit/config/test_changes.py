from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from sis_engine.config.changes import When, changes_between, judge_key, text_for_now
from sis_engine.config.file import read_campaign_text
from sis_engine.plugins import Kind, available, load
from tests.integration.small_campaigns import smoke

FILE = Path("campaign.yaml")


def text_of(changes: Mapping[str, Any]) -> str:
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(smoke(changes), stream)
    return stream.getvalue()


def judged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, When]:
    before, after = (read_campaign_text(text_of(item), FILE) for item in (old, new))
    return {change.key: change.when for change in changes_between(before, after)}


LAMMPS = {"type": "lammps", "program": "/opt/lmp"}


def test_each_key_is_judged_on_its_own() -> None:
    new = {"budget.wall_hours": 2.0, "audit.min_frames": 99, "seed": 9, "labeler.threads": 2}
    assert judged({}, new) == {
        "budget.wall_hours": When.NOW,
        "audit.min_frames": When.NEXT_GENERATION,
        "seed": When.FORK,
        "labeler.threads": When.NOW,
    }


def test_the_program_of_another_explorer_waits_with_it() -> None:
    assert judged({}, {"explorer": LAMMPS}) == {
        "explorer.type": When.NEXT_GENERATION,
        "explorer.program": When.NEXT_GENERATION,
    }
    assert judged({"explorer": {"type": "lammps"}}, {"explorer": LAMMPS}) == {
        "explorer.program": When.NOW
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, {"budget": {"generations": 3}}),
        ({}, {"budget.evaluations_by_purpose": {"audit": 5}}),
        ({"budget.evaluations_by_purpose": {"audit": 5}}, {"budget.evaluations_by_purpose": {}}),
        ({}, {"budget": None}),
        ({"budget": None}, {"budget.wall_hours": 2.5}),
        ({}, {"labeler.threads": 4}),
        ({"labeler.threads": 4}, {}),
        ({"explorer": None}, {"explorer": LAMMPS}),
        ({"explorer": LAMMPS}, {"explorer": None}),
        ({"execution": {"cores": 3}}, {"pause_before": ["label", "train"]}),
    ],
)
def test_what_holds_now_is_the_old_campaign_with_the_safe_changes(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    later = {"training.steps": 77, "audit.min_frames": 99}
    old_text = f"# why these\n{text_of(old)}"
    before, wanted = (read_campaign_text(text, FILE) for text in (old_text, text_of(new)))
    edited = text_of({**new, **later})
    changes = changes_between(before, read_campaign_text(edited, FILE))
    now_text = text_for_now(before, old_text, edited, changes, FILE)
    assert read_campaign_text(now_text, FILE) == wanted
    assert now_text.startswith("# why these\n")


TIMEOUTS = [
    (kind, name, key)
    for kind in (Kind.LABELER, Kind.TRAINER, Kind.EXPLORER)
    for name in sorted(available(kind))
    for key in load(kind, name).Config.model_fields
    if key.endswith("timeout_s")
]


@pytest.mark.parametrize(("kind", "name", "key"), TIMEOUTS)
def test_every_timeout_of_a_shipped_part_may_be_raised_at_once(
    kind: Kind, name: str, key: str
) -> None:
    assert judge_key(f"{kind.value}.{key}") is When.NOW, name


@pytest.mark.parametrize(
    "key", ["labeler.ranks", "labeler.base.silent_timeout_s", "labeler.potential.silent_timeout_s"]
)
def test_how_a_labelers_program_is_run_may_change_at_once(key: str) -> None:
    assert judge_key(key) is When.NOW


@pytest.mark.parametrize("key", ["labeler.program", "labeler.method.cutoff_rydberg"])
def test_what_a_labeler_calculates_may_not_change(key: str) -> None:
    assert judge_key(key) is When.FORK

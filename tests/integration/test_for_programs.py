"""``--json``: one object on standard output and nothing else, from every command, come what may."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command_line import Said, sis
from tests.integration.small_campaigns import CLUSTER, SMOKE, write_campaign

Capture = pytest.CaptureFixture[str]


def told(said: Said) -> dict[str, Any]:
    """The one object that was printed; NaN and the like are no JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads(said.out, parse_constant=refuse)
    assert isinstance(found, dict)
    return found


LOOKING: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "status": ((), {"state", "generation", "survival", "now"}),
    "digest": ((), {"digest", "generations"}),
    "why": (("1",), {"title", "steps"}),
    "plan": ((), {"generation", "plans", "cores", "evaluations_left"}),
    "gc": (("--dry-run",), {"removed", "bytes", "paths"}),
}


@pytest.mark.parametrize("command", LOOKING)
def test_looking_at_a_campaign(command: str, finished: Path, capsys: Capture) -> None:
    further, keys = LOOKING[command]
    said = sis(capsys, command, finished, *further, "--json")
    assert said.code == 0, said
    assert keys <= set(told(said))


def test_the_event_log_is_part_of_the_status(finished: Path, capsys: Capture) -> None:
    events = told(sis(capsys, "status", finished, "--json", "--events"))["events"]
    assert {"time", "level", "kind", "text"} <= set(events[0])
    assert "committed" in {item["kind"] for item in events}


def test_a_report_names_its_two_files(finished: Path, tmp_path: Path, capsys: Capture) -> None:
    found = told(sis(capsys, "report", finished, "--out", tmp_path, "--json"))
    assert Path(found["page"]).is_file()
    assert json.loads(Path(found["numbers"]).read_text())


def test_an_export_and_what_is_imported_from_it(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    kit = told(sis(capsys, "export", finished, tmp_path / "kit", "--json"))
    assert (kit["format"], kit["audited"], kit["elements"]) == ("kit", True, ["Ar"])
    assert kit["model"] in kit["files"]
    assert set(kit["files"]) == {path.name for path in (tmp_path / "kit").iterdir()}
    data = tmp_path / "data.extxyz"
    found = told(sis(capsys, "export", finished, data, "--format", "extxyz", "--json"))
    assert found["frames"] == data.read_text().count("Properties=")
    assert found["path"] == str(data)
    made = told(sis(capsys, "import", data, tmp_path / "new", "--template", SMOKE, "--json"))
    assert Path(made["campaign"]).is_file()
    assert (made["data"], made["model"]) == (str(data), None)


def test_a_fork_names_its_changes(finished: Path, tmp_path: Path, capsys: Capture) -> None:
    change = ("--set", "audit.min_frames=31")
    found = told(sis(capsys, "fork", finished, tmp_path / "fork", "--at", "0", *change, "--json"))
    assert found["last_generation"] == 0
    assert "audit.min_frames: 30 → 31" in found["changes"]


def test_before_a_campaign(tmp_path: Path, capsys: Capture) -> None:
    chosen = ("--structure", CLUSTER, "--labeler", "fake", "--trainer", "fake")
    config = told(sis(capsys, "init", tmp_path / "new", *chosen, "--json"))["campaign"]
    assert told(sis(capsys, "validate", config, "--json"))["valid"] is True
    assert told(sis(capsys, "plan", config, "--json"))["generation"] == 0
    found = told(sis(capsys, "doctor", config, "--json"))
    assert found["ok"] is True
    assert {"name", "found", "version", "problem", "mend"} <= set(found["reports"][0])
    assert told(sis(capsys, "schema"))["properties"]


def test_a_run_tells_its_end_and_an_approval_goes_on(tmp_path: Path, capsys: Capture) -> None:
    config = write_campaign(
        tmp_path / "given", {"pause_before": ["train"], "budget.generations": 1}
    )
    said = sis(capsys, "run", config, tmp_path / "run", "--json")
    found = told(said)
    assert (said.code, found["exit_code"], found["state"]) == (3, 3, "paused")
    assert "waits for approval before train" in found["reason"]
    outlook = told(sis(capsys, "status", tmp_path / "run", "--json"))["outlook"]
    assert (outlook["eta_s"], outlook["generations_left"]) == (None, 1)
    assert outlook["longest_generation_s"] is None  # none is committed
    said = sis(capsys, "run", tmp_path / "run", "--approve", "--json")
    found = told(said)
    assert (said.code, found["state"]) == (4, "exhausted")
    assert Path(found["report"]).is_file()
    assert told(sis(capsys, "status", tmp_path / "run", "--json"))["outlook"] is None


# --------------------------------------------------------------------------- failures


def test_wrong_input_is_told_part_by_part(tmp_path: Path, capsys: Capture) -> None:
    config = write_campaign(tmp_path / "given", {"audit.min_framess": 3})
    for command in ("validate", "plan", "doctor", "run"):
        said = sis(capsys, command, config, "--json")
        assert said.code == 2
        error = told(said)["error"]
        assert error["kind"] == "ConfigurationError"
        assert error["exit_code"] == 2
        assert (error["file"], error["key"]) == (str(config), "audit.min_framess")
        assert "min_framess" in config.read_text().splitlines()[error["line"] - 1]
        assert error["hint"] == "did you mean 'min_frames'?"
        assert str(config) in said.err  # a person reads it too


@pytest.mark.parametrize(
    "command", ["status", "report", "digest", "gc", "why", "plan", "fork", "export", "import"]
)
def test_a_folder_without_a_campaign(command: str, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    further = {"why": ["0"], "fork": [out], "export": [out], "import": [out]}
    gone = tmp_path / "gone"
    said = sis(capsys, command, gone, *further.get(command, []), "--json")
    assert said.code == 2
    error = told(said)["error"]
    assert str(gone) in f"{error['message']} {error['file']}"


@pytest.mark.parametrize("arguments", [("status",), ("status", "a", "--jsn"), ("nothing", "a")])
def test_a_wrong_call(arguments: tuple[str, ...], capsys: Capture) -> None:
    said = sis(capsys, *arguments, "--json")
    assert said.code == 2
    assert told(said)["error"]["message"]
    assert told(said)["error"]["exit_code"] == 2

"""Every command: what it prints for people, what for programs, and its exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import ase.io
import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from sis_engine import __version__
from sis_engine.cli.json_schema import campaign_schema, comparison_schema
from sis_engine.comparison.plan import is_comparison
from sis_engine.plugins import Kind, available
from sis_engine.storage.ledger import Ledger
from sis_engine.testing.fakes import FakeLabeler
from tests.integration.command_line import sis
from tests.integration.small_campaigns import (
    CLUSTER,
    ROOT,
    SMOKE,
    digest_of,
    paid,
    records,
    run,
    write_campaign,
)

Capture = pytest.CaptureFixture[str]

CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))

COMMANDS = (
    *("doctor", "init", "validate", "plan", "schema", "run", "status", "report"),
    *("why", "export", "import", "fork", "gc", "digest"),
    *("label", "relabel"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: Capture) -> None:
    said = sis(capsys, command, "--help")
    assert said.code == 0
    assert "Usage: " in said.out
    assert len(said.out.splitlines()) > 5


def test_the_help_names_every_command_and_loads_nothing_heavy() -> None:
    program = (
        "import sys, sis_engine.cli.main as cli\n"
        "sys.argv = ['sis', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'ase', 'scipy', 'h5py', 'numpy', 'pydantic', 'deepmd', 'rich.live'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("arguments", [("--nonsense",), ("run",), ("run", "a", "b", "c"), ("ru",)])
def test_a_wrong_call_is_bad_input(arguments: tuple[str, ...], capsys: Capture) -> None:
    said = sis(capsys, *arguments)
    assert said.code == 2
    assert said.err


def test_an_unexpected_error_is_one_line_and_no_traceback(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sis_engine.cli import json_schema as schema

    def fail() -> None:
        raise ZeroDivisionError("one over nothing")

    monkeypatch.setattr(schema, "campaign_schema", fail)
    said = sis(capsys, "schema")
    assert said.code == 1
    assert "ZeroDivisionError: one over nothing" in said.err
    assert "Traceback" not in said.err


# --------------------------------------------------------------------------- looking


def test_status_as_json_has_what_the_issue_names(finished: Path, capsys: Capture) -> None:
    said = sis(capsys, "status", finished, "--json")
    assert said.code == 0
    found = json.loads(said.out)
    assert found["state"] == "stable"
    assert found["generation"] == len(records(finished)) - 1
    assert set(found) >= {
        *("state", "generation", "stage", "windows", "evaluations", "reference_ps", "md_ps"),
        *("acceleration_ratio", "acceleration_ratio_paper", "survival", "audit", "test", "cost"),
    }
    assert sum(found["evaluations"].values()) == paid(finished)
    assert {"time_ps", "censored", "verdict"} <= set(found["survival"][0])
    assert {
        *("force_rmse", "relative_force_rmse", "per_element", "energy_rmse_per_atom"),
        *("n_frames", "passed"),
    } <= set(found["audit"])
    assert found["test"] is None
    assert {"label", "train", "explore", "audit", "decide"} <= set(found["cost"])
    assert found["acceleration_ratio"] > 0.0


def test_labels_of_an_audit_are_no_time_of_deciding(finished: Path, capsys: Capture) -> None:
    cost = json.loads(sis(capsys, "status", finished, "--json").out)["cost"]
    own = [item.seconds for record in records(finished) for item in record.audits]
    with Ledger(finished, read_only=True) as ledger:
        stage = sum(row.seconds or 0.0 for row in ledger.stages() if row.stage == "decide")
    assert own
    assert all(own)
    assert cost["audit"] == pytest.approx(sum(own))
    assert cost["decide"] == pytest.approx(stage - sum(own))


def test_status_for_people_shows_state_lives_and_audit(finished: Path, capsys: Capture) -> None:
    said = sis(capsys, "status", finished)
    assert said.code == 0
    for word in ("smoke", "stable", "longest life", "audit passed", "temperature"):
        assert word in said.out


def test_the_logs_tell_what_the_terminal_told(finished: Path, capsys: Capture) -> None:
    text = (finished / "log" / "console.txt").read_text()
    entries = [
        json.loads(line) for line in (finished / "log" / "events.jsonl").read_text().splitlines()
    ]
    assert "generation 0 committed" in text
    assert {"stage", "committed", "ended"} <= {item["kind"] for item in entries}
    assert all({"time", "kind", "text"} <= set(item) for item in entries)
    assert "committed" in sis(capsys, "status", finished, "--events").out


@pytest.mark.parametrize(
    "command", ["status", "report", "digest", "gc", "why", "plan", "fork", "export"]
)
def test_a_folder_without_a_campaign_is_said_to_be_one(
    command: str, tmp_path: Path, capsys: Capture
) -> None:
    further = {"why": ["0"], "fork": [tmp_path / "out"], "export": [tmp_path / "out"]}
    place = tmp_path / "here"
    place.mkdir()
    said = sis(capsys, command, place, *further.get(command, []))
    assert said.code == 2, said
    assert str(place) in said.err
    assert not list(place.iterdir())
    assert not (tmp_path / "out").exists()


def test_the_digest_is_the_ledgers(finished: Path, capsys: Capture) -> None:
    assert sis(capsys, "digest", finished).out.strip() == digest_of(finished)
    assert json.loads(sis(capsys, "digest", finished, "--json").out)["digest"] == digest_of(
        finished
    )


def test_why_tells_where_a_generation_and_a_frame_came_from(
    finished: Path, capsys: Capture
) -> None:
    said = sis(capsys, "why", finished, "1")
    assert said.code == 0
    assert "asked for by generation 0" in said.out
    frame = records(finished)[1].outcomes[0].labelled[3]
    told = sis(capsys, "why", finished, frame.frame.key[:12]).out
    assert "paid for as segment in generation 1" in told
    assert "temperature" in told  # the catastrophe it answers
    as_json = json.loads(sis(capsys, "why", finished, frame.key[:12], "--json").out)
    assert as_json["steps"]
    said = sis(capsys, "why", finished, "nothing")
    assert said.code == 2
    assert "'nothing'" in said.err


def test_why_knows_every_frame_by_the_key_that_its_export_shows(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "frames.extxyz"
    assert sis(capsys, "export", finished, out, "--format", "extxyz").code == 0
    keys = [atoms.info["key"] for atoms in ase.io.read(out, index=":")]
    assert len(set(keys)) == len(keys)
    for key in (keys[0], keys[-1]):
        assert sis(capsys, "why", finished, key).out.startswith("cluster: 13 atoms")


def test_the_report_is_written_where_it_is_asked_for(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    said = sis(capsys, "report", finished, "--out", tmp_path / "out")
    assert said.code == 0
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert json.loads((tmp_path / "out" / "report.json").read_text())


# --------------------------------------------------------------------------- before a run


@pytest.fixture(scope="module")
def schemas() -> dict[bool, dict[str, Any]]:
    """Of a campaign file, and (``True``) of a comparison file."""
    return {False: campaign_schema(), True: comparison_schema()}


def _read(config: Path) -> Any:
    return YAML(typ="safe", pure=True).load(config.read_text())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: str(p.relative_to(ROOT / "configs")))
def test_the_shipped_configurations_fit_the_schema(
    config: Path, schemas: dict[bool, dict[str, Any]]
) -> None:
    faults = Draft202012Validator(schemas[is_comparison(config)]).iter_errors(_read(config))
    assert [f"{list(fault.path)}: {fault.message}" for fault in faults] == []


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ((), "arm"),
        (("arms", "random"), "samplers"),
        (("arms", "random", "sampler"), "labels_per_sytem"),
        (("changes", "explore"), "replica"),
        (("examiner",), "length_ps"),
    ],
)
def test_a_comparison_with_a_misspelt_key_does_not_fit_the_schema(
    place: tuple[str, ...], key: str, schemas: dict[bool, dict[str, Any]]
) -> None:
    given = _read(ROOT / "configs" / "compare-smoke.yaml")
    node = given
    for part in place:
        node = node[part]
    node[key] = 1
    assert not Draft202012Validator(schemas[True]).is_valid(given)


def test_a_campaign_is_no_comparison_by_the_schemas(schemas: dict[bool, dict[str, Any]]) -> None:
    for config, other in ((SMOKE, True), (ROOT / "configs" / "compare-smoke.yaml", False)):
        assert not Draft202012Validator(schemas[other]).is_valid(_read(config))


@pytest.mark.parametrize("options", [(), ("--comparison",)])
def test_the_schema_refers_only_to_what_it_defines(
    options: tuple[str, ...], capsys: Capture, schemas: dict[bool, dict[str, Any]]
) -> None:
    schema = json.loads(sis(capsys, "schema", *options).out)
    assert schema == schemas[bool(options)]
    head = "campaign_" if options else ""
    monitors = {f"{head}monitor_{name}" for name in available(Kind.MONITOR)}
    assert monitors <= set(schema["$defs"])

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*(references(item) for item in node.values()))
        if isinstance(node, list):
            return set().union(*(references(item) for item in node))
        return set()

    assert {ref.removeprefix("#/$defs/") for ref in references(schema)} <= set(schema["$defs"])


def test_validate_says_valid_and_notes_a_lone_temperature_window(
    tmp_path: Path, capsys: Capture
) -> None:
    config = write_campaign(tmp_path, {"monitors": [{"type": "temperature"}]})
    said = sis(capsys, "validate", config)
    assert said.code == 0
    assert "only one monitor" in said.out
    assert f"{config}: valid" in said.out
    assert json.loads(sis(capsys, "validate", config, "--json").out)["valid"] is True


def test_validate_notes_what_this_machine_and_the_budget_cannot_give(
    tmp_path: Path, capsys: Capture
) -> None:
    changes = {"execution.cores": 4096, "budget.evaluations": 10}
    notes = json.loads(sis(capsys, "validate", write_campaign(tmp_path, changes), "--json").out)[
        "notes"
    ]
    assert any(note.startswith("execution.cores is 4096; this process may use") for note in notes)
    assert any("needs at least 30 evaluations, 10 of budget" in note for note in notes)


def test_plan_quotes_the_first_and_the_next_round(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    found = json.loads(sis(capsys, "plan", SMOKE, "--json").out)
    assert found["plans"][0]["least"] == 30
    assert (found["times_estimated"], found["memory_measured"]) == (True, False)
    assert found["memory_mib"] > 10.0
    assert found["plans"][0]["seconds"] is not None  # of a trial label
    assert found["train_seconds"] is None
    config = write_campaign(tmp_path / "given", {"budget.generations": 1})
    run(tmp_path / "run", config)
    found = json.loads(sis(capsys, "plan", tmp_path / "run", "--json").out)
    assert found["generation"] == 1
    assert found["plans"][0]["purpose"] == "segment"
    assert found["plans"][0]["seconds"] is not None
    assert found["memory_mib"] > 10.0
    assert (found["times_estimated"], found["memory_measured"]) == (False, True)
    said = sis(capsys, "plan", tmp_path / "run")
    for word in ("evaluations", "cores", "memory", "disk", "training", "exploration"):
        assert word in said.out


def test_plan_says_what_it_estimates_and_what_it_cannot_know(
    tmp_path: Path, capsys: Capture
) -> None:
    config = write_campaign(tmp_path / "given", {"labeler.seconds_per_label": 0.5})
    said = sis(capsys, "plan", config)
    assert said.code == 0, said
    assert "15 s (estimate)" in said.out  # 30 labels
    assert "MiB (estimate: engine and labeler alone)" in said.out
    assert "unknown until the first has run" in said.out
    longer = write_campaign(tmp_path / "longer", {"explore.condition.duration_ps": 100.0})
    short, long = (json.loads(sis(capsys, "plan", c, "--json").out) for c in (config, longer))
    assert long["disk_mib"] > 10.0 * short["disk_mib"]


def test_plan_of_labels_that_are_dear_tries_none(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeLabeler, "quick", False)
    said = sis(capsys, "plan", write_campaign(tmp_path))
    assert "unknown until the first label" in said.out


def test_plan_refuses_what_validate_refuses(tmp_path: Path, capsys: Capture) -> None:
    windows = [{"lower_k": 400, "upper_k": 900}]
    config = write_campaign(tmp_path, {"monitors.0.windows": windows})
    said = sis(capsys, "plan", config)
    assert said.code == 2
    assert said.err == sis(capsys, "validate", config).err


def test_plan_of_an_ended_campaign_says_that_nothing_is_planned(
    finished: Path, capsys: Capture
) -> None:
    said = sis(capsys, "plan", finished)
    assert said.code == 0
    assert "nothing is planned, the campaign has ended" in said.out
    assert "evaluations" not in said.out
    found = json.loads(sis(capsys, "plan", finished, "--json").out)
    assert found["ended"] is True
    assert found["plans"] == []


def test_plan_of_a_fork_goes_by_the_times_of_the_generations_it_shares(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert sis(capsys, "fork", finished, tmp_path / "fork", "--at", "0").code == 0
    found = json.loads(sis(capsys, "plan", tmp_path / "fork", "--json").out)
    took = dict(records(finished)[0].stage_seconds)
    assert found["explore_seconds"] == took["explore"]
    assert found["train_seconds"] == took["train-1"]
    assert found["ended"] is False


@pytest.mark.parametrize("given", ["", "campaign.yaml"])
def test_a_campaigns_own_file_means_its_folder(given: str, copied: Path, capsys: Capture) -> None:
    """Its structure is the folder's copy, and its name is nobody else's folder."""
    moved = copied.rename(copied.parent / "elsewhere")
    with Ledger(moved) as ledger:  # as on another machine: the original file is not there
        ledger.set_meta("config_file", "/nowhere/campaign.yaml")
    campaign = moved / given
    for command in ("validate", "plan", "doctor"):
        said = sis(capsys, command, campaign)
        assert said.code == 0, said
    said = sis(capsys, "run", campaign, "--json")
    assert said.code == 0, said
    assert json.loads(said.out)["folder"] == str(moved)


def test_an_edit_in_a_campaigns_folder_is_validated_before_it_runs(
    copied: Path, capsys: Capture
) -> None:
    config = copied / "campaign.yaml"
    text = config.read_text()
    config.write_text(text.replace("generations: 10", "generations: 11"))
    said = sis(capsys, "validate", config)
    assert said.code == 0, said
    assert "budget.generations: 10 → 11 (now)" in said.out
    config.write_text(text.replace("seed: 3", "seed: 4"))
    for command in ("validate", "plan", "doctor"):
        said = sis(capsys, command, copied)
        assert said.code == 2, said
        assert "this campaign cannot change seed: 3 → 4" in said.err
        (line,) = [n for n, row in enumerate(text.splitlines(), 1) if row.startswith("seed:")]
        assert f"{config}:{line} seed:" in said.err


def test_a_folder_without_a_campaign_has_nothing_to_validate(
    tmp_path: Path, capsys: Capture
) -> None:
    for command in ("validate", "plan", "doctor"):
        said = sis(capsys, command, tmp_path)
        assert said.code == 2
        assert "is a folder without a campaign in it" in said.err


def test_init_writes_a_campaign_that_is_valid_and_plannable(
    tmp_path: Path, capsys: Capture
) -> None:
    written = tmp_path / "mine"
    said = sis(
        capsys,
        *("init", written, "--structure", CLUSTER, "--labeler", "fake", "--trainer", "fake"),
    )
    assert said.code == 0
    text = (written / "campaign.yaml").read_text()
    assert "unconverged_below_angstrom" in text  # the settings, as a comment
    assert "GFN2" not in text
    assert "type: ase" in text  # fake models do not run in LAMMPS
    assert sis(capsys, "validate", written / "campaign.yaml").code == 0
    assert sis(capsys, "plan", written / "campaign.yaml").code == 0
    again = sis(capsys, "init", written)
    assert again.code == 2
    assert "exists already" in again.err


def test_init_says_nothing_of_the_quickstarts_cluster_of_another_structure(
    tmp_path: Path, capsys: Capture
) -> None:
    bulk = ROOT / "configs" / "structures" / "lifsi-dol-bulk.extxyz"
    assert sis(capsys, "init", tmp_path / "mine", "--structure", bulk).code == 0
    text = (tmp_path / "mine" / "campaign.yaml").read_text()
    assert "C9H18F2LiNO10S2, periodic" in text
    assert "method: GFN1-xTB" in text
    assert "GFN2" not in text
    assert "21 atoms" not in text


def test_init_refuses_what_is_not_installed(tmp_path: Path, capsys: Capture) -> None:
    said = sis(capsys, "init", tmp_path / "x", "--labeler", "xtbb")
    assert said.code == 2
    assert "did you mean 'xtb'" in said.err
    assert not (tmp_path / "x").exists()


def test_a_model_that_does_not_run_in_lammps_is_refused_there(
    tmp_path: Path, capsys: Capture
) -> None:
    config = write_campaign(tmp_path, {"explorer": {"type": "lammps"}})
    said = sis(capsys, "validate", config)
    assert said.code == 2
    assert "ase" in said.err


# --------------------------------------------------------------------------- doctor


def test_doctor_reports_every_program(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    config = write_campaign(tmp_path)
    said = sis(capsys, "doctor", config)
    assert said.code == 0
    for word in ("sis-engine", "cores", "disk", "GPU", "fake labeler", "ase"):
        assert word in said.out


def test_the_version_is_that_of_the_package(capsys: Capture) -> None:
    said = sis(capsys, "--version")
    assert said.code == 0
    assert said.out == f"sis-engine {__version__}\n"


@pytest.mark.parametrize("damage", ["truncated", "another byte"])
def test_a_torn_generation_has_no_digest(damage: str, copied: Path, capsys: Capture) -> None:
    whole = sis(capsys, "digest", copied)
    assert whole.code == 0
    file = copied / "generations" / "0000.h5"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o644)
    file.write_bytes(bytes(content[: len(content) // 2] if damage == "truncated" else content))
    said = sis(capsys, "digest", copied)
    assert said.code == 1
    assert whole.out.strip() not in said.out
    assert "generation 0 is torn" in said.err
    assert str(file) in said.err
    assert "error" in json.loads(sis(capsys, "digest", copied, "--json").out)

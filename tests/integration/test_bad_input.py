"""Wrong input: the message names file, key or line, value and what is allowed; nothing starts."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command_line import Said, sis
from tests.integration.small_campaigns import ROOT, write_campaign

Capture = pytest.CaptureFixture[str]


def refused(capsys: Capture, config: Path, folder: Path) -> Said:
    """``sis run`` refuses with 2, names the file, shows no traceback, and creates nothing."""
    said = sis(capsys, "run", config, folder)
    assert said.code == 2, said
    assert str(config) in said.err
    assert "Traceback" not in said.err
    assert not folder.exists()
    checked = sis(capsys, "validate", config)
    assert checked.code == 2
    assert checked.err.splitlines()[0] == said.err.splitlines()[0]
    return said


CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "unknown key at the top": ({"budgett": {}}, ("budgett", "did you mean 'budget'")),
    "unknown nested key": (
        {"explore.condition.temprature_k": 3},
        ("explore.condition.temprature_k", "did you mean 'temperature_k'"),
    ),
    "unknown key of a plugin": ({"labeler.dept_ev": 1}, ("labeler.dept_ev", "'depth_ev'")),
    "unknown key of a monitor": (
        {"monitors.1.hard_factor": 1},
        ("monitors.1.hard_factor", "unknown key"),
    ),
    "a word for a number": (
        {"explore.condition.timestep_fs": "fast"},
        ("explore.condition.timestep_fs", "'fast'", "number"),
    ),
    "a unit in the value": (
        {"explore.condition.timestep_fs": "0.5 fs"},
        ("explore.condition.timestep_fs", "'0.5 fs'", "number"),
    ),
    "a list for a mapping": ({"training": [1]}, ("training", "[1]")),
    "a mapping for a list": ({"systems": {"a": 1}}, ("systems",)),
    "no systems": ({"systems": []}, ("systems",)),
    "no monitors": ({"monitors": []}, ("monitors",)),
    "a missing key": ({"training": {}}, ("training.steps_first", "required key is missing")),
    "a test trajectory that is all equilibration": (
        {"test": {"segment": {"length_fs": 90.0}}},
        ("test", "equilibration_fs (100)", "-10 fs"),
    ),
    "a timestep of zero": (
        {"explore.condition.timestep_fs": 0},
        ("explore.condition.timestep_fs", "greater than 0", "0"),
    ),
    "a negative timestep": (
        {"initial.segment.timestep_fs": -0.5},
        ("initial.segment.timestep_fs", "greater than 0", "-0.5"),
    ),
    "a timestep that is not a number": (
        {"explore.condition.timestep_fs": float("nan")},
        ("explore.condition.timestep_fs", "nan"),
    ),
    "an infinite length": (
        {"initial.segment.length_fs": float("inf")},
        ("initial.segment.length_fs", "inf"),
    ),
    "a plugin that is not installed": (
        {"labeler": {"type": "fakke"}},
        ("labeler.type", "'fakke'", "did you mean 'fake'", "xtb"),
    ),
    "a monitor that is not installed": (
        {"monitors.0.type": "temprature"},
        ("monitors.0.type", "did you mean 'temperature'"),
    ),
    "a plugin without a type": ({"labeler": {}}, ("labeler.type", "required key is missing")),
    "two systems of one name": (
        {
            "systems": [
                {"name": "a", "structure": "structures/fake-cluster.xyz"},
                {"name": "a", "structure": "structures/fake-cluster.xyz"},
            ]
        },
        ("systems", "two systems are called 'a'", "allowed: for each system a name of its own"),
    ),
    "a system name that is no file name": (
        {"systems.0.name": "../x"},
        ("systems.0.name", "'../x'"),
    ),
    "a frozen atom that does not exist": (
        {"systems.0.frozen": [13]},
        ("systems.0.frozen", "13", "0 … 12"),
    ),
    "a window without the target": (
        {"monitors.0.windows": [{"lower_k": 400, "upper_k": 900}]},
        ("monitors.0.windows", "300 K", "[400, 900] K", "lower_k < temperature_k < upper_k"),
    ),
    "a window upside down": (
        {"monitors.0.windows": [{"lower_k": 500, "upper_k": 200}]},
        ("monitors.0.windows.0", "500", "200"),
    ),
    "a fine window that healthy fluctuations leave": (
        {"monitors.0.windows": [{"lower_k": 200, "upper_k": 1100, "average_fs": 0}]},
        ("monitors.0.windows", "[200, 1100] K", "probability", "average_fs"),
    ),
    "a pressure without npt": (
        {"explore.condition.pressure_gpa": 0.1},
        ("explore.condition", "pressure_gpa"),
    ),
    "a system that cannot move": (
        {"systems.0.frozen": list(range(13))},
        ("systems.0.frozen", "all 13 atoms are frozen"),
    ),
    "a pressure without periodicity": (
        {"explore.condition.ensemble": "npt", "explore.condition.pressure_gpa": 0.1},
        ("explore.condition.ensemble", "'cluster' is periodic along (False, False, False)"),
    ),
    "MD shorter than a timestep": (
        {"explore.condition.duration_ps": 1e-5},
        ("explore.condition", "duration_ps 1e-05", "2 fs"),
    ),
    "an audit that none can pass": (
        {"sampler.audit.frames_per_system": 10},
        ("sampler.audit.frames_per_system", "10 frames", "30 have to be right", "30 or more"),
    ),
    "MD too short for an audit": (
        {"explore.condition.duration_ps": 0.4, "sampler.audit": {"burn_in_ps": 0.25}},
        ("explore.condition.duration_ps", "2 frames each", "30 have to be right", "more replicas"),
    ),
    "a learning rate whose floor is above it": (
        {"training.lr_floor": 0.5},
        ("training", "lr_floor 0.5 is above start_lr 0.001"),
    ),
    "a missing structure": (
        {"systems.0.structure": "nowhere.xyz"},
        ("systems.0.structure", "nowhere.xyz", "does not exist"),
    ),
    "data that do not exist": ({"initial.data": ["gone"]}, ("initial.data.0", "'gone'")),
    "data of no known format": (
        {"initial.data": ["campaign.yaml"]},
        ("initial.data.0", "'campaign.yaml' cannot be imported", ".yaml", "deepmd/npy"),
    ),
    "data without labels": (
        {"initial.data": ["structures/fake-cluster.xyz"]},
        ("initial.data.0", "frame 0 has no energy and no forces"),
    ),
    "a model that does not exist": ({"initial.model": "gone.pt"}, ("initial.model", "'gone.pt'")),
    "an exact campaign with warm starts": (
        {"labeler": {"type": "xtb", "warm_start": True}},
        ("labeler.warm_start", "exact"),
    ),
    "an unknown budget purpose": (
        {"budget.evaluations_by_purpose": {"audits": 5}},
        ("budget.evaluations_by_purpose.audits", "'audit'"),
    ),
    "a newer format": ({"format": 2}, ("format", "2", "upgrade")),
    "a first segment of two steps": (
        {"initial.segment.length_fs": 4.0},
        ("initial.segment.length_fs", "4 fs in steps of 2 fs", "6 or more"),
    ),
    "a first segment of its own that is too short": (
        {"initial.lengths_fs": {"cluster": 1.0}},
        ("initial.lengths_fs.cluster", "too few to learn cluster from"),
    ),
    "a label bank in a folder that is not there": (
        {"label_bank": "../no/such/bank"},
        ("label_bank", "no/such/bank' cannot be used", "there is no folder", "mkdir -p"),
    ),
    "a label bank where nothing can be written": (
        {"label_bank": "/proc/bank"},
        ("label_bank", "'/proc/bank' cannot be used", "nothing can be written to /proc"),
    ),
    "a label bank that is a file": (
        {"label_bank": "campaign.yaml"},
        ("label_bank", "campaign.yaml' cannot be used: it is a file"),
    ),
    "an unknown stage to pause before": (
        {"pause_before": ["commit"]},
        ("pause_before.0", "'commit'", "'label'"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_campaign_is_refused_by_key_line_and_value(
    case: str, tmp_path: Path, capsys: Capture
) -> None:
    changes, fragments = CASES[case]
    config = write_campaign(tmp_path / "given", changes)
    said = refused(capsys, config, tmp_path / "run")
    for fragment in fragments:
        assert fragment in said.err
    place = said.err.split()[1]
    assert place.removeprefix(f"{config}:").rstrip(":").isdigit(), said.err


def test_the_line_is_that_of_the_wrong_key(tmp_path: Path, capsys: Capture) -> None:
    config = write_campaign(tmp_path / "given", {"monitors.2.nonsense": 1})
    said = refused(capsys, config, tmp_path / "run")
    lines = config.read_text().splitlines()
    (line,) = [n for n, text in enumerate(lines, 1) if "nonsense" in text]
    assert f"{config}:{line} monitors.2.nonsense" in said.err


STRUCTURES = {
    "no atoms": (b"0\n\n", "no atoms in it\n  allowed: one atom or more"),
    "overlapping atoms": (
        b"2\n\nAr 0 0 0\nAr 0 0 0.1\n",
        "atoms 0 (Ar) and 1 (Ar) overlap: 0.100 Å apart, and 1.060 Å",
    ),
    "atoms in one place": (b"2\n\nAr 0 0 0\nAr 0 0 0\n", "overlap"),
    "half a file": (b"13\n\nAr 0 0 0\n", "cannot be read"),
    "not a structure": (b"\x00\x01\xff" * 50, "cannot be read"),
    "an empty file": (b"", "cannot be read"),
    "a position that is not a number": (
        b"2\n\nAr 0 0 0\nAr 0 0 nan\n",
        "not finite\n  allowed: one atom or more, finite",
    ),
    "an element that does not exist": (b"2\n\nAr 0 0 0\nQq 0 0 3\n", "there is no element 'Qq'"),
}


@pytest.mark.parametrize("case", STRUCTURES)
def test_a_wrong_structure_is_refused_by_name(case: str, tmp_path: Path, capsys: Capture) -> None:
    content, fragment = STRUCTURES[case]
    config = write_campaign(tmp_path / "given", {"systems.0.structure": "structures/x.xyz"})
    structure = config.parent / "structures" / "x.xyz"
    structure.write_bytes(content)
    said = refused(capsys, config, tmp_path / "run")
    assert str(structure) in said.err
    assert "systems.0.structure" in said.err
    assert fragment in said.err


def test_a_structure_that_is_a_folder_is_refused(tmp_path: Path, capsys: Capture) -> None:
    config = write_campaign(tmp_path / "given", {"systems.0.structure": "structures"})
    said = refused(capsys, config, tmp_path / "run")
    assert "systems.0.structure" in said.err
    assert "is a folder" in said.err


FILES = {
    "not YAML": (b"name: [1, 2\nseed: 3\n", "not valid YAML"),
    "a tab": (b"name: a\n\tseed: 1\n", "not valid YAML"),
    "a doubled key": (b"name: a\nseed: 1\nname: b\n", "name"),
    "an empty file": (b"", "expected keys and values"),
    "only a comment": (b"# nothing\n", "expected keys and values"),
    "a list": (b"- a\n- b\n", "expected keys and values"),
    "a binary file": (bytes(range(256)), "cannot be read as text"),
    "a null byte": (b"name: a\x00b\n", "not valid YAML"),
    "an object": (b"name: !!python/object/apply:os.system ['true']\n", ""),
    "an anchor to itself": (b"name: &a [*a]\nseed: 1\n", ""),
    "two documents": (b"name: a\n---\nname: b\n", ""),
    "a merge of nothing": (b"<<: 3\nname: a\n", ""),
    "a key that is a list": (b"? [a, b]\n: 1\n", ""),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_campaign_is_refused(case: str, tmp_path: Path, capsys: Capture) -> None:
    content, fragment = FILES[case]
    config = tmp_path / "campaign.yaml"
    config.write_bytes(content)
    assert fragment in refused(capsys, config, tmp_path / "run").err


@pytest.mark.parametrize("command", ["run", "validate", "plan", "doctor"])
def test_a_comparison_is_sent_to_its_own_command(
    command: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = sis(capsys, command, ROOT / "configs" / "compare-teacher.yaml")
    assert said.code == 2
    assert "arms: this is a file for `sis compare`, not a campaign" in said.err
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_refused_with_its_neighbour(tmp_path: Path, capsys: Capture) -> None:
    config = write_campaign(tmp_path)
    said = sis(capsys, "run", tmp_path / "campain.yaml", tmp_path / "run")
    assert said.code == 2
    assert f"did you mean {config}" in said.err
    assert not (tmp_path / "run").exists()


def test_a_folder_without_a_campaign_is_refused(tmp_path: Path, capsys: Capture) -> None:
    said = sis(capsys, "run", tmp_path)
    assert said.code == 2
    assert "folder without a campaign" in said.err
    assert "sis init" in said.err


def test_a_file_where_the_campaign_folder_should_be_is_refused(
    tmp_path: Path, capsys: Capture
) -> None:
    config = write_campaign(tmp_path / "given")
    (tmp_path / "run").write_text("in the way")
    said = sis(capsys, "run", config, tmp_path / "run")
    assert said.code == 2, said
    assert str(tmp_path / "run") in said.err
    assert (tmp_path / "run").read_text() == "in the way"


SMALL = {"monitors": [{"type": "blow_up"}, {"type": "geometry"}]}
"""Monitors for three atoms, whose temperature is left to itself."""
WATER = b"3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n"


@pytest.mark.parametrize("key", ["explore.condition", "initial.segment", "sampler.segment"])
def test_a_timestep_that_hydrogen_does_not_bear_is_refused(
    key: str, tmp_path: Path, capsys: Capture
) -> None:
    config = write_campaign(tmp_path / "given", {f"{key}.timestep_fs": 6.0} | SMALL)
    (config.parent / "structures" / "fake-cluster.xyz").write_bytes(WATER)
    said = refused(capsys, config, tmp_path / "run")
    assert f"{key}.timestep_fs: 6 fs is too long for hydrogen" in said.err
    assert "5 or less with H" in said.err


def test_a_timestep_that_is_long_for_hydrogen_is_said(tmp_path: Path, capsys: Capture) -> None:
    config = write_campaign(tmp_path / "given", SMALL)
    (config.parent / "structures" / "fake-cluster.xyz").write_bytes(WATER)
    said = sis(capsys, "validate", config)
    assert said.code == 0, said
    assert "note: explore.condition.timestep_fs is 2 fs: bonds to hydrogen" in said.out


def test_a_sel_below_the_neighbours_of_the_structure_is_refused(
    tmp_path: Path, capsys: Capture
) -> None:
    trainer = {"type": "deepmd", "sel": 5, "cutoff_angstrom": 6.0}
    config = write_campaign(tmp_path / "given", {"trainer": trainer})
    said = refused(capsys, config, tmp_path / "run")
    assert "trainer.sel: sel [5] is below the neighbours in the start structures" in said.err
    assert "[12]" in said.err


# --------------------------------------------------------------------------- programs


def with_parts(tmp_path: Path, changes: Mapping[str, Any]) -> Path:
    return write_campaign(tmp_path / "given", changes)


LENNARD_JONES = {"type": "lammps", "pair_style": "lj/cut 8.0", "pair_coeff": ["* * 0.01 3.4"]}


def test_a_labeler_program_that_is_absent_is_named_with_how_to_install_it(
    tmp_path: Path, capsys: Capture
) -> None:
    teacher = LENNARD_JONES | {"program": "/nonexistent/lmp"}
    config = with_parts(tmp_path, {"labeler": {"type": "teacher", "potential": teacher}})
    said = refused(capsys, config, tmp_path / "run")
    assert "/nonexistent/lmp" in said.err
    assert "labeler" in said.err
    assert "→" in said.err


def test_a_program_that_is_something_else_is_refused(tmp_path: Path, capsys: Capture) -> None:
    program = tmp_path / "lmp"
    program.write_text("#!/bin/sh\necho 'I am not LAMMPS'\n")
    program.chmod(0o755)
    teacher = LENNARD_JONES | {"program": str(program)}
    config = with_parts(tmp_path, {"labeler": {"type": "teacher", "potential": teacher}})
    said = refused(capsys, config, tmp_path / "run")
    assert str(program) in said.err


@pytest.mark.parametrize(
    ("says", "fragment"),
    [
        ("I am not LAMMPS", "does not say that it is LAMMPS"),
        ("Large-scale Atomic/Molecular Massively Parallel Simulator - 1 Jan 2020 halt rdf", "csvr"),
    ],
)
def test_an_explorer_that_is_no_suitable_lammps_is_refused(
    says: str, fragment: str, tmp_path: Path, capsys: Capture
) -> None:
    program = tmp_path / "lmp"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    explorer = {"type": "lammps", "program": str(program)}
    config = with_parts(tmp_path, {"trainer": {"type": "deepmd"}, "explorer": explorer})
    said = refused(capsys, config, tmp_path / "run")
    assert "explorer.program" in said.err
    assert str(program) in said.err
    assert fragment in said.err


def test_a_labeler_of_a_wrong_version_is_refused(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from labelers.xtb import labeler

    monkeypatch.setattr(labeler, "_tblite_version", lambda: "0.1.0")
    config = with_parts(tmp_path, {"labeler": {"type": "xtb"}})
    said = refused(capsys, config, tmp_path / "run")
    assert "0.1.0" in said.err
    assert "tblite" in said.err


def test_an_element_that_the_labeler_cannot_do_is_named(tmp_path: Path, capsys: Capture) -> None:
    config = with_parts(
        tmp_path, {"labeler": {"type": "xtb"}, "systems.0.structure": "structures/x.xyz"}
    )
    (config.parent / "structures" / "x.xyz").write_text("2\n\nU 0 0 0\nU 0 0 3\n")
    said = refused(capsys, config, tmp_path / "run")
    assert " systems.0: GFN2-xTB has no parameters for U" in said.err


# --------------------------------------------------------------------------- newer versions


def test_a_campaign_folder_of_a_newer_ledger_is_refused(copied: Path, capsys: Capture) -> None:
    with sqlite3.connect(copied / "ledger.sqlite") as ledger:
        ledger.execute("PRAGMA user_version=99")
    ledger.close()
    for command in ("run", "status", "report"):
        said = sis(capsys, command, copied)
        assert said.code == 2, said
        assert "99" in said.err
        assert "upgrade" in said.err


def test_a_campaign_file_of_a_newer_format_is_refused_on_resume(
    copied: Path, capsys: Capture
) -> None:
    config = copied / "campaign.yaml"
    config.write_text(config.read_text() + "format: 7\n")
    said = sis(capsys, "run", copied)
    assert said.code == 2
    assert f"{config}:" in said.err
    assert "format" in said.err


def test_a_generation_file_of_a_newer_format_is_refused(
    copied: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sis_engine.storage import generation_file

    monkeypatch.setattr(generation_file, "FORMAT_VERSION", 0)
    said = sis(capsys, "run", copied)
    assert said.code == 2, said
    assert "upgrade" in said.err

"""``sis relabel``: a data set at another level of theory, its past kept, the difference told."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import ase.io
import numpy as np
import pytest

from sis_engine.commands.relabelling import campaign_frames
from sis_engine.records import Purpose
from sis_engine.storage.exchange import read_frames
from tests.integration.command_line import sis
from tests.integration.small_campaigns import records
from tests.integration.test_label_command import Capture, energy, labelled, structures

DEEPER = ("--with", "fake", "--set", "depth_ev=0.6")
"""Twice the depth: every energy and force is twice the old one."""


def relabelled(capsys: Capture, source: Path, out: Path, *more: str | Path) -> dict:
    said = sis(capsys, "relabel", source, *DEEPER, "--out", out, "--json", *more)
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_a_campaign_moves_with_its_splits_origins_and_times(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    found = relabelled(capsys, finished, tmp_path / "new.extxyz")
    parts = [part for record in records(finished) for part in record.parts]
    n_test = sum(len(o.labelled) for r in records(finished) for o in r.test_outcomes)
    expected = Counter({"test": n_test} if n_test else {})
    for part in parts:
        expected[part.split.value] += part.frames.n_frames
    frames = ase.io.read(tmp_path / "new.extxyz", index=":")
    assert Counter(a.info["split"] for a in frames) == expected
    assert found["labelled"] == len(frames) == sum(expected.values())
    known = {g.frame.key: g for g in campaign_frames(finished)}
    assert {a.info["purpose"] for a in frames} <= {p.value for p in Purpose}
    times = {g.history.time_fs for g in known.values()}
    assert {a.info.get("time_fs") for a in frames} <= times
    for atoms in frames[::20]:
        assert atoms.get_potential_energy() == pytest.approx(2.0 * energy(atoms), rel=1e-9)
        assert atoms.info["previous_method"] == "morse (fake 1)"
        assert atoms.info["previous_level"] != atoms.info["level"]


def test_the_difference_is_told_in_numbers_and_drawn_on_one_page(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    found = relabelled(capsys, finished, tmp_path / "new.extxyz", "--max", "40")
    shift = found["difference"]
    assert shift["n_frames"] == 40
    # twice as deep: the difference of the forces is as large as the old forces
    assert shift["force_relative"] == pytest.approx(1.0, abs=1e-6)
    assert shift["force_correlation"] == pytest.approx(1.0, abs=1e-9)
    assert shift["energy_mean"] < -0.1
    assert shift["energy_rmse_after_offsets"] < 0.2 * shift["energy_rmse"]
    page = Path(found["page"]).read_text()
    assert "<svg" in page
    assert "morse (fake 1)" in page
    told = json.loads((tmp_path / "new.provenance.json").read_text())
    assert told["difference"] == shift
    said = sis(
        capsys, "relabel", finished, *DEEPER, "--out", tmp_path / "new.extxyz", "--max", "40"
    )
    assert said.code == 0
    assert "force RMSE over RMS force" in said.out
    assert "1.000" in said.out


def test_deepmd_output_keeps_the_splits_apart(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    relabelled(capsys, finished, tmp_path / "set")
    folders = {p.name for p in (tmp_path / "set").iterdir() if p.is_dir()}
    assert {"training", "validation"} <= folders
    n = sum(block.n_frames for block in read_frames(tmp_path / "set" / "validation"))
    parts = [part for record in records(finished) for part in record.parts]
    assert n == sum(p.frames.n_frames for p in parts if p.split.value == "validation")


def test_frames_can_be_chosen_by_what_they_were_labelled_for(
    finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    relabelled(capsys, finished, tmp_path / "a.extxyz", "--purpose", "audit")
    frames = ase.io.read(tmp_path / "a.extxyz", index=":")
    assert {a.info["purpose"] for a in frames} == {"audit"}
    audits = [a for r in records(finished) for audit in r.audits for a in audit.outcomes]
    assert len(frames) == len({i.frame.key for o in audits for i in o.labelled})


def test_data_of_other_programs_moves_too(tmp_path: Path, capsys: Capture) -> None:
    file = structures(tmp_path / "in.extxyz", 8)
    labelled(capsys, file, tmp_path / "old", "--format", "deepmd")
    found = relabelled(capsys, tmp_path / "old", tmp_path / "new.h5")
    (block,) = read_frames(tmp_path / "new.h5")
    given = ase.io.read(file, index=":")
    np.testing.assert_allclose(block.energies, [2 * energy(atoms) for atoms in given], atol=1e-9)
    assert found["difference"]["force_relative"] == pytest.approx(1.0)


def test_what_sis_label_wrote_is_known_again(tmp_path: Path, capsys: Capture) -> None:
    file = structures(tmp_path / "in.extxyz", 8)
    labelled(capsys, file, tmp_path / "old.extxyz")
    same = sis(
        capsys, "relabel", tmp_path / "old.extxyz", "--with", "fake", "--out", tmp_path / "b.xyz"
    )
    assert same.code == 2
    assert "8 of 8 structures are at this level of theory already" in same.err
    assert not (tmp_path / "b.xyz.work").exists()
    relabelled(capsys, tmp_path / "old.extxyz", tmp_path / "new.extxyz", "--every", "2")
    found = ase.io.read(tmp_path / "new.extxyz", index=":")
    assert [a.info["previous_method"] for a in found] == ["morse (fake 1)"] * 4


def test_a_dry_run_is_a_quote(finished: Path, tmp_path: Path, capsys: Capture) -> None:
    said = sis(
        capsys, "relabel", finished, *DEEPER, "--out", tmp_path / "o.xyz", "--dry-run", "--json"
    )
    found = json.loads(said.out)
    assert found["new"] == found["structures"] > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("IN", *DEEPER), "no energy and forces to compare with"),
        (("CAMPAIGN", *DEEPER, "--purpose", "audits"), "did you mean 'audit'?"),
        (("CAMPAIGN", *DEEPER, "--purpose", "command"), "no frame of"),
        (("CAMPAIGN", "--with", "fake"), "at this level of theory already"),
        (("nowhere", *DEEPER), "no such file or folder"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(
    arguments, told, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    there = {"IN": structures(tmp_path / "in.extxyz"), "CAMPAIGN": finished}
    given = [str(there.get(item, item)) for item in arguments]
    said = sis(capsys, "relabel", *given, "--out", tmp_path / "o.extxyz")
    assert said.code == 2, said
    assert told in said.err
    assert [p.name for p in tmp_path.iterdir()] == ["in.extxyz"]

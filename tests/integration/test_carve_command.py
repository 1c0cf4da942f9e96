"""``sis carve``: clusters out of periodic frames, as input of ``sis label``."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from tests.integration.command_line import sis
from tests.integration.small_campaigns import ROOT

ELECTROLYTE = ROOT / "configs" / "structures" / "lifsi-2dol-bulk.extxyz"
SALT = ("--charge", "Li=1", "--charge", "S2F2O4N=-1")


def test_clusters_know_where_they_come_from_and_can_be_labelled(tmp_path, capsys):
    out = tmp_path / "clusters.extxyz"
    asked = (ELECTROLYTE, out, "--around", "Li", "--radius", "2.8", *SALT, "--json")
    said = sis(capsys, "carve", *asked)
    assert said.code == 0, said.err
    found = json.loads(said.out)
    (atoms,) = ase.io.read(out, index=":")
    assert (found["clusters"], found["frames"]) == (1, 1)
    assert not atoms.pbc.any()
    source = ase.io.read(ELECTROLYTE)
    assert [source.symbols[k] for k in atoms.info["carved_atoms"]] == list(atoms.symbols)
    assert atoms.info["carved_from"] == ELECTROLYTE.name
    assert source.symbols[atoms.info["carved_centre"]] == "Li"
    ions = {symbol: list(atoms.symbols).count(symbol) for symbol in ("Li", "N")}
    assert atoms.info["charge"] == ions["Li"] - ions["N"]
    assert "F2NO4S2" in atoms.info["molecules"]
    past = json.loads((tmp_path / "clusters.provenance.json").read_text())
    assert past["charges"] == {"Li": 1, "F2NO4S2": -1}
    fake = ("--with", "fake", "--set", "unconverged_below_angstrom=0.1")
    said = sis(capsys, "label", out, *fake, "--dry-run", "--json")
    assert json.loads(said.out)["new"] == 1


def test_centres_and_frames_can_be_thinned_out(tmp_path, capsys):
    frames = []
    for shift in range(4):
        waters = molecule("H2O", cell=[6.0] * 3, pbc=True) * (2, 1, 1)
        waters.positions += shift
        waters.wrap()
        frames.append(waters)
    ase.io.write(tmp_path / "md.extxyz", frames, format="extxyz")
    out = tmp_path / "c.extxyz"
    asked = ("carve", tmp_path / "md.extxyz", out, "--around", "O", "--radius", "1.5", "--json")
    assert json.loads(sis(capsys, *asked).out)["clusters"] == 8
    assert json.loads(sis(capsys, *asked, "--per-frame", "1", "--every", "2").out)["clusters"] == 2
    assert [len(atoms) for atoms in ase.io.read(out, index=":")] == [3, 3]
    assert json.loads(sis(capsys, *asked, "--max", "3").out)["frames"] == 3
    lengths = [atoms.get_distance(0, 1) for atoms in ase.io.read(out, index=":")]
    assert np.ptp(lengths) < 1e-9


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--around", "C"), "has no end"),
        (("--around", "Xx"), "no element 'Xx'"),
        (("--around", "H"), "no atom of these elements"),
        (("--atom", "99"), "has no atom 99"),
        ((), "around which atoms?"),
        (("--around", "C", "--charge", "Li"), "not a formula and its charge"),
    ],
)
def test_what_cannot_be_carved_is_said_with_exit_code_2(arguments, told, tmp_path, capsys):
    diamond = tmp_path / "diamond.extxyz"
    ase.io.write(diamond, bulk("C", "diamond", a=3.57, cubic=True), format="extxyz")
    out: Path = tmp_path / "c.extxyz"
    said = sis(capsys, "carve", diamond, out, *arguments)
    assert said.code == 2
    assert told in said.err
    assert not out.exists()

"""``sis label``: structures of any file in, labels with their provenance out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ase.io
import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from sis_engine.records import Frame
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.exchange import read_frames
from sis_engine.testing.morse import Morse
from tests.integration.command_line import Said, sis
from tests.integration.small_campaigns import ROOT, SMOKE

Capture = pytest.CaptureFixture[str]


def cluster(n: int, *, seed: int = 0, symbol: str = "Ar") -> Atoms:
    """Atoms on a cubic grid, shaken."""
    grid = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(3)])[:n]
    shaken = 2.7 * grid + 0.1 * np.random.default_rng(seed).normal(size=(n, 3))
    return Atoms(f"{symbol}{n}", shaken)


def structures(path: Path, n: int = 6) -> Path:
    ase.io.write(path, [cluster(4, seed=k) for k in range(n)], format="extxyz")
    return path


def energy(atoms: Atoms) -> float:
    periodic = bool(atoms.pbc.any())
    cell = atoms.cell.array if periodic else None
    frame = Frame(tuple(atoms.get_chemical_symbols()), atoms.positions, cell, tuple(atoms.pbc))
    return Morse().evaluate(frame)[0]


def label(capsys: Capture, file: Path, out: Path, *more: str | Path) -> Said:
    return sis(capsys, "label", file, "--with", "fake", "--out", out, *more)


def labelled(capsys: Capture, file: Path, out: Path, *more: str | Path) -> dict[str, Any]:
    said = label(capsys, file, out, "--json", *more)
    assert said.code == 0, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found


# --------------------------------------------------------------------------- in


def test_every_structure_gets_its_label_in_the_order_of_the_file(tmp_path, capsys) -> None:
    given = [cluster(4, seed=1), cluster(5, seed=2), cluster(4, seed=3), cluster(8, seed=4)]
    ase.io.write(tmp_path / "in.extxyz", given)
    given = ase.io.read(tmp_path / "in.extxyz", index=":")  # as the file has them
    out = tmp_path / "out.extxyz"
    said = label(capsys, tmp_path / "in.extxyz", out)
    assert said.code == 0, said.err
    assert "4 of 4 structures labelled" in said.out
    assert "structures: 4 (3 by composition); labels known: 0, to be made: 4" in said.err
    found = ase.io.read(out, index=":")
    for number, (one, atoms) in enumerate(zip(given, found, strict=True)):
        assert atoms.get_potential_energy() == pytest.approx(energy(one), abs=1e-12)
        np.testing.assert_array_equal(atoms.positions, one.positions)
        assert atoms.info["source_index"] == number
        assert atoms.info["source"] == "in.extxyz"
        assert atoms.info["method"] == "morse (fake 1)"
        assert len(atoms.info["level"]) == 64
    assert [a.info["system"] for a in found] == ["Ar4", "Ar5", "Ar4", "Ar8"]


def _cif(path: Path) -> Path:
    ase.io.write(path / "a.cif", bulk("Ar", "fcc", a=3.9, cubic=True))
    return path / "a.cif"


def _poscar(path: Path) -> Path:
    ase.io.write(path / "POSCAR", bulk("Ar", "fcc", a=3.9, cubic=True))
    return path / "POSCAR"


def _deepmd(path: Path) -> Path:
    """Without labels, as dpdata writes it."""
    import dpdata

    atoms = bulk("Ar", "fcc", a=3.9, cubic=True)
    dpdata.System(atoms, fmt="ase/structure").to("deepmd/npy", str(path / "set"))
    return path / "set"


def _h5md(path: Path) -> Path:
    """Positions only, as an MD code writes them."""
    atoms = bulk("Ar", "fcc", a=3.9, cubic=True)
    with h5py.File(path / "md.h5", "w") as store:
        group = store.create_group("particles/all")
        group["species"] = atoms.numbers
        group["position/value"] = atoms.positions[None]
        group["box/edges"] = np.diag(atoms.cell.array)
        group["box"].attrs["boundary"] = ["periodic"] * 3
    return path / "md.h5"


@pytest.mark.parametrize("make", [_cif, _poscar, _deepmd, _h5md])
def test_structures_of_any_format_are_read(make, tmp_path, capsys) -> None:
    labelled(capsys, make(tmp_path), tmp_path / "out.extxyz")
    found = ase.io.read(tmp_path / "out.extxyz")
    expected = bulk("Ar", "fcc", a=3.9, cubic=True)
    assert found.pbc.all()
    np.testing.assert_allclose(found.cell.array, expected.cell.array, atol=1e-6)
    assert found.get_potential_energy() == pytest.approx(energy(expected), abs=1e-4)
    # stress = -virial / volume, as the Morse virial says
    frame = Frame(("Ar",) * 4, expected.positions, expected.cell.array, (True,) * 3)
    stress = -Morse().evaluate(frame)[2] / expected.get_volume()
    np.testing.assert_allclose(found.get_stress(voigt=False), stress, atol=1e-5)


def test_a_format_that_only_dpdata_knows_can_be_named(tmp_path, capsys) -> None:
    import dpdata

    atoms = bulk("Ar", "fcc", a=3.9, cubic=True)
    dpdata.System(atoms, fmt="ase/structure").to("deepmd/raw", str(tmp_path / "raw"))
    found = labelled(
        capsys, tmp_path / "raw", tmp_path / "o.extxyz", "--input-format", "deepmd/raw"
    )
    assert found["labelled"] == 1


def test_charge_and_multiplicity_come_from_the_option_else_from_the_file(tmp_path, capsys) -> None:
    given = [cluster(4, seed=k) for k in range(3)]
    given[1].info["charge"] = 1
    given[2].info.update(charge=-1, multiplicity=3)
    ase.io.write(tmp_path / "in.extxyz", given)
    labelled(capsys, tmp_path / "in.extxyz", tmp_path / "a.extxyz")
    found = ase.io.read(tmp_path / "a.extxyz", index=":")
    assert [(a.info["charge"], a.info["multiplicity"]) for a in found] == [(0, 1), (1, 1), (-1, 3)]
    assert len({a.info["level"] for a in found}) == 3
    labelled(capsys, tmp_path / "in.extxyz", tmp_path / "b.extxyz", "--charge", "2")
    found = ase.io.read(tmp_path / "b.extxyz", index=":")
    assert {a.info["charge"] for a in found} == {2}


def test_some_of_the_structures_can_be_chosen(tmp_path, capsys) -> None:
    file = structures(tmp_path / "in.extxyz", 12)
    labelled(capsys, file, tmp_path / "a.extxyz", "--every", "3")
    found = ase.io.read(tmp_path / "a.extxyz", index=":")
    assert [a.info["source_index"] for a in found] == [0, 3, 6, 9]
    labelled(capsys, file, tmp_path / "b.extxyz", "--max", "4")
    found = ase.io.read(tmp_path / "b.extxyz", index=":")
    assert [a.info["source_index"] for a in found] == [0, 3, 6, 9]


# --------------------------------------------------------------------------- out


@pytest.mark.parametrize("name", ["out.h5", "out", "out.extxyz"])
def test_every_format_reads_back_as_the_labels_that_were_made(name, tmp_path, capsys) -> None:
    file = structures(tmp_path / "in.extxyz")
    labelled(capsys, file, tmp_path / name)
    (found,) = read_frames(tmp_path / name)
    given = ase.io.read(file, index=":")
    np.testing.assert_allclose(found.energies, [energy(atoms) for atoms in given], atol=1e-12)
    assert found.n_frames == 6


def test_the_provenance_says_level_versions_and_cost(tmp_path, capsys) -> None:
    settings = ("--set", "seconds_per_label=0.01", "--set", "depth_ev=0.5")
    found = labelled(capsys, structures(tmp_path / "in.extxyz"), tmp_path / "out.extxyz", *settings)
    assert found["cost"] == {
        "evaluations": 6,
        "from_bank_of_others": 0,
        "made_in_this_run": 6,
        "label_seconds": pytest.approx(0.06),
        "wall_seconds_of_this_run": found["cost"]["wall_seconds_of_this_run"],
    }
    told = json.loads((tmp_path / "out.provenance.json").read_text())
    (level,) = told["levels"]
    assert level["settings"] == {"charge": 0, "depth_ev": 0.5}
    assert told["programs"] == [["fake", "1"]]
    assert told["sources"] == ["in.extxyz"]


def test_what_is_kept_out_lies_beside_with_its_reason(tmp_path, capsys) -> None:
    given = [cluster(4, seed=k) for k in range(5)]
    given[1].positions[1] = given[1].positions[0] + [0.3, 0.0, 0.0]  # the fake does not converge
    given[2].positions[0, 0] = np.nan
    given[4] = given[3].copy()  # a duplicate
    ase.io.write(tmp_path / "in.extxyz", given)
    said = label(capsys, tmp_path / "in.extxyz", tmp_path / "out.extxyz")
    assert said.code == 0, said.err
    assert "2 of 5 structures labelled" in said.out
    for line in ("1 kept out: not converged", "1 kept out: bad geometry", "1 kept out: duplicate"):
        assert line in said.out
    kept = ase.io.read(tmp_path / "out.extxyz", index=":")
    out = ase.io.read(tmp_path / "out.rejected.extxyz", index=":")
    assert sorted(a.info["source_index"] for a in (*kept, *out)) == [0, 1, 2, 3, 4]
    reasons = {a.info["source_index"]: a.info["reason"] for a in out}
    assert reasons == {1: "not_converged", 2: "bad_geometry", 4: "duplicate"}
    assert "not finite" in next(a.info["message"] for a in out if a.info["source_index"] == 2)


def test_the_gate_is_that_of_a_campaign_and_can_be_set(tmp_path, capsys) -> None:
    file = structures(tmp_path / "in.extxyz")
    said = label(capsys, file, tmp_path / "a.extxyz", "--gate", "max_force=1e-6")
    assert "0 of 6 structures labelled" in said.out
    assert "6 kept out: force too large" in said.out
    assert label(capsys, file, tmp_path / "b.extxyz", "--gate", "max_farce=1").code == 2


# --------------------------------------------------------------------------- again and again


def run_killed(point: str, log: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.integration.killed_label", point, log, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("cores", ["1", "2"])
def test_labels_of_a_killed_run_are_kept_and_none_is_paid_for_twice(cores, tmp_path) -> None:
    file, out, log = structures(tmp_path / "in.extxyz", 20), tmp_path / "o.extxyz", tmp_path / "log"
    asked = ("label", file, "--with", "fake", "--out", out, "--cores", cores, "--json")
    for point in ("banked::3", "banked::5", "unbanked::4"):
        assert run_killed(point, log, *asked).returncode == -signal.SIGKILL
        assert not out.exists()
    done = run_killed("", log, *asked)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    keys = log.read_text().split()
    # lost: the one that died unbanked, and with two at a time what was in progress beside
    assert len(set(keys)) == 20
    assert len(keys) - 20 <= 1 + 3 * (int(cores) - 1)
    # kept: three, five and three, but for what a second one was putting there at each kill
    assert found["cost"]["made_in_this_run"] <= 20 - (3 + 5 + 3) + 3 * (int(cores) - 1)
    assert found["labelled"] == 20
    assert len(ase.io.read(out, index=":")) == 20


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_with_3_and_the_same_command_goes_on(number, tmp_path) -> None:
    file, out = structures(tmp_path / "in.extxyz", 30), tmp_path / "o.extxyz"
    asked = [
        *("label", str(file), "--with", "fake", "--set", "seconds_per_label=0.2"),
        *("--out", str(out), "--json"),
    ]
    program = "from sis_engine.cli.main import main; main()"
    command = [sys.executable, "-c", program, *asked]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    bank = tmp_path / "o.extxyz.work"
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        if (bank / "labels.sqlite").exists():
            with LabelBank(bank) as opened:
                if opened.count() >= 3:
                    break
        time.sleep(0.05)
    process.send_signal(number)
    said, told = process.communicate(timeout=120)
    assert process.returncode == 3, told
    assert "of 30 are done and kept in" in told
    assert json.loads(said)["error"]["exit_code"] == 3
    assert not out.exists()
    done = subprocess.run(
        [*command[:3], *(a.replace("=0.2", "=0") for a in asked)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    cost = json.loads(done.stdout)["cost"]
    assert cost["evaluations"] == 30
    assert 1 <= cost["made_in_this_run"] <= 27


def test_a_finished_request_is_written_again_from_its_bank(tmp_path, capsys) -> None:
    file, out = structures(tmp_path / "in.extxyz"), tmp_path / "o.extxyz"
    labelled(capsys, file, out)
    before = out.read_bytes()
    found = labelled(capsys, file, out)
    assert found["cost"]["made_in_this_run"] == 0
    assert out.read_bytes() == before


def test_a_shared_bank_spares_what_another_request_paid_for(tmp_path, capsys) -> None:
    file = structures(tmp_path / "in.extxyz")
    labelled(capsys, file, tmp_path / "a.extxyz", "--bank", tmp_path / "bank", "--every", "2")
    found = labelled(capsys, file, tmp_path / "b.extxyz", "--bank", tmp_path / "bank")
    assert found["cost"]["from_bank_of_others"] == 3
    assert found["cost"]["evaluations"] == 3


def test_another_request_does_not_get_mixed_up_with_a_finished_one(tmp_path, capsys) -> None:
    file, out = structures(tmp_path / "in.extxyz"), tmp_path / "o.extxyz"
    labelled(capsys, file, out)
    said = label(capsys, file, out, "--set", "depth_ev=0.4")
    assert said.code == 2
    assert "belongs to another request" in said.err


def test_a_file_that_is_there_already_is_not_overwritten(tmp_path, capsys) -> None:
    (tmp_path / "o.extxyz").write_text("mine")
    said = label(capsys, structures(tmp_path / "in.extxyz"), tmp_path / "o.extxyz")
    assert said.code == 2
    assert "exists" in said.err
    assert (tmp_path / "o.extxyz").read_text() == "mine"


def test_a_dry_run_says_the_cost_and_makes_nothing(tmp_path, capsys) -> None:
    file, out = structures(tmp_path / "in.extxyz"), tmp_path / "o.extxyz"
    said = label(capsys, file, out, "--dry-run", "--json")
    assert json.loads(said.out) == {
        "structures": 6, "systems": 1, "known": 0, "new": 6, "seconds": None,
        "cores": json.loads(said.out)["cores"],
    }  # fmt: skip
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.extxyz"]
    bank = ("--bank", tmp_path / "bank", "--set", "seconds_per_label=0.4")
    labelled(capsys, file, tmp_path / "a.extxyz", *bank, "--every", "2", "--cores", "1")
    said = label(capsys, file, out, *bank, "--dry-run", "--json", "--cores", "1")
    found = json.loads(said.out)
    assert (found["known"], found["new"]) == (3, 3)
    assert found["seconds"] == pytest.approx(1.2)


def test_settings_come_from_a_file_too_also_from_a_campaign(tmp_path, capsys) -> None:
    file = structures(tmp_path / "in.extxyz")
    (tmp_path / "l.yaml").write_text("type: fake\ndepth_ev: 0.6\n")
    said = sis(capsys, "label", file, "--config", tmp_path / "l.yaml", "--out", tmp_path / "a.xyz")
    assert said.code == 0, said.err
    found = ase.io.read(tmp_path / "a.xyz", 0)
    assert found.get_potential_energy() == pytest.approx(2 * energy(ase.io.read(file, 0)))
    said = sis(capsys, "label", file, "--config", SMOKE, "--out", tmp_path / "b.xyz")
    assert said.code == 0, said.err
    said = label(capsys, file, tmp_path / "c.xyz", "--config", tmp_path / "l.yaml", "--set", "x=1")
    assert said.code == 2


# --------------------------------------------------------------------------- bad input


def _bad(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "bad.xyz"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("IN",), "labeler.type: required key is missing"),
        (("IN", "--with", "fak"), "did you mean 'fake'?"),
        (("IN", "--with", "fake", "--set", "depth=1"), "unknown key"),
        (("IN", "--with", "fake", "--set", "depth_ev"), "is not key=value"),
        (("IN", "--with", "fake", "--set", "depth_ev=much"), "depth_ev"),
        (("IN", "--with", "fake", "--format", "hdf"), "no format is called 'hdf'"),
        (("IN", "--with", "fake", "--config", "no.yaml"), "no such file"),
        (("IN", "--with", "xtb", "--config", str(SMOKE)), "--with xtb, but"),
        (("IN", "--with", "fake", "--max", "0"), "--max"),
        (("nothing.xyz", "--with", "fake"), "no such file or folder"),
        (("EMPTY", "--with", "fake"), "Empty file"),
        (("GARBLED", "--with", "fake"), "cannot be read"),
        (("IN", "--with", "fake", "--input-format", "nonsense"), "cannot be read"),
        ((".", "--with", "fake"), "no type.raw"),
        (("LI", "--with", "xtb"), "--multiplicity"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_before_anything_starts(
    arguments, told, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {
        "IN": structures(tmp_path / "in.extxyz"),
        "EMPTY": _bad(tmp_path, ""),
        "GARBLED": tmp_path / "garbled.xyz",
        "LI": tmp_path / "li.xyz",
    }
    files["GARBLED"].write_text("4\n\nAr 0 0 0\nAr x y z\n")
    ase.io.write(files["LI"], Atoms("Li"))
    there = sorted(tmp_path.iterdir())
    said = sis(capsys, "label", *(str(files.get(a, a)) for a in arguments), "--out", "o.extxyz")
    assert said.code == 2, said
    assert told in said.err
    assert sorted(tmp_path.iterdir()) == there


def test_when_not_one_structure_gets_a_label_the_reason_is_told(tmp_path, capsys) -> None:
    atoms = cluster(4)
    atoms.positions[1] = atoms.positions[0] + [0.3, 0.0, 0.0]
    ase.io.write(tmp_path / "in.extxyz", [atoms, atoms])
    said = label(capsys, tmp_path / "in.extxyz", tmp_path / "o.extxyz")
    assert said.code == 1
    assert "not one of 2 structures got a label; the first: not converged" in said.err

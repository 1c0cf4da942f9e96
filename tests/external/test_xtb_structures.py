"""The builder of the shipped structures, with the real Packmol and tblite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.io import read
from ase.neighborlist import neighbor_list

from tests.external.conftest import require_module, require_program

pytestmark = pytest.mark.external

FOLDER = Path(__file__).parents[2] / "configs" / "structures"


def _built(name: str, out: Path) -> subprocess.CompletedProcess[str]:
    require_module("tblite")
    command = [sys.executable, str(FOLDER / "build.py"), name, str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_box_of_the_paper_is_built_again_with_the_same_composition(tmp_path: Path) -> None:
    require_program("packmol")
    out = tmp_path / "box.extxyz"
    done = _built("lifsi-dol-10m-15a", out)
    assert done.returncode == 0, done.stderr
    atoms, shipped = read(out), read(FOLDER / "paper" / "lifsi-dol-10m-15a.extxyz")
    assert atoms.get_chemical_symbols() == shipped.get_chemical_symbols()
    assert np.allclose(atoms.cell, shipped.cell)
    assert neighbor_list("d", atoms, 1.6).min() > 0.95


def test_bulk_lithium_needs_no_packmol(tmp_path: Path) -> None:
    out = tmp_path / "li.extxyz"
    assert _built("li-bulk-16", out).returncode == 0
    assert neighbor_list("d", read(out), 3.5).min() == pytest.approx(3.44 * np.sqrt(3) / 2)


def test_an_unknown_name_lists_what_can_be_built(tmp_path: Path) -> None:
    done = _built("lifsi-dol-5m", tmp_path / "x.xyz")
    assert done.returncode == 2
    assert "lifsi-dol-bulk" in done.stderr

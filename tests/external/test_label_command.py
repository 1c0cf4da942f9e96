"""``sis label`` and ``sis relabel`` with real programs, each other's witness."""

from __future__ import annotations

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule

from tests.external.conftest import require_module, require_program
from tests.integration.command_line import sis

pytestmark = pytest.mark.external


@pytest.fixture
def molecules(tmp_path: Path) -> Path:
    """Water and ethanol, shaken; and a water with an atom on top of another."""
    rng = np.random.default_rng(0)
    shaken = [molecule(name) for name in ("H2O", "CH3CH2OH", "H2O", "CH3CH2OH", "H2O")]
    for atoms in shaken:
        atoms.positions += 0.05 * rng.normal(size=atoms.positions.shape)
    shaken[-1].positions[1] = shaken[-1].positions[0] + [0.1, 0.0, 0.0]
    ase.io.write(tmp_path / "in.extxyz", shaken)
    return tmp_path / "in.extxyz"


def test_xtb_labels_a_file_as_tblites_own_calculator_does(molecules, tmp_path, capsys) -> None:
    require_module("tblite")
    from tblite.ase import TBLite

    settings = ("--set", "method=GFN1-xTB", "--set", "charges=true")
    out = tmp_path / "out.extxyz"
    said = sis(capsys, "label", molecules, "--with", "xtb", *settings, "--out", out, "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert (told["labelled"], [f["reason"] for f in told["failed"]]) == (4, ["bad_geometry"])
    for atoms in ase.io.read(out, index=":"):
        witness = ase.io.read(molecules, index=atoms.info["source_index"])
        witness.calc = TBLite(method="GFN1-xTB", accuracy=0.1, verbosity=0)
        energy = witness.get_potential_energy()
        assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-7)  # ASE: CODATA 2014
        np.testing.assert_allclose(atoms.get_forces(), witness.get_forces(), atol=1e-4)
        np.testing.assert_allclose(atoms.get_charges(), witness.get_charges(), atol=1e-4)


@pytest.mark.slow
def test_the_same_method_in_two_programs_differs_by_next_to_nothing(
    molecules, tmp_path, capsys
) -> None:
    """GFN1-xTB by tblite, then by CP2K, on the same frames: two programs, one Hamiltonian."""
    require_module("tblite")
    require_program("cp2k.psmp")
    first, second = tmp_path / "tblite.extxyz", tmp_path / "cp2k.extxyz"
    xtb = ("--with", "xtb", "--set", "method=GFN1-xTB")
    assert sis(capsys, "label", molecules, *xtb, "--out", first).code == 0
    cp2k = ("--with", "cp2k", "--set", "method.type=gfn1-xtb", "--set", "ranks=1")
    said = sis(capsys, "relabel", first, *cp2k, "--out", second, "--json")
    assert said.code == 0, said.err
    shift = json.loads(said.out)["difference"]
    assert shift["n_frames"] == 4
    assert shift["energy_rmse"] < 1e-3  # eV/atom
    assert shift["force_rmse"] < 0.01  # eV/Å
    assert shift["force_correlation"] > 0.9999
    methods = {atoms.info["method"] for atoms in ase.io.read(second, index=":")}
    assert len(methods) == 1
    assert methods.pop().startswith("GFN1-xTB (cp2k")

"""GFN2-xTB charges beside another labeler's energies, with the real tblite and DeePMD-kit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from sis_engine.interfaces import Context, SinglePoints
from sis_engine.plugins import Kind, configure
from sis_engine.records import Frame, FrameSet, Labelled, Origin, Purpose, System
from sis_engine.storage.exchange import write_deepmd
from tests.external.conftest import require_module

pytestmark = pytest.mark.external

STRUCTURES = Path(__file__).parents[2] / "configs" / "structures"
GIVEN = {
    "type": "with-charges",
    "base": {"type": "xtb", "method": "GFN1-xTB"},
    "charges": {"type": "xtb", "method": "GFN2-xTB"},
}


def _system(file: str) -> System:
    atoms = read(STRUCTURES / file)
    periodic = bool(atoms.pbc.any())
    cell = atoms.cell.array if periodic else None
    return System("s", Frame(tuple(atoms.symbols), atoms.positions, cell, (periodic,) * 3))


def _label(given: dict[str, object], system: System) -> Labelled:
    labeler = configure(Kind.LABELER, given, key="labeler")
    labeler.check(system)
    task = SinglePoints(system, (system.frame,), (Origin(Purpose.SINGLE, 0, "s", "p", 0),))
    (result,) = labeler.label(task, Context(Path("/tmp")))
    assert isinstance(result, Labelled)
    return result


def test_gfn2_charges_beside_gfn1_energies_are_gfn2s_own() -> None:
    require_module("tblite")
    system = _system("lifsi-dol-cluster.xyz")
    result = _label(GIVEN, system)
    base = _label(dict(GIVEN["base"]), system)
    own = _label({"type": "xtb", "method": "GFN2-xTB", "charges": True}, system)
    assert result.label.energy == base.label.energy
    assert (result.label.charges == own.label.charges).all()
    assert (result.level.method, result.charges_level.method) == ("GFN1-xTB", "GFN2-xTB")


def test_gfn2_charges_of_a_periodic_frame_are_missing_unless_asked_for_by_name() -> None:
    require_module("tblite")
    system = _system("lifsi-2dol-bulk.extxyz")
    assert _label(GIVEN, system).label.charges is None
    labeler = configure(Kind.LABELER, GIVEN, key="labeler")
    assert "GFN2-xTB charges of the periodic system" in labeler.notes(system)[0]
    asked = {"type": "xtb", "method": "GFN2-xTB", "periodic_gfn2_charges": True}
    assert _label(GIVEN | {"charges": asked}, system).label.charges is not None
    gfn1 = {"type": "xtb", "method": "GFN1-xTB"}
    assert _label(GIVEN | {"charges": gfn1}, system).label.charges is not None


def test_an_scf_that_fails_leaves_the_label_without_charges() -> None:
    require_module("tblite")
    short = {"type": "xtb", "method": "GFN2-xTB", "max_iterations": 3}
    result = _label(GIVEN | {"charges": short}, _system("lifsi-dol-cluster.xyz"))
    assert result.label.charges is None
    assert result.charges_level is not None


def test_deepmd_kit_leaves_frames_without_charges_out_of_the_loss(tmp_path: Path) -> None:
    """Its ``find_`` flag, a factor of the loss: 1 for the set with the file, 0 for the other."""
    require_module("deepmd")
    from deepmd.utils.data import DeepmdData

    rng = np.random.default_rng(1)
    given = FrameSet(
        system="s",
        species=("O", "H", "H"),
        pbc=(False,) * 3,
        positions=rng.normal(size=(4, 3, 3)),
        cells=None,
        energies=rng.normal(size=4),
        forces=rng.normal(size=(4, 3, 3)),
        charges=rng.normal(size=(4, 3)),
    )
    charges = given.charges.copy()
    charges[1] = np.nan
    write_deepmd([replace(given, charges=charges)], tmp_path, ("H", "O"))
    data = DeepmdData(str(next(tmp_path.iterdir())), type_map=["H", "O"])
    data.add("atom_charge", 1, atomic=True, must=False)
    sets = [data._load_set(folder) for folder in data.dirs]
    assert [float(one["find_atom_charge"]) for one in sets] == [1.0, 0.0]
    assert sets[0]["coord"].shape[0] == 3
    kept = given.charges[[0, 2, 3]]
    # DeePMD-kit sorts atoms by type: H, H, O here
    assert np.sort(sets[0]["atom_charge"], axis=1) == pytest.approx(np.sort(kept, axis=1))

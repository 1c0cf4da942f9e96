from __future__ import annotations

import dataclasses
from pathlib import Path

import ase.io
import dpdata
import numpy as np
import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.records import Frame, FrameSet, Split, System
from sis_engine.storage import exchange
from sis_engine.storage.exchange import (
    look_at,
    read_deepmd,
    read_frames,
    write_deepmd,
    write_extxyz,
)
from sis_engine.storage.exchange_h5md import write_h5md
from sis_engine.storage.gate import GateConfig
from sis_engine.storage.generation import commit_generation
from sis_engine.storage.importing import Source, as_labelled, frame_keys, import_data
from sis_engine.storage.ledger import Ledger
from sis_engine.storage.splits import SplitConfig
from tests.unit.storage.storage_samples import (
    LEVEL,
    SPECIES,
    make_frame_set,
    make_generation,
    make_labelled,
)

ELEMENTS = ("F", "H", "Li", "O", "S")
SOURCE = Source(LEVEL)


def assert_same(found: FrameSet, given: FrameSet) -> None:
    assert found.species == given.species
    assert found.pbc == given.pbc
    for name in ("positions", "energies", "forces"):
        np.testing.assert_array_equal(getattr(found, name), getattr(given, name))
    for name in ("cells", "virials"):
        assert (getattr(found, name) is None) == (getattr(given, name) is None)


@pytest.mark.parametrize("periodic", [False, True])
def test_deepmd_comes_back_bit_by_bit_and_dpdata_reads_the_same(tmp_path, periodic) -> None:
    given = make_frame_set(7, periodic=periodic)
    assert write_deepmd([given], tmp_path, ELEMENTS) == 7
    (found,) = read_frames(tmp_path)
    assert_same(found, given)
    folder = next(tmp_path.iterdir())
    second = dpdata.LabeledSystem(str(folder), fmt="deepmd/npy")
    np.testing.assert_array_equal(second["coords"], given.positions)
    np.testing.assert_array_equal(second["forces"], given.forces)
    np.testing.assert_array_equal(second["energies"], given.energies)
    assert second.nopbc is not periodic
    symbols = [second["atom_names"][k] for k in second["atom_types"]]
    assert tuple(symbols) == SPECIES
    if periodic:
        np.testing.assert_array_equal(second["virials"], given.virials)
        np.testing.assert_array_equal(found.virials, given.virials)


def test_mixed_deepmd_of_another_program_is_read_frame_by_frame(tmp_path: Path) -> None:
    first = make_frame_set(4, periodic=True)
    second = dataclasses.replace(
        make_frame_set(3, seed=8, periodic=True), species=(*SPECIES[:5], "F")
    )
    write_deepmd([first, second], tmp_path / "standard", ELEMENTS)
    systems = dpdata.MultiSystems(type_map=list(ELEMENTS))
    for folder in sorted((tmp_path / "standard").iterdir()):
        systems.append(dpdata.LabeledSystem(str(folder), fmt="deepmd/npy"))
    systems.to("deepmd/npy/mixed", str(tmp_path / "mixed"))
    assert list((tmp_path / "mixed").rglob("real_atom_types.npy"))
    found = {
        block.energies[k]: sorted(zip(block.species, block.positions[k].tolist(), strict=True))
        for block in read_frames(tmp_path / "mixed")
        for k in range(block.n_frames)
    }
    given = {
        block.energies[k]: sorted(zip(block.species, block.positions[k].tolist(), strict=True))
        for block in (first, second)
        for k in range(block.n_frames)
    }
    assert found == given


@pytest.mark.parametrize("periodic", [False, True])
def test_extxyz_comes_back_bit_by_bit_and_ase_reads_the_same(tmp_path, periodic) -> None:
    given = make_frame_set(5, periodic=periodic)
    path = tmp_path / "data.extxyz"
    assert write_extxyz([given], path) == 5
    (found,) = read_frames(path, "named")
    assert found.system == "named"
    assert_same(found, given)
    atoms = ase.io.read(path, index=2)
    np.testing.assert_array_equal(atoms.get_forces(), given.forces[2])
    if periodic:
        # positive virial = compressed = negative stress
        stress = atoms.get_stress(voigt=False)
        np.testing.assert_allclose(-atoms.get_volume() * stress, given.virials[2])


def test_extxyz_with_changing_atoms_gives_a_set_for_each(tmp_path: Path) -> None:
    first = make_frame_set(3)
    second = dataclasses.replace(first, species=SPECIES[::-1])
    write_extxyz([first, second, first], tmp_path / "a.xyz")
    found = list(read_frames(tmp_path / "a.xyz"))
    assert [block.species for block in found] == [SPECIES, SPECIES[::-1], SPECIES]


def test_readers_hand_out_blocks_of_bounded_size(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(exchange, "BLOCK_ATOMS", 4 * 6)
    given = make_frame_set(10)
    write_deepmd([given], tmp_path / "npy", ELEMENTS)
    write_extxyz([given], tmp_path / "a.xyz")
    write_h5md([given], tmp_path / "a.h5")
    for path in (tmp_path / "npy", tmp_path / "a.xyz", tmp_path / "a.h5"):
        blocks = list(read_frames(path))
        assert [block.n_frames for block in blocks] == [4, 4, 2]
        np.testing.assert_array_equal(
            np.concatenate([block.forces for block in blocks]), given.forces
        )


def test_another_campaign_is_read_as_it_lies(tmp_path: Path) -> None:
    given = make_generation(tmp_path / "model", 0, parent=None)
    with Ledger(tmp_path) as ledger:
        commit_generation(given, ledger)
    look_at(tmp_path)
    found = list(read_frames(tmp_path))
    assert [block.n_frames for block in found] == [part.frames.n_frames for part in given.parts]
    np.testing.assert_array_equal(found[0].forces, given.parts[0].frames.forces)
    assert [block.system for block in read_frames(tmp_path, "mine")] == ["mine"] * len(found)


def test_what_cannot_be_imported_is_named_with_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is nothing"):
        read_frames(tmp_path / "absent")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ConfigurationError, match="deepmd/npy"):
        read_frames(tmp_path / "a.txt")
    with pytest.raises(ConfigurationError, match=r"type\.raw"):
        list(read_deepmd(tmp_path))
    (tmp_path / "a.xyz").write_text("1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n")
    with pytest.raises(ConfigurationError, match="frame 0 has no energy and no forces"):
        list(read_frames(tmp_path / "a.xyz"))
    write_deepmd([make_frame_set(3)], tmp_path / "npy", ELEMENTS)
    force = next((tmp_path / "npy").rglob("force.npy"))
    force.write_bytes(force.read_bytes()[:50])
    with pytest.raises(ConfigurationError, match=r"force\.npy"):
        list(read_frames(tmp_path / "npy"))
    force.unlink()
    with pytest.raises(ConfigurationError, match=r"force\.npy is missing"):
        list(read_frames(tmp_path / "npy"))


def test_an_object_array_is_never_unpickled(tmp_path: Path) -> None:
    write_deepmd([make_frame_set(3)], tmp_path, ELEMENTS)
    np.save(next(tmp_path.rglob("energy.npy")), np.array([{}] * 3), allow_pickle=True)
    with pytest.raises(ConfigurationError, match=r"energy\.npy"):
        list(read_frames(tmp_path))


@pytest.mark.parametrize("periodic", [False, True])
def test_keys_of_arrays_are_the_keys_of_frames(periodic: bool) -> None:
    frames = make_frame_set(4, periodic=periodic)
    items = make_labelled(4, periodic=periodic)
    assert [key.hex() for key in frame_keys(frames)] == [item.frame.key for item in items]


def test_imported_frames_pass_the_gate_belong_to_their_system_and_are_split(tmp_path) -> None:
    given = make_frame_set(60)
    energies = given.energies.copy()
    energies[10] += 812.0
    bad = dataclasses.replace(given, energies=energies)
    write_deepmd([bad, bad], tmp_path, ELEMENTS)
    system = System("mine", Frame(SPECIES, given.positions[0]), frozen=(0,))
    found = import_data([tmp_path], [system], SOURCE, GateConfig(), SplitConfig(), seed=1)
    assert found.n_read == 120
    reasons = [r.reason for r in found.rejected]
    assert reasons.count("energy outlier") == 2
    assert reasons.count("duplicate") == 59
    assert found.rejected[0].item.origin.index == 10
    assert found.rejected[0].item.frame.key == Frame(SPECIES, given.positions[10]).key
    assert [part.split for part in found.parts] == [Split.TRAINING, Split.VALIDATION]
    assert {part.frames.system for part in found.parts} == {"mine"}
    assert found.parts[0].frames.force_mask is not None
    assert len({part.name for part in found.parts}) == 2


def test_frames_of_unknown_composition_keep_the_name_of_their_folder(tmp_path: Path) -> None:
    write_deepmd([make_frame_set(5)], tmp_path, ELEMENTS)
    found = import_data([tmp_path], [], SOURCE, GateConfig(), SplitConfig(), seed=1)
    assert found.parts[0].frames.system == "0000.cluster"


def test_imported_frames_can_be_streamed_as_labels_that_cost_nothing() -> None:
    items = list(as_labelled([make_frame_set(3), make_frame_set(2, seed=1)], SOURCE))
    assert [item.origin.index for item in items] == [0, 1, 2, 3, 4]
    assert all(item.cached and item.seconds == 0.0 for item in items)
    np.testing.assert_array_equal(items[2].label.forces, make_labelled(3)[2].label.forces)


def charged(*, lacking: tuple[int, ...] = ()) -> FrameSet:
    frames = make_frame_set(6)
    charges = np.random.default_rng(2).normal(size=(6, len(SPECIES)))
    charges[list(lacking)] = np.nan
    return dataclasses.replace(frames, charges=charges)


FORMS = {
    "npy": lambda frames, folder: write_deepmd([frames], folder / "npy", ELEMENTS),
    "a.xyz": lambda frames, folder: write_extxyz([frames], folder / "a.xyz"),
    "a.h5": lambda frames, folder: write_h5md([frames], folder / "a.h5"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lacking", [(), (1, 4), (0, 1, 2, 3, 4, 5)])
def test_charges_come_back_bit_by_bit_and_missing_ones_stay_missing(
    form: str, lacking: tuple[int, ...], tmp_path: Path
) -> None:
    given = charged(lacking=lacking)
    assert FORMS[form](given, tmp_path) == 6
    found = {}
    for block in read_frames(tmp_path / form):
        for k in range(block.n_frames):
            row = None if block.charges is None else block.charges[k]
            found[block.energies[k]] = row if row is not None and not np.isnan(row).any() else None
    assert len(found) == 6
    for k in range(6):
        row = found[given.energies[k]]
        assert (row is None) == (k in lacking)
        if row is not None:
            np.testing.assert_array_equal(row, given.charges[k])


def test_frames_that_lack_charges_are_a_deepmd_set_without_the_file(tmp_path: Path) -> None:
    write_deepmd([charged(lacking=(2,))], tmp_path, ELEMENTS)
    (folder,) = tmp_path.iterdir()
    sets = {path.name: (path / "atom_charge.npy").is_file() for path in folder.glob("set.*")}
    assert sets == {"set.000": True, "set.001": False}
    assert len(np.load(folder / "set.000" / "energy.npy")) == 5
    second = dpdata.LabeledSystem(str(folder), fmt="deepmd/npy")
    assert len(second) == 6


def test_ase_reads_the_charges_of_our_extxyz(tmp_path: Path) -> None:
    given = charged(lacking=(2,))
    write_extxyz([given], tmp_path / "a.xyz")
    first, third = (ase.io.read(tmp_path / "a.xyz", index=k) for k in (0, 2))
    np.testing.assert_array_equal(first.get_charges(), given.charges[0])
    assert "charges" not in third.calc.results


def test_imported_charges_are_those_of_the_labels_and_missing_ones_none(tmp_path: Path) -> None:
    given = charged(lacking=(2,))
    items = list(as_labelled([given], SOURCE))
    assert [item.label.charges is None for item in items] == [k == 2 for k in range(6)]
    write_extxyz([given], tmp_path / "a.xyz")
    system = System("mine", Frame(SPECIES, given.positions[0]))
    found = import_data([tmp_path / "a.xyz"], [system], SOURCE, GateConfig(), SplitConfig(), seed=1)
    np.testing.assert_array_equal(found.parts[0].frames.charges, given.charges)

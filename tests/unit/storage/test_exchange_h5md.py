"""H5MD for other programs: what MDAnalysis 2.11 and ZnH5MD 0.4.8 look for, and units that are kept.

Both were tried on such a file; here h5py looks at what their sources ask for.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.storage.exchange import read_frames
from sis_engine.storage.exchange_h5md import write_h5md
from tests.unit.storage.storage_samples import make_frame_set

EV_IN_KJ_PER_MOL = 96.4853321
"""NIST, by hand."""

MDANALYSIS_UNITS = {
    "position": {"Angstrom", "angstrom", "A", "nm", "pm", "fm"},
    "force": {"kJ mol-1 Angstrom-1", "kJ mol-1 nm-1", "Newton", "N", "J m-1"},
}
"""MDAnalysis/coordinates/H5MD.py, H5MDReader._unit_translation: others are an error there."""


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("name", ["all.h5", "folder"])
def test_frames_come_back_bit_by_bit_and_in_their_blocks(
    tmp_path: Path, name: str, periodic: bool
) -> None:
    given = [make_frame_set(5, periodic=periodic), make_frame_set(3, seed=1, periodic=periodic)]
    assert write_h5md(given, tmp_path / name) == 8
    found = list(read_frames(tmp_path / name))
    assert [block.system for block in found] == ["all" if name == "all.h5" else given[0].system] * 2
    for block, expected in zip(found, given, strict=True):
        assert (block.species, block.pbc) == (expected.species, expected.pbc)
        for key in ("positions", "energies", "forces"):
            np.testing.assert_array_equal(getattr(block, key), getattr(expected, key))
        for key in ("cells", "virials"):
            ours, theirs = getattr(block, key), getattr(expected, key)
            assert (ours is None) == (theirs is None)
            assert ours is None or np.array_equal(ours, theirs)


def test_a_trajectory_has_what_mdanalysis_asks_for(tmp_path: Path) -> None:
    given = [make_frame_set(5, periodic=True), make_frame_set(3, seed=1, periodic=True)]
    write_h5md(given, tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.suffix == ".h5md"  # by which it knows the format
    with h5py.File(file) as store:
        assert list(store["particles"]) == ["trajectory"]  # the only name its parser looks for
        group = store["particles/trajectory"]
        assert group["box"].attrs["dimension"] == 3
        assert group["box/edges/value"].shape == (8, 3, 3)
        for element, units in MDANALYSIS_UNITS.items():
            assert group[f"{element}/value"].shape == (8, 6, 3)
            assert group[f"{element}/value"].attrs["unit"] in units
            assert group[f"{element}/time"].attrs["unit"] == "fs"
            assert len(group[f"{element}/step"]) == 8
        assert "no time series" in group["position/time"].attrs["meaning"]
        for observable in store["observables/trajectory"].values():
            assert len(observable["value"]) == 8  # it reads every one at every frame
        forces = np.concatenate([block.forces for block in given])
        np.testing.assert_allclose(group["force/value"], EV_IN_KJ_PER_MOL * forces, rtol=1e-8)


def test_a_trajectory_has_what_znh5md_asks_for(tmp_path: Path) -> None:
    given = make_frame_set(4)
    write_h5md([given], tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as store:
        group = store["particles/trajectory"]
        assert group["species/value"].shape == (4, 6)
        assert group["box/edges/value"].shape == (4, 3, 3)  # also without periodicity
        # It takes `force` and `forces` for the same, whatever the unit: the later name counts.
        assert [name for name in group if name.startswith("force")] == ["force", "forces"]
        np.testing.assert_array_equal(group["forces/value"], given.forces)
        np.testing.assert_array_equal(store["observables/trajectory/energy/value"], given.energies)


def test_systems_are_files_and_different_atoms_of_one_name_too(tmp_path: Path) -> None:
    first = make_frame_set(3)
    other = dataclasses.replace(first, species=first.species[::-1])
    second = dataclasses.replace(first, system="b")
    assert write_h5md([first, other, second, first], tmp_path / "out") == 12
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["b.h5md", "cluster.2.h5md", "cluster.h5md"]
    blocks = list(read_frames(tmp_path / "out"))
    assert [block.n_frames for block in blocks] == [3, 3, 3, 3]
    assert write_h5md([first, second], tmp_path / "both.h5") == 6
    with h5py.File(tmp_path / "both.h5") as store:
        assert sorted(store["particles"]) == ["b", "cluster"]


def test_charges_that_some_frames_lack_are_missing_not_zero(tmp_path: Path) -> None:
    given = make_frame_set(3)
    charged = dataclasses.replace(given, charges=np.full((3, given.n_atoms), 0.5))
    write_h5md([given, charged], tmp_path / "a.h5")
    without, having = read_frames(tmp_path / "a.h5")
    assert without.charges is None or np.isnan(without.charges).all()
    np.testing.assert_array_equal(having.charges, charged.charges)


def of_another_program(path: Path, unit: str | None, factor: float) -> None:
    """One group with ``force`` only, as the standard names it."""
    write_h5md([make_frame_set(3)], path)
    with h5py.File(path, "r+") as store:
        group = store["particles/trajectory"]
        values = group["forces/value"][()] * factor
        del group["forces"], group["force/value"]
        group["force"]["value"] = values
        if unit is not None:
            group["force/value"].attrs["unit"] = unit


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        (None, 1.0),
        ("eV/Angstrom", 1.0),
        ("kJ mol-1 Angstrom-1", 96.4853321),
        ("kJ mol-1 nm-1", 964.853321),
        ("kcal mol-1 Angstrom-1", 23.0605478),
    ],
)
def test_forces_in_a_unit_that_is_declared_are_converted(
    tmp_path: Path, unit: str | None, factor: float
) -> None:
    of_another_program(tmp_path / "a.h5", unit, factor)
    (found,) = read_frames(tmp_path / "a.h5")
    np.testing.assert_allclose(found.forces, make_frame_set(3).forces, rtol=1e-7)


def test_a_unit_that_is_not_known_is_refused_not_guessed(tmp_path: Path) -> None:
    of_another_program(tmp_path / "a.h5", "Eh a0-1", 1.0)
    with pytest.raises(ConfigurationError, match="'Eh a0-1', which is not known") as refused:
        list(read_frames(tmp_path / "a.h5"))
    assert str(tmp_path / "a.h5") in str(refused.value)
    assert "eV Angstrom-1" in str(refused.value)


def test_a_file_without_labels_says_what_is_missing(tmp_path: Path) -> None:
    write_h5md([make_frame_set(3)], tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as store:
        del store["observables"]
    with pytest.raises(ConfigurationError, match="observables/<group>/energy"):
        list(read_frames(tmp_path / "a.h5"))

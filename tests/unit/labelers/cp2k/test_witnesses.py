"""Recorded runs of the real CP2K through the eyes of a second reader, ASE's or dpdata's."""

from __future__ import annotations

from pathlib import Path

import dpdata
import numpy as np
import pytest
from ase.io import read

from labelers.cp2k.launch import OUTPUT
from labelers.cp2k.output import OutputReader
from labelers.cp2k.steps import Step, StepReader
from tests.unit.labelers.cp2k.recordings import DATA, recorded

WITHOUT_LABEL = (
    "atoms-on-top",
    "odd-electrons",
    "out-of-memory",
    "outer-loops-exhausted",
    "scf-out-of-cycles",
    "unknown-keyword",
    "wrong-basis",
    "wrong-pseudopotential",
)


@pytest.mark.parametrize("name", WITHOUT_LABEL)
def test_dpdata_finds_no_label_either_in_a_failed_run(name: str) -> None:
    """Nor in an SCF out of cycles, after which CP2K prints energy and forces all the same."""
    theirs = dpdata.LabeledSystem(str(DATA / name / OUTPUT), fmt="cp2k/output")
    assert len(theirs) == 0
    reader = OutputReader(DATA / name / OUTPUT)
    mine = [*reader.new_evaluations(), reader.last_evaluation()]
    assert not any(one.converged for one in mine if one is not None)


@pytest.mark.parametrize(
    ("name", "n_atoms"), [("good-md", 3), ("killed-mid-step", 6), ("scf-out-of-cycles", 3)]
)
def test_ase_reads_as_many_steps_from_the_files_of_a_run(name: str, n_atoms: int) -> None:
    """dpdata reads MD of CP2K 7 and older only; of these runs ASE reads the xyz files."""
    mine = _steps(DATA / name, n_atoms)
    theirs = read(DATA / name / "sis-pos-1.xyz", index=":")
    assert len(mine) == len(theirs)
    for step, atoms in zip(mine, theirs, strict=True):
        assert step.positions == pytest.approx(atoms.positions, abs=1e-9)
        energy = float(atoms.info["E"])
        assert step.evaluation.energy == pytest.approx(energy, abs=1e-9)


def test_ase_refuses_a_file_that_a_full_disk_cut_and_reads_the_whole_steps_of_it(
    tmp_path: Path,
) -> None:
    folder = recorded("disk-full", tmp_path)
    place = folder / "sis-pos-1.xyz"
    mine = _steps(folder, 6)
    with pytest.raises((ValueError, OSError)):
        read(place, index=":")
    whole = place.read_text().splitlines(keepends=True)[: len(mine) * 8]
    place.write_text("".join(whole))
    theirs = read(place, index=":")
    assert len(theirs) == len(mine) > 0
    assert mine[-1].positions == pytest.approx(theirs[-1].positions, abs=1e-9)


def _steps(folder: Path, n_atoms: int) -> list[Step]:
    reader = StepReader(folder, OutputReader(folder / OUTPUT), np.zeros((n_atoms, 3)), 0)
    return reader.new_steps(with_velocities=True)

"""CP2K's files, read as they grow: recorded runs of the real program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from labelers.cp2k.launch import OUTPUT
from labelers.cp2k.output import OutputReader
from labelers.cp2k.restart import read_restart
from labelers.cp2k.steps import Step, StepReader, label_of
from tests.unit.labelers.cp2k.recordings import DATA, WATER, recorded


def steps_of(folder: Path, n_atoms: int = 3, *, velocities: bool = True) -> list[Step]:
    start = WATER.positions if n_atoms == 3 else np.zeros((n_atoms, 3))
    return StepReader(folder, OutputReader(folder / OUTPUT), start, 0).new_steps(
        with_velocities=velocities
    )


def test_a_segment_is_read_step_by_step_with_all_its_numbers() -> None:
    steps = steps_of(DATA / "good-md")
    assert [step.number for step in steps] == [0, 1, 2, 3, 4]
    assert all(step.evaluation.converged for step in steps)
    first = steps[0].evaluation
    assert first.energy == pytest.approx(-5.7687, abs=1e-3)
    assert first.forces is not None
    assert np.abs(first.forces.sum(axis=0)).max() < 1e-9
    assert first.stress is not None
    assert first.stress == pytest.approx(first.stress.T)
    assert steps[1].evaluation.seconds > 0.0
    assert steps[0].velocities is not None
    assert np.abs(steps[0].velocities).max() < 0.1


def test_no_prefix_of_the_files_gives_a_step_that_is_not_in_the_whole(tmp_path: Path) -> None:
    """Each file cut anywhere, as a kill or a power cut leaves them."""
    whole = steps_of(DATA / "good-md")
    rng = np.random.default_rng(1)
    for _ in range(150):
        folder = tmp_path / "cut"
        folder.mkdir(exist_ok=True)
        for name in (OUTPUT, "sis-pos-1.xyz", "sis-vel-1.xyz"):
            content = (DATA / "good-md" / name).read_bytes()
            kept = len(content) if rng.random() < 0.4 else int(rng.integers(len(content)))
            (folder / name).write_bytes(content[:kept])
        for step, expected in zip(steps_of(folder), whole, strict=False):
            assert step.number == expected.number
            assert (step.positions == expected.positions).all()
            assert step.evaluation.energy == expected.evaluation.energy
            assert step.evaluation.forces is not None
            assert (step.evaluation.forces == expected.evaluation.forces).all()


def test_what_grows_is_given_once_and_in_the_end_all_of_it(tmp_path: Path) -> None:
    contents = {
        name: (DATA / "good-md" / name).read_bytes()
        for name in (OUTPUT, "sis-pos-1.xyz", "sis-vel-1.xyz")
    }
    reader = StepReader(tmp_path, OutputReader(tmp_path / OUTPUT), np.zeros((3, 3)), 0)
    told: list[int] = []
    for k in range(101):
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content[: len(content) * k // 100])
        told += [step.number for step in reader.new_steps(with_velocities=True)]
    assert told == [0, 1, 2, 3, 4]


def test_an_scf_out_of_cycles_is_seen_though_cp2k_ends_well() -> None:
    folder = DATA / "scf-out-of-cycles"
    assert "PROGRAM ENDED AT" in (folder / OUTPUT).read_text()
    steps = steps_of(folder)
    assert len(steps) == 3
    assert not any(step.evaluation.converged for step in steps)


@pytest.mark.parametrize(
    ("name", "converged"), [("outer-loops", True), ("outer-loops-exhausted", False)]
)
def test_inner_loops_that_fail_are_forgiven_when_the_outer_one_gets_there(
    name: str, converged: bool
) -> None:
    reader = OutputReader(DATA / name / OUTPUT)
    reader.new_evaluations()
    evaluation = reader.last_evaluation()
    assert evaluation is not None
    assert evaluation.converged is converged
    assert reader.ended


def test_a_run_killed_in_its_fourth_step_has_steps_to_three() -> None:
    steps = steps_of(DATA / "killed-mid-step", n_atoms=6)
    assert [step.number for step in steps] == [0, 1, 2, 3]


def test_files_on_a_full_disk_end_in_the_middle_and_only_whole_steps_count() -> None:
    steps = steps_of(DATA / "disk-full", n_atoms=6)
    text = (DATA / "disk-full" / "sis-pos-1.xyz").read_text()
    assert not text.endswith("\n")
    assert len(steps) == text.count(" i =") - 1
    assert all(step.evaluation.converged for step in steps)


def test_an_optimisation_has_its_start_and_its_steps() -> None:
    steps = steps_of(DATA / "good-optimisation", velocities=False)
    assert [step.number for step in steps] == [0, 1, 2, 3]
    energies = [step.evaluation.energy for step in steps]
    assert energies == sorted(energies, reverse=True)


def test_dpdata_reads_the_same_numbers_from_a_recorded_point() -> None:
    """A second reader, with its own constants."""
    dpdata = pytest.importorskip("dpdata")
    theirs = dpdata.LabeledSystem(str(DATA / "good-point" / OUTPUT), fmt="cp2k/output").data
    reader = OutputReader(DATA / "good-point" / OUTPUT)
    reader.new_evaluations()
    evaluation = reader.last_evaluation()
    assert evaluation is not None
    mine = label_of(evaluation, WATER)
    assert mine.energy == pytest.approx(theirs["energies"][0], rel=1e-7)
    assert mine.forces == pytest.approx(theirs["forces"][0], abs=1e-5)
    assert theirs["cells"][0] == pytest.approx(WATER.cell, abs=1e-3)


def test_forces_in_the_words_of_cp2k_2025_are_read(tmp_path: Path) -> None:
    """Its format as dpdata reads it; that version was not run here."""
    (tmp_path / OUTPUT).write_text(
        "  *** SCF run converged in    11 steps ***\n"
        " ENERGY| Total FORCE_EVAL ( QS ) energy [hartree]            -7.364190264587725\n\n"
        " FORCES| Atomic forces [hartree/bohr]\n"
        " FORCES| Atom x y z |f|\n"
        " FORCES| 1 -5.73440344E-02 2.95274914E-02 -1.50988167E-02 6.62433792E-02\n"
        " FORCES| 2 5.73440344E-02 -2.95274914E-02 1.50988167E-02 6.62433792E-02\n"
        " FORCES| Sum 0.0 0.0 0.0 0.0\n"
    )
    reader = OutputReader(tmp_path / OUTPUT)
    reader.new_evaluations()
    evaluation = reader.last_evaluation()
    assert evaluation is not None
    assert evaluation.energy == -7.364190264587725
    assert evaluation.forces is not None
    assert evaluation.forces[0] == pytest.approx([-5.73440344e-2, 2.95274914e-2, -1.50988167e-2])


def test_a_number_that_overflowed_its_field_is_not_finite(tmp_path: Path) -> None:
    folder = recorded("good-md", tmp_path)
    output = folder / OUTPUT
    text = output.read_text()
    row = next(line for line in text.splitlines() if line.startswith("      1      1      O "))
    output.write_text(text.replace(row, f"{row[:24]}{'*' * 20} 0.0 0.0", 1))
    forces = steps_of(folder)[0].evaluation.forces
    assert forces is not None
    assert np.isnan(forces[0, 0])


def test_units_are_those_worked_out_by_hand() -> None:
    """27.211386 eV a hartree; 51.422067 eV/Å a hartree/bohr; 1 GPa is 0.0062415091 eV/Å³."""
    evaluation = steps_of(DATA / "good-md")[0].evaluation
    label = label_of(evaluation, WATER)
    assert label.energy == pytest.approx(evaluation.energy * 27.211386, rel=1e-7)
    assert evaluation.forces is not None
    assert evaluation.stress is not None
    assert label.forces == pytest.approx(evaluation.forces * 51.422067, rel=1e-7)
    volume = float(np.linalg.det(np.asarray(WATER.cell)))
    assert label.virial == pytest.approx(evaluation.stress * 0.0062415091 * volume, rel=1e-7)


def test_a_restart_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    text = (DATA / "good-md" / "sis-1.restart").read_text()
    path = tmp_path / "sis-1.restart"
    path.write_text(text)
    whole = read_restart(path)
    assert whole is not None
    assert whole.step == 4
    last = steps_of(DATA / "good-md")[-1]
    assert whole.positions == pytest.approx(last.positions, abs=1e-9)
    path.write_text(text + " &EXT_RESTART\n   RESTART_FILE_NAME x\n &END EXT_RESTART\n")
    assert read_restart(path) is not None
    for end in range(0, len(text) - 20, 37):
        path.write_text(text[:end])
        assert read_restart(path) is None
    assert read_restart(tmp_path / "absent") is None

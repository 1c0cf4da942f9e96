"""The Quantum ESPRESSO labeler with the real pw.x: values, conventions, handlers, failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from labelers.espresso import handlers
from labelers.espresso.input import n_k_points, pw_input
from labelers.espresso.labeler import EspressoLabeler
from labelers.espresso.launch import OUTPUT
from labelers.espresso.process import PwProcess
from labelers.espresso.session import Session
from labelers.geometry import atoms_of
from sis_engine.interfaces import Context, Segment, SinglePoints
from sis_engine.records import (
    Failure,
    Frame,
    Label,
    LabelFailure,
    Labelled,
    Origin,
    Purpose,
    SegmentSpec,
    Start,
    System,
)
from sis_engine.testing.labeler_contract import CHECKS, LabelerCase
from sis_engine.units import RYDBERG_EV
from tests.conftest import Figure, largest
from tests.external.conftest import foreign_mpirun, require_program

pytestmark = pytest.mark.external

ORIGIN = Origin(Purpose.SEGMENT, 0, "s", "plan", 0, 0.0)
CELL = 0.529177 * np.array([[0.1, 5.0, 5.2], [5.1, 0.0, 5.0], [5.0, 5.15, 0.0]])
"""In which nothing vanishes by symmetry."""
FRAME = Frame(
    ("Al", "Si"), 0.529177 * np.array([[0.0, 0.0, 0.0], [2.5, 2.4, 2.7]]), CELL, (True,) * 3
)
SOFT = {"Al": "Al.pz-vbc.UPF", "Si": "Si.pz-vbc.UPF"}
PW = "pw.x, LDA"
LITHIUM = "Li.pbesol-s-kjpaw_psl.0.2.1.UPF"


@pytest.fixture(autouse=True)
def _with_pw() -> None:
    require_program("pw.x")


def alloy(cutoff: float = 16.0, **settings: object) -> EspressoLabeler:
    """Soft pseudopotentials, a metal: half a second a label."""
    given = {
        "pseudopotentials": SOFT,
        "cutoff_rydberg": cutoff,
        "k_spacing_per_angstrom": 0.25,
        "smearing": {"width_ev": 0.3},
        "ranks": 1,
        **settings,
    }
    return EspressoLabeler(EspressoLabeler.Config.model_validate(given))


def labelled(
    given: EspressoLabeler, frame: Frame, folder: Path, threads: int = 1, **system: object
) -> Labelled | LabelFailure:
    task = SinglePoints(System("s", frame, **system), (frame,), (ORIGIN,))
    (result,) = given.label(task, Context(folder, threads=threads))
    return result


def label(
    given: EspressoLabeler, frame: Frame, folder: Path, threads: int = 1, **system: object
) -> Labelled:
    result = labelled(given, frame, folder, threads, **system)
    assert isinstance(result, Labelled), f"{result.reason}: {result.message} ({result.directory})"
    return result


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_labeler_keeps_its_contract(
    check: Callable[[LabelerCase], None], tmp_path: Path, figure: Figure
) -> None:
    """The virial at a cutoff where the Pulay stress is gone (docs/labelers/espresso.md)."""
    cutoff = 40.0 if "strain" in check.__name__ else 16.0
    positions = FRAME.positions.copy()
    positions[1] = positions[0] + 0.01
    check(
        LabelerCase(
            alloy(cutoff),
            System("contract", FRAME),
            replace(FRAME, positions=positions),
            tmp_path,
            force_tolerance=2e-3,
            virial_tolerance=6e-2,
            displacement_angstrom=3e-3,
            strain=5e-3,
            components=2,
            measured=partial(figure, PW),
        )
    )


def test_the_virial_is_the_energys_derivative_at_a_fixed_number_of_plane_waves(
    tmp_path: Path, figure: Figure
) -> None:
    """One pw.x keeps its plane waves when the cell changes: no Pulay stress at any cutoff."""
    given, step = alloy(), 2e-3
    frames = [strained(0, 0, by * step) for by in (0, 1, 2)]  # it has room for expansion only
    system = System("s", FRAME)
    text = pw_input(given.config, given.config.scf, system, FRAME)
    points = n_k_points(given.config, system)
    process = PwProcess(given.launcher, text, tmp_path / "pw", Context(tmp_path), points)
    before, here, after = (process.ask(frame) for frame in frames)
    process.close()
    assert isinstance(before, Label)
    assert isinstance(here, Label)
    assert isinstance(after, Label)
    slope = (after.energy - before.energy) / (2.0 * step) * (1.0 + step)
    assert here.virial is not None
    figure(PW, "virial, plane waves kept", here.virial[0, 0] + slope, "eV")
    assert here.virial[0, 0] == pytest.approx(-slope, abs=1e-2)


def strained(row: int, column: int, by: float) -> Frame:
    strain = np.eye(3)
    strain[row, column] += by
    return replace(FRAME, positions=FRAME.positions @ strain.T, cell=CELL @ strain.T)


def printed(given: EspressoLabeler, frame: Frame, folder: Path) -> tuple[Label, Path]:
    """A label, and what pw.x printed of it."""
    system = System("s", frame)
    text = pw_input(given.config, given.config.scf, system, frame)
    process = PwProcess(given.launcher, text, folder / "pw", Context(folder), n_k_points(
        given.config, system
    ))  # fmt: skip
    found = process.ask(frame)
    process.close()
    assert isinstance(found, Label)
    return found, folder / "pw" / OUTPUT


def test_units_are_those_worked_out_by_hand(tmp_path: Path, figure: Figure) -> None:
    """From the printed numbers: 1 Ry is 13.605693 eV, and 13.605693 / 0.52917721 = 25.711043 so
    that 1 Ry/bohr is 25.711043 eV/Å; stress in Ry/bohr³ times the volume is -dE/d(strain).
    """
    mine, file = printed(alloy(), FRAME, tmp_path)
    lines = file.read_text().splitlines()
    energy = float(next(line.split()[-2] for line in lines if line.startswith("!")))
    force = next(line.split()[-3:] for line in lines if "atom    2 type" in line)
    row = next(k for k, line in enumerate(lines) if "total   stress" in line) + 1
    stress = [float(word) for word in lines[row].split()[:3]]
    volume = float(next(line.split()[-2] for line in lines if "unit-cell volume" in line))
    forces = np.array(force, float) * 25.711043
    virial = np.array(stress) * volume * 13.605693
    assert mine.virial is not None
    figure(PW, "energy by hand", mine.energy / (energy * 13.605693) - 1.0, "relative")
    figure(PW, "forces by hand", largest(mine.forces[1], forces), "eV/Å")
    figure(PW, "virial by hand", largest(mine.virial[0], virial), "eV")
    assert mine.energy == pytest.approx(energy * 13.605693, rel=1e-7)
    assert mine.forces[1] == pytest.approx(forces, abs=1e-6)
    assert mine.virial[0] == pytest.approx(virial, abs=1e-4)


def test_ase_reads_the_same_label_from_the_same_output(tmp_path: Path) -> None:
    """A second reader, with constants of its own (CODATA 2006)."""
    from ase.io import read

    mine, file = printed(alloy(), FRAME, tmp_path)
    theirs = read(file, format="espresso-out")
    assert mine.energy == pytest.approx(
        theirs.get_potential_energy(force_consistent=True), rel=1e-7
    )
    assert mine.forces == pytest.approx(theirs.get_forces(), abs=1e-6)
    stress = theirs.get_stress(voigt=False) * theirs.get_volume()
    assert mine.virial == pytest.approx(-stress, abs=1e-4)


def test_labels_agree_with_ases_own_calculator_for_the_same_settings(
    tmp_path: Path, figure: Figure
) -> None:
    """ASE writes its own input in Å and reads the text: no socket, no line of ours."""
    from ase.calculators.espresso import Espresso, EspressoProfile

    given = alloy()
    atoms = atoms_of(FRAME)
    program = given.launcher.executable
    profile = EspressoProfile(
        command=f"env OMP_NUM_THREADS=1 OMPI_MCA_ess_singleton_isolated=1 {program}",
        pseudo_dir="/usr/share/espresso/pseudo",
    )
    control = {"tstress": True, "tprnfor": True, "disk_io": "none"}
    system = {
        "ecutwfc": 16.0,
        "nosym": True,
        "occupations": "smearing",
        "smearing": "mp",
        "degauss": 0.3 / 13.605693123,
    }
    atoms.calc = Espresso(
        profile=profile,
        directory=tmp_path / "ase",
        pseudopotentials=SOFT,
        input_data={"control": control, "system": system, "electrons": {"conv_thr": 1e-9}},
        kpts=(2, 2, 2),
    )
    mine = label(given, FRAME, tmp_path).label
    energy = atoms.get_potential_energy(force_consistent=True)
    forces = atoms.get_forces()
    virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
    figure(PW, "energy against ASE", mine.energy / energy - 1.0, "relative")
    figure(PW, "forces against ASE", largest(mine.forces, forces), "eV/Å")
    figure(PW, "virial against ASE", largest(mine.virial, virial), "eV")
    assert mine.energy == pytest.approx(energy, rel=1.5e-7)  # its constants are of 2006
    assert mine.forces == pytest.approx(forces, abs=1e-4)
    assert mine.virial == pytest.approx(virial, abs=1e-3)


def test_wavefunctions_carry_over_and_labels_are_those_of_cold_starts(tmp_path: Path) -> None:
    """Fewer SCF cycles after the first step, and the same numbers within the threshold."""
    given = alloy()
    task = Segment(System("s", FRAME), Start(FRAME), SegmentSpec(4, 1.0, 300.0, seed=3), ORIGIN)
    results = list(given.label(task, Context(tmp_path)))
    assert all(isinstance(result, Labelled) for result in results)
    assert len(results) == 4
    last = results[-1]
    assert isinstance(last, Labelled)
    cold = label(given, last.frame, tmp_path).label
    assert last.label.energy == pytest.approx(cold.energy, abs=1e-6)
    assert last.label.forces == pytest.approx(cold.forces, abs=1e-3)
    assert cycles_of_second_frame(given, tmp_path) < cycles_of_first_frame(tmp_path)


def cycles_of_second_frame(given: EspressoLabeler, folder: Path) -> int:
    """Of two frames 0.01 Å apart through one pw.x; what it printed lies in ``folder``."""
    system = System("s", FRAME)
    session = Session(
        given.launcher, system, given.level_of_theory(system), Context(folder), warm=True
    )
    positions = FRAME.positions.copy()
    positions[1, 0] += 0.01
    for frame in (FRAME, replace(FRAME, positions=positions)):
        assert isinstance(session.label(frame, ORIGIN), Labelled)
    (file,) = folder.glob(f"pw-*/{OUTPUT}")
    (folder / "two-frames.out").write_text(file.read_text())
    session.close()
    assert not list(folder.glob("pw-*"))
    return _cycles(folder)[1]


def cycles_of_first_frame(folder: Path) -> int:
    return _cycles(folder)[0]


def _cycles(folder: Path) -> list[int]:
    lines = (folder / "two-frames.out").read_text().splitlines()
    return [int(line.split()[-2]) for line in lines if "convergence has been achieved in" in line]


def test_a_failed_scf_is_solved_another_way_and_the_label_says_so(tmp_path: Path) -> None:
    hasty = alloy(scf={"max_iterations": 3})
    result = label(hasty, FRAME, tmp_path)
    assert "max_iterations: 3 → 300" in result.handlers
    careful = label(alloy(), FRAME, tmp_path)
    assert careful.handlers == ()
    assert result.label.energy == pytest.approx(careful.label.energy, abs=1e-6)
    assert result.level.fingerprint == careful.level.fingerprint


def test_an_scf_that_no_way_solves_is_a_failure_and_never_a_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "MOST_ITERATIONS", 2)
    result = labelled(alloy(scf={"max_iterations": 2}), FRAME, tmp_path)
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.NOT_CONVERGED
    assert result.handlers
    assert result.directory is not None
    assert (result.directory / OUTPUT).exists()


def test_two_ranks_give_the_label_of_one(tmp_path: Path) -> None:
    """In two pools over k-points, and in one over plane waves."""
    one = label(alloy(), FRAME, tmp_path).label
    for pools in (None, 1):
        two = label(alloy(ranks=2, pools=pools), FRAME, tmp_path, threads=2).label
        assert two.energy == pytest.approx(one.energy, abs=1e-6)
        assert two.forces == pytest.approx(one.forces, abs=1e-4)


def test_a_launcher_of_another_mpi_is_found_out_before_a_label_is_taken(tmp_path: Path) -> None:
    """The mpich wheel's mpirun makes two one-rank copies of the job."""
    given = alloy(ranks=2, pools=1, mpirun=foreign_mpirun(), mpirun_arguments=())
    result = labelled(given, FRAME, tmp_path, threads=2)
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.PROGRAM
    assert "belongs to another MPI" in result.message
    mpi = next(report for report in given.doctor() if report.name == "pw.x mpirun")
    assert mpi.problem is not None


def test_doctor_tells_version_pseudopotentials_and_that_two_ranks_find_each_other() -> None:
    reports = {report.name: report for report in alloy(ranks=2).doctor()}
    assert reports["pw.x"].version is not None
    assert reports["pseudopotentials"].found is not None
    assert reports["pw.x mpirun"].problem is None, reports["pw.x mpirun"].problem
    assert all(report.problem is None for report in reports.values())


def test_spin_and_charge_reach_the_program(tmp_path: Path) -> None:
    """An Al atom in a box: its doublet lies below its quartet."""
    frame = Frame(("Al",), np.zeros((1, 3)), 6.0 * np.eye(3), (True,) * 3)
    given = alloy(8.0, k_spacing_per_angstrom=None, smearing={"width_ev": 0.05}, virial=False)
    doublet = label(given, frame, tmp_path, multiplicity=2)
    quartet = label(given, frame, tmp_path, multiplicity=4)
    assert doublet.label.energy < quartet.label.energy
    assert doublet.label.virial is None
    ion = label(given, frame, tmp_path, charge=1)
    assert ion.label.energy > doublet.label.energy


@pytest.mark.slow
def test_sixteen_lithium_atoms_have_the_energy_that_the_issue_gives(tmp_path: Path) -> None:
    """-238.560265 Ry: pw.x by itself, 40 Ry, 320 Ry, 3x3x3, Methfessel-Paxton 0.02 Ry."""
    from ase.build import bulk

    atoms = bulk("Li", "bcc", a=3.43, cubic=True).repeat(2)
    atoms.rattle(0.05, seed=1)
    frame = Frame(tuple(atoms.symbols), atoms.positions, atoms.cell.array, (True,) * 3)
    given = alloy(
        40.0,
        pseudopotentials={"Li": LITHIUM},
        density_cutoff_rydberg=320.0,
        k_spacing_per_angstrom=0.05,
        smearing={"width_ev": 0.02 * RYDBERG_EV},
        scf={"threshold_rydberg": 1e-7},  # a hundredth of what is asked for
        virial=False,
        ranks=None,
    )
    found = label(given, frame, tmp_path, threads=2)
    assert ("k_points", "3x3x3") in found.level.settings
    assert found.label.energy / RYDBERG_EV == pytest.approx(-238.560265, abs=1e-5)

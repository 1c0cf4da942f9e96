"""The CP2K labeler with the real CP2K: values, conventions, handlers, failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from labelers.cp2k import handlers
from labelers.cp2k.input import Job, box_of, force_eval, structure
from labelers.cp2k.labeler import Cp2kLabeler
from labelers.cp2k.launch import INPUT, OUTPUT
from labelers.geometry import atoms_of
from labelers.xtb.labeler import XtbLabeler
from sis_engine.errors import ConfigurationError
from sis_engine.execution.program import run_program
from sis_engine.interfaces import Context, SinglePoints
from sis_engine.records import Failure, Frame, LabelFailure, Labelled, System
from sis_engine.structures import read_structure
from sis_engine.testing.labeler_contract import CHECKS, LabelerCase
from tests.conftest import Figure, largest
from tests.external.conftest import foreign_mpirun, require_program
from tests.external.cp2k_cases import ORIGIN, cp2k, gfn1, label, labelled, pbe, skewed, waters

pytestmark = [pytest.mark.external, pytest.mark.timeout(1800)]  # DFT on a loaded machine

GFN1, PBE = "CP2K, GFN1-xTB", "CP2K, PBE-D3"
CLUSTER = Path(__file__).parents[2] / "configs" / "structures" / "lifsi-dol-cluster.xyz"


@pytest.fixture(autouse=True)
def _with_cp2k() -> None:
    require_program("cp2k.psmp")


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_labeler_keeps_its_contract(
    check: Callable[[LabelerCase], None], tmp_path: Path, figure: Figure
) -> None:
    frame = waters(1, skewed(5.0))
    positions = frame.positions.copy()
    positions[1] = positions[0] + 0.01
    bad = replace(frame, positions=positions)
    check(
        LabelerCase(
            gfn1(scf={"eps_scf": 1e-8}),
            System("contract", frame),
            bad,
            tmp_path,
            force_tolerance=2e-3,
            components=2,
            measured=partial(figure, GFN1),
        )
    )


def test_units_are_those_worked_out_by_hand(tmp_path: Path, figure: Figure) -> None:
    """From the printed numbers: 1 hartree is 27.211386 eV, and 27.211386 / 0.52917721 = 51.422067
    so that 1 hartree/bohr is 51.422067 eV/Å.
    """
    given, frame = gfn1(), waters(1, 8.0 * np.eye(3))
    printed = run_alone(given, tmp_path, input_of(given, frame))
    energy = float(next(line.split()[-1] for line in printed if "ENERGY| Total" in line))
    row = next(k for k, line in enumerate(printed) if "ATOMIC FORCES in" in line) + 3
    force = [float(word) for word in printed[row].split()[3:]]
    mine = label(given, frame, tmp_path).label
    by_hand = energy * 27.211386, np.array(force) * 51.422067
    figure(GFN1, "energy by hand", mine.energy / by_hand[0] - 1.0, "relative")
    figure(GFN1, "forces by hand", largest(mine.forces[0] / by_hand[1], 1.0), "relative")
    assert mine.energy == pytest.approx(by_hand[0], rel=1e-7)
    assert mine.forces[0] == pytest.approx(by_hand[1], rel=1e-7)


def input_of(given: Cp2kLabeler, frame: Frame) -> str:
    system = System("s", frame)
    lines = structure(box_of(given.config, system, frame), frame.species, frame.positions)
    return Job("ENERGY_FORCE", force_eval(given.config, system)).text(lines)


def run_alone(given: Cp2kLabeler, folder: Path, text: str) -> list[str]:
    """CP2K without the labeler's reader: the lines it printed."""
    (folder / INPUT).write_text(text)
    run_program(given.launcher.run(folder, 1, 1.0))
    return (folder / OUTPUT).read_text().splitlines()


def test_dpdata_reads_the_same_label_from_the_same_output(tmp_path: Path) -> None:
    """A second reader, with constants of its own, of a run in more words."""
    import dpdata

    given, frame = gfn1(), waters(2, skewed(5.5))
    run_alone(given, tmp_path, input_of(given, frame).replace("LEVEL LOW", "LEVEL MEDIUM"))
    theirs = dpdata.LabeledSystem(str(tmp_path / OUTPUT), fmt="cp2k/output").data
    mine = label(given, frame, tmp_path).label
    assert mine.energy == pytest.approx(theirs["energies"][0], rel=1e-7)
    assert mine.forces == pytest.approx(theirs["forces"][0], abs=1e-5)


def test_labels_agree_with_ases_own_calculator_on_the_same_input(
    tmp_path: Path, figure: Figure
) -> None:
    """ASE talks to CP2K's shell, which answers in eV of CODATA 2006: 9e-8 from ours of 2018."""
    from ase.calculators.cp2k import CP2K

    given = gfn1()
    frame = waters(2, skewed(5.5))
    system = System("s", frame)
    plain = gfn1(virial=False).config  # ASE asks for the stress in its own words
    physics = Job("ENERGY_FORCE", force_eval(plain, system)).text([])
    body = physics[physics.index("&FORCE_EVAL") : physics.index("&GLOBAL")]
    atoms = atoms_of(frame)
    program = str(given.launcher.executable)
    atoms.calc = CP2K(
        command=f"env OMP_NUM_THREADS=1 OMPI_MCA_ess_singleton_isolated=1 {program} -s",
        label=str(tmp_path / "ase"),
        inp=body.replace("SCF_GUESS RESTART", "SCF_GUESS ATOMIC"),
        basis_set=None, basis_set_file=None, charge=None, cutoff=None, force_eval_method=None,
        max_scf=None, potential_file=None, pseudo_potential=None, stress_tensor=True,
        poisson_solver=None, xc=None, print_level="LOW",
    )  # fmt: skip
    mine = label(given, frame, tmp_path).label
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
    figure(GFN1, "energy against ASE", mine.energy / energy - 1.0, "relative")
    figure(GFN1, "forces against ASE", largest(mine.forces, forces), "eV/Å")
    figure(GFN1, "virial against ASE", largest(mine.virial, virial), "eV")
    assert mine.energy == pytest.approx(energy, rel=1e-7)
    assert mine.forces == pytest.approx(forces, abs=2e-6)
    assert mine.virial == pytest.approx(virial, abs=1e-4)


@pytest.mark.slow
def test_pbe_forces_and_stress_are_derivatives_of_the_energy(
    tmp_path: Path, figure: Figure
) -> None:
    frame = waters(1, skewed(6.0))
    given = pbe()
    here = label(given, frame, tmp_path).label
    assert here.virial is not None
    force = -slope(lambda by: moved(frame, 1, 0, by), given, tmp_path, 2e-3)
    virial = -slope(lambda by: strained(frame, 0, 1, by), given, tmp_path, 1e-3)
    figure(PBE, "forces against energy differences", here.forces[1, 0] - force, "eV/Å")
    figure(PBE, "virial against energy differences", here.virial[0, 1] - virial, "eV")
    assert here.forces[1, 0] == pytest.approx(force, abs=2e-3)
    assert here.virial[0, 1] == pytest.approx(virial, abs=2e-2)


@pytest.mark.slow
def test_smeared_electrons_at_k_points_give_the_free_energy_forces_belong_to(
    tmp_path: Path,
) -> None:
    """At 3,000 K the entropy term is tens of meV: the wrong energy would show.

    At 200 Ry the grid would: with k-points 0.15/Å apart the force is 0.017 eV/Å there, the slope
    -0.013 by steps of 0.01 Å and 0.015 by 0.003, and the forces of two atoms sum to 0.14.
    """
    cell = 3.44 * np.array([[1.0, 0.02, 0.0], [0.0, 1.01, 0.0], [0.0, 0.03, 1.0]])
    frame = Frame(("Li", "Li"), np.array([[0.05, 0, 0], [1.72, 1.75, 1.6]]), cell, (True,) * 3)
    given = cp2k(
        method={
            "type": "dft",
            "cutoff_rydberg": 400.0,
            "smearing_k": 3000.0,
            "empty_orbitals": 4,
            "k_spacing_per_angstrom": 0.6,
        },
        scf={"solver": "diagonalization", "eps_scf": 1e-8, "max_iterations": 100},
    )
    here = label(given, frame, tmp_path).label
    force = -slope(lambda by: moved(frame, 0, 0, by), given, tmp_path, 1e-2)
    assert here.forces[0, 0] == pytest.approx(force, abs=2e-3)


def slope(frame_at: Callable[[float], Frame], given, folder: Path, step: float) -> float:
    """dE/dx by a central difference, eV per unit of x."""
    plus = label(given, frame_at(step), folder).label.energy
    minus = label(given, frame_at(-step), folder).label.energy
    return (plus - minus) / (2.0 * step)


def moved(frame: Frame, atom: int, axis: int, by: float) -> Frame:
    positions = frame.positions.copy()
    positions[atom, axis] += by
    return replace(frame, positions=positions)


def strained(frame: Frame, row: int, column: int, by: float) -> Frame:
    strain = np.eye(3)
    strain[row, column] += by
    return replace(frame, positions=frame.positions @ strain.T, cell=frame.cell @ strain.T)


def test_a_failed_scf_is_solved_another_way_and_the_label_says_so(tmp_path: Path) -> None:
    """Three cycles are too few; CP2K 2023.1 would print the energy and end with exit code 0."""
    frame = waters(1, skewed(5.0))
    hasty = gfn1(scf={"eps_scf": 1e-7, "max_iterations": 3, "outer_loops": 1})
    result = label(hasty, frame, tmp_path)
    assert any(change.startswith("SCF/OT/MINIMIZER: DIIS → CG") for change in result.handlers)
    careful = label(gfn1(), frame, tmp_path)
    assert careful.handlers == ()
    assert result.label.energy == pytest.approx(careful.label.energy, abs=1e-5)
    assert result.level.fingerprint == careful.level.fingerprint


def test_an_scf_that_no_way_solves_is_a_failure_and_never_a_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = waters(1, skewed(5.0))
    monkeypatch.setattr(handlers, "MOST_ITERATIONS", 2)
    given = gfn1(scf={"eps_scf": 1e-30, "max_iterations": 2, "outer_loops": 1})
    result = labelled(given, frame, tmp_path)
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.NOT_CONVERGED
    assert len(result.handlers) > 3
    assert result.directory is not None
    assert (result.directory / OUTPUT).exists()


def test_a_missing_basis_set_is_named_before_anything_runs(tmp_path: Path) -> None:
    given = cp2k(method={"type": "dft", "basis": "DZVP-MOLOPT-GTH"})
    frame = Frame(("Li",) * 2, np.array([[0.0, 0, 0], [2, 0, 0]]), 8 * np.eye(3), (True,) * 3)
    with pytest.raises(ConfigurationError, match="Li has no entry 'DZVP-MOLOPT-GTH'") as caught:
        given.check(System("s", frame))
    assert "DZVP-MOLOPT-SR-GTH" in str(caught.value.allowed)
    assert not list(tmp_path.iterdir())


def test_a_keyword_that_this_cp2k_does_not_know_is_found_by_check(tmp_path: Path) -> None:
    template = tmp_path / "new.inp"
    template.write_text(
        "&FORCE_EVAL\n&DFT\n&QS\nMETHOD XTB\n&XTB\nGFN_TYPE 1\n&END\n&END\n&END\n&END\n"
    )
    given = cp2k(method={"type": "template", "file": template})
    with pytest.raises(ConfigurationError, match="GFN_TYPE"):
        given.check(System("s", waters(1, 8.0 * np.eye(3))))


def test_a_template_gives_the_label_of_the_same_settings(tmp_path: Path) -> None:
    template = tmp_path / "gfn1.inp"
    template.write_text(
        "! any case, any order, comments\n&force_eval\n  &dft\n    &scf\n      eps_scf 1.0E-7\n"
        "      max_scf 40\n      &ot\n        preconditioner full_all\n      &end\n    &end scf\n"
        "    &qs\n      method xtb\n      &xtb\n        do_ewald t\n      &end\n    &end qs\n"
        "  &end dft\n  &subsys\n    &cell\n      abc 1 1 1\n    &end\n  &end\n&end\n"
    )
    frame = waters(2, skewed(5.5))
    given = cp2k(method={"type": "template", "file": template})
    given.check(System("s", frame))
    mine, typed = label(given, frame, tmp_path), label(gfn1(), frame, tmp_path)
    assert mine.label.energy == pytest.approx(typed.label.energy, abs=1e-6)
    assert mine.level.fingerprint != typed.level.fingerprint


def test_lifsi_whose_guess_has_charges_out_of_range_gets_tblites_label(tmp_path: Path) -> None:
    """CP2K's check of charges stops this SCF at its guess; what it converges to is right."""
    frame = read_structure(CLUSTER)
    mine = label(gfn1(), frame, tmp_path).label
    tblite = XtbLabeler(XtbLabeler.Config(method="GFN1-xTB"))
    task = SinglePoints(System("s", frame), (frame,), (ORIGIN,))
    (other,) = tblite.label(task, Context(tmp_path / "tblite"))
    assert isinstance(other, Labelled)
    assert mine.energy == pytest.approx(other.label.energy, abs=0.01)
    assert mine.forces == pytest.approx(other.label.forces, abs=0.02)
    checked = tmp_path / "checked.inp"
    checked.write_text(
        "&FORCE_EVAL\n&DFT\n&SCF\nEPS_SCF 1.0E-7\n&OT\nPRECONDITIONER FULL_ALL\n&END\n&END\n"
        "&QS\nMETHOD XTB\n&XTB\nDO_EWALD F\n&END\n&END\n&END\n&END\n"
    )
    stopped = labelled(cp2k(method={"type": "template", "file": checked}), frame, tmp_path)
    assert isinstance(stopped, LabelFailure)
    assert stopped.reason is Failure.SOLVER
    assert "CHECK_ATOMIC_CHARGES F" in stopped.message


def test_two_ranks_give_the_label_of_one(tmp_path: Path) -> None:
    frame = waters(2, skewed(5.5))
    two = gfn1(ranks=2)
    task = SinglePoints(System("s", frame), (frame,), (ORIGIN,))
    (result,) = two.label(task, Context(tmp_path, threads=2))
    assert isinstance(result, Labelled)
    one = label(gfn1(), frame, tmp_path)
    assert result.label.energy == pytest.approx(one.label.energy, abs=1e-6)


def test_a_launcher_of_another_mpi_is_found_out_before_a_label_is_taken(tmp_path: Path) -> None:
    """The mpich wheel's mpirun makes two one-rank copies of the job, and exit code 0 of them."""
    given = gfn1(ranks=2, mpirun=foreign_mpirun(), mpirun_arguments=())
    frame = waters(2, skewed(5.5))
    task = SinglePoints(System("s", frame), (frame,), (ORIGIN,))
    (result,) = given.label(task, Context(tmp_path, threads=2))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.PROGRAM
    assert "belongs to another MPI" in result.message


def test_doctor_tells_version_data_and_that_two_ranks_find_each_other() -> None:
    reports = {report.name: report for report in gfn1(ranks=2).doctor()}
    assert reports["cp2k"].version is not None
    assert reports["cp2k data"].found is not None
    assert reports["cp2k mpirun"].problem is None
    assert all(report.problem is None for report in reports.values())

"""A LAMMPS potential as the reference, through the real ``lmp``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.lj import LennardJones

from labelers.geometry import atoms_of
from labelers.teacher.labeler import TeacherLabeler
from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Context, Segment
from sis_engine.records import (
    Failure,
    Frame,
    LabelFailure,
    Labelled,
    Origin,
    Purpose,
    SegmentSpec,
    Start,
    System,
)
from sis_engine.reference_md import ReferenceMD
from sis_engine.testing.labeler_contract import CHECKS, LabelerCase
from tests.conftest import Figure, largest
from tests.external.conftest import require_program
from tests.integration.small_campaigns import records, run, write_campaign

pytestmark = pytest.mark.external

LAMMPS = "teacher: LAMMPS"
LINES = {"pair_style": "lj/smooth/linear 8.0", "pair_coeff": ["* * 0.0104 3.4"]}


def _argon(*, periodic: bool, species: tuple[str, ...] = ("Ar", "Ne") * 4) -> Frame:
    grid = np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
    positions = 3.8 * (grid + 0.06 * np.random.default_rng(5).normal(size=grid.shape))
    if not periodic:
        return Frame(species, positions)
    cell = 7.8 * np.array([[1.0, 0.03, 0.0], [0.02, 1.02, 0.04], [0.0, 0.05, 1.05]])
    return Frame(species, positions, cell, (True, True, True))


def _teacher(**settings: object) -> TeacherLabeler:
    potential = {"type": "lammps", **LINES, **settings}
    return TeacherLabeler(TeacherLabeler.Config.model_validate({"potential": potential}))


@pytest.fixture(scope="module")
def labeler() -> Iterator[TeacherLabeler]:
    require_program("lmp")
    made = _teacher()
    yield made
    made.potential.close()


def _case(labeler: TeacherLabeler, folder: Path, *, periodic: bool) -> LabelerCase:
    frame = _argon(periodic=periodic)
    positions = frame.positions.copy()
    positions[1] = positions[0] + 0.01
    bad = replace(frame, positions=positions)
    return LabelerCase(labeler, System("argon", frame), bad, folder)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_lammps_teacher_keeps_its_contract(
    check: Callable[[LabelerCase], None],
    periodic: bool,
    labeler: TeacherLabeler,
    tmp_path: Path,
    figure: Figure,
) -> None:
    case = _case(labeler, tmp_path, periodic=periodic)
    check(replace(case, measured=partial(figure, LAMMPS)))


def test_lammps_and_ase_agree_on_lennard_jones(tmp_path: Path, figure: Figure) -> None:
    """A second reader: truncated at 8 Å without shift, in a skewed cell."""
    require_program("lmp")
    labeler = _teacher(pair_style="lj/cut 8.0")
    frame = _argon(periodic=True)
    case = replace(_case(labeler, tmp_path, periodic=True), labeler=labeler)
    label = case.good(frame).label
    labeler.potential.close()
    atoms = atoms_of(frame)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=8.0)
    shift = 4 * 0.0104 * ((3.4 / 8.0) ** 12 - (3.4 / 8.0) ** 6)
    n_pairs = _pairs_within(frame, 8.0)
    energy, forces = atoms.get_potential_energy() + shift * n_pairs, atoms.get_forces()
    virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
    figure(LAMMPS, "energy against ASE", label.energy / energy - 1.0, "relative")
    figure(LAMMPS, "forces against ASE", largest(label.forces, forces), "eV/Å")
    figure(LAMMPS, "virial against ASE", largest(label.virial, virial), "eV")
    assert label.energy == pytest.approx(energy, abs=1e-8)
    assert label.forces == pytest.approx(forces, abs=1e-8)
    assert label.virial == pytest.approx(virial, abs=1e-6)


def _pairs_within(frame: Frame, cutoff: float) -> int:
    from ase.neighborlist import neighbor_list

    return len(neighbor_list("i", atoms_of(frame), cutoff)) // 2


def test_a_label_costs_milliseconds_once_lammps_is_up(labeler: TeacherLabeler) -> None:
    system = System("argon", _argon(periodic=True))
    origin = Origin(Purpose.SEGMENT, 0, "argon", "p", 0)
    spec = SegmentSpec(n_steps=100, timestep_fs=2.0, temperature_k=50.0)
    task = Segment(system, Start(system.frame), spec, origin)
    begun = time.perf_counter()
    results = list(ReferenceMD(labeler).label(task, Context(Path())))
    assert all(isinstance(result, Labelled) for result in results)
    assert (time.perf_counter() - begun) / 100 < 0.1


def test_a_wrong_pair_style_is_a_failure_with_what_lammps_said(tmp_path: Path) -> None:
    require_program("lmp")
    labeler = _teacher(pair_style="no/such/style 1.0")
    (result,) = _case(labeler, tmp_path, periodic=True).label(_argon(periodic=True))
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.PROGRAM
    assert "no/such/style" in result.message


def test_the_process_ends_with_the_labeler(tmp_path: Path) -> None:
    require_program("lmp")
    labeler = _teacher()
    _case(labeler, tmp_path, periodic=False).good(_argon(periodic=False))
    process = labeler.potential._process._process
    assert process.poll() is None
    del labeler
    assert process.wait(timeout=10) is not None


def test_the_potential_files_are_in_the_level_of_theory(tmp_path: Path) -> None:
    require_program("lmp")
    table = tmp_path / "some.eam"
    table.write_text("one")
    labeler = _teacher(pair_style="eam", pair_coeff=["* * {file:some.eam}"], files=[table])
    system = System("argon", _argon(periodic=True))
    before = labeler.level_of_theory(system).fingerprint
    table.write_text("two")
    assert labeler.level_of_theory(system).fingerprint != before
    labeler.potential.close()


LITHIUM = {
    "pair_style": "snap",
    "pair_coeff": ["* * {file:Li_Zuo_JPCA2020.snapcoeff} {file:Li_Zuo_JPCA2020.snapparam} Li"],
    "shipped_files": ["Li_Zuo_JPCA2020.snapcoeff", "Li_Zuo_JPCA2020.snapparam"],
}


def test_plans_labelled_side_by_side_each_get_their_own_label(labeler: TeacherLabeler) -> None:
    """The engine walks plans in threads; one ``lmp`` answers one question at a time."""
    frame = _argon(periodic=True)
    frames = [replace(frame, positions=frame.positions * (1 + 1e-4 * k)) for k in range(24)]
    case = _case(labeler, Path(), periodic=True)
    one_by_one = [case.good(item).label.energy for item in frames]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda item: case.good(item).label.energy, frames)) == one_by_one


def _lithium(constant: float) -> Frame:
    atoms = bulk("Li", "bcc", a=constant, cubic=True).repeat(2)
    return Frame(tuple(atoms.symbols), atoms.positions, atoms.cell.array, (True,) * 3)


def test_a_potential_that_lammps_ships_is_found_by_its_name(tmp_path: Path) -> None:
    """Zuo et al. (J. Phys. Chem. A 124, 731) give 3.506 Å for the Li SNAP: there its pressure
    vanishes, and its energy is lowest.
    """
    require_program("lmp")
    labeler = _teacher(**LITHIUM)
    case = replace(_case(labeler, tmp_path, periodic=True), system=System("li", _lithium(3.506)))
    labeler.check(case.system)
    label = case.good(case.system.frame).label
    others = [case.good(_lithium(constant)).label for constant in (3.48, 3.53)]
    labeler.potential.close()
    assert np.abs(label.forces).max() < 1e-8
    assert abs(np.trace(label.virial)) < 0.05
    assert others[0].virial[0, 0] > 0.1 > -0.1 > others[1].virial[0, 0]
    assert label.energy < min(other.energy for other in others)
    settings = dict(labeler.level_of_theory(case.system).settings)
    assert "sha256:Li_Zuo_JPCA2020.snapcoeff" in settings


def test_a_potential_that_lammps_does_not_ship_is_named(tmp_path: Path) -> None:
    require_program("lmp")
    labeler = _teacher(shipped_files=["Li_Nobody.snapcoeff"])
    with pytest.raises(ConfigurationError, match=r"Li_Nobody\.snapcoeff"):
        labeler.check(System("argon", _argon(periodic=True)))


def test_a_file_that_is_not_listed_is_named(tmp_path: Path) -> None:
    require_program("lmp")
    labeler = _teacher(pair_coeff=["* * {file:absent.eam}"])
    with pytest.raises(ConfigurationError, match=r"absent\.eam"):
        labeler.check(System("argon", _argon(periodic=True)))


# --------------------------------------------------------------------------- ReaxFF

REAXFF = {
    "pair_style": "reaxff NULL",
    "pair_coeff": ["* * {file:ffield.reax.cho} {elements}"],
    "shipped_files": ["ffield.reax.cho"],
    "extra": ["fix charges all qeq/reaxff 1 0.0 10.0 1e-10 reaxff"],
    "atom_style": "charge",
    "units": "real",
    "virial": False,
}


def test_reaxff_has_ethanes_energy_in_ev_and_forces_that_are_its_slope(figure: Figure) -> None:
    """LAMMPS itself, run by hand: -791.1283559 kcal/mol for ASE's ethane."""
    require_program("lmp")
    teacher = _teacher(**REAXFF)
    ethane = molecule("C2H6")
    frame = Frame(tuple(ethane.get_chemical_symbols()), ethane.positions)
    label = teacher.potential.evaluate(frame)
    by_hand = -791.1283559 / 23.0605478
    figure(LAMMPS, "energy by hand", label.energy / by_hand - 1.0, "relative")
    assert label.energy == pytest.approx(by_hand, abs=1e-5)
    step = 1e-3
    for atom, axis in ((0, 2), (3, 1)):
        energies = []
        for sign in (1, -1):
            moved = frame.positions.copy()
            moved[atom, axis] += sign * step
            energies.append(teacher.potential.evaluate(replace(frame, positions=moved)).energy)
        slope = -(energies[0] - energies[1]) / (2 * step)
        # ReaxFF's own: measured 6.5e-4 of the slope, with charges converged to 1e-10
        assert label.forces[atom, axis] == pytest.approx(slope, rel=2e-3, abs=2e-3)
    assert "units real" in dict(teacher.level_of_theory(System("e", frame)).settings)["commands"]
    teacher.potential.close()


def test_reaxff_moves_the_structure_between_two_segments_of_reference_md(tmp_path: Path) -> None:
    """The sampler `hybrid` on ethane: AIREBO is the reference, ReaxFF the cheap force field."""
    require_program("lmp")
    changes = {
        "labeler": {
            "type": "teacher",
            "potential": {
                "type": "lammps",
                "pair_style": "airebo 2.0 0 0",
                "pair_coeff": ["* * {file:CH.airebo} {elements}"],
                "shipped_files": ["CH.airebo"],
                "virial": False,
            },
        },
        "systems.0.structure": "ethane.xyz",
        "sampler": {
            "type": "hybrid",
            "force_field": {"type": "teacher", "potential": {"type": "lammps", **REAXFF}},
            "segment": {"length_fs": 20.0, "timestep_fs": 0.5},
            "cheap": {"length_ps": 0.05},
            "min_survivors": 3,
            "audit": {"decorrelation_fs": 50.0},
        },
        "audit.max_relative_force_rmse": 1e-9,  # never enough
        "budget.generations": 2,
    }
    config = write_campaign(tmp_path / "given", changes)
    molecule("C2H6").write(tmp_path / "given" / "ethane.xyz")
    run(tmp_path / "run", config)
    first, second = records(tmp_path / "run")
    (plan,) = first.decision.plans
    assert "after 0.05 ps of the force field's MD" in plan.reason
    (segment,) = [o for o in second.outcomes if o.purpose is Purpose.SEGMENT]
    assert segment.labelled[0].frame.key == plan.starts[0].frame.key
    end = [item for o in first.outcomes for item in o.labelled][-1]
    moved = np.abs(plan.starts[0].frame.positions - end.frame.positions).max()
    assert 0.01 < moved < 2.0
    assert len(segment.labelled) == 40

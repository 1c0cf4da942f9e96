"""The xTB labeler with the real tblite: values, conventions, failures, silence, threads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labelers.geometry import atoms_of
from labelers.xtb.labeler import XtbLabeler
from labelers.xtb.openmp import gnu_openmp, openmp_threads
from sis_engine.interfaces import Context, Segment, SinglePoints
from sis_engine.labelling.banked import BankedLabeler
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
from sis_engine.reference_md.integrators import kinetic_energy, mechanics_of
from sis_engine.testing.fakes import FakeBank
from tests.conftest import Figure, largest
from tests.external.conftest import require_module

pytestmark = pytest.mark.external

CLUSTER = Path(__file__).parents[2] / "configs" / "structures" / "lifsi-dol-cluster.xyz"
ORIGIN = Origin(Purpose.SINGLE, 0, "s", "p", 0)


@pytest.fixture(autouse=True)
def _with_tblite() -> None:
    require_module("tblite")


def labeler(**settings: object) -> XtbLabeler:
    return XtbLabeler(XtbLabeler.Config.model_validate(settings))


def label(given: XtbLabeler, frame: Frame, **system: int) -> Labelled | LabelFailure:
    task = SinglePoints(System("s", frame, **system), (frame,), (ORIGIN,))
    (result,) = given.label(task, Context(Path()))
    return result


def cluster() -> Frame:
    from ase.io import read

    atoms = read(CLUSTER)
    rng = np.random.default_rng(0)
    positions = atoms.positions + 0.03 * rng.normal(size=(len(atoms), 3))
    return Frame(tuple(atoms.get_chemical_symbols()), positions)


def boxed() -> Frame:
    cell = np.array([[9.0, 0.5, 0.0], [0.0, 9.5, 0.7], [0.2, 0.0, 10.0]])
    return replace(cluster(), cell=cell, pbc=(True, True, True))


@pytest.mark.parametrize("method", ["GFN1-xTB", "GFN2-xTB"])
@pytest.mark.parametrize("periodic", [False, True])
def test_labels_agree_with_tblites_own_ase_calculator(
    method: str, periodic: bool, figure: Figure
) -> None:
    """A second reader of the same library, with its own unit conversions (ASE's constants)."""
    from tblite.ase import TBLite

    frame = boxed() if periodic else cluster()
    mine = label(labeler(method=method), frame).label
    atoms = atoms_of(frame)
    atoms.calc = TBLite(method=method, charge=0.0, multiplicity=1, accuracy=0.1, verbosity=0)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    figure(f"tblite, {method}", "energy against ASE", mine.energy / energy - 1.0, "relative")
    figure(f"tblite, {method}", "forces against ASE", largest(mine.forces, forces), "eV/Å")
    assert mine.energy == pytest.approx(energy, rel=1e-7)
    assert mine.forces == pytest.approx(forces, abs=1e-5)
    if periodic:
        virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
        figure(f"tblite, {method}", "virial against ASE", largest(mine.virial, virial), "eV")
        assert mine.virial == pytest.approx(virial, abs=1e-4)


def test_units_are_those_worked_out_by_hand(figure: Figure) -> None:
    """1 hartree is 27.211386 eV, and 27.211386 / 0.52917721 = 51.422067, so that 1 hartree/bohr is
    51.422067 eV/Å. tblite itself is asked, in its own units.
    """
    from ase.data import atomic_numbers
    from tblite.interface import Calculator

    frame = cluster()
    numbers = np.array([atomic_numbers[symbol] for symbol in frame.species])
    theirs = Calculator("GFN2-xTB", numbers, frame.positions / 0.52917721)
    theirs.set("accuracy", 0.1)
    theirs.set("verbosity", 0)
    printed = theirs.singlepoint()
    mine = label(labeler(), frame).label
    energy, forces = printed["energy"] * 27.211386, -printed["gradient"] * 51.422067
    figure("tblite, GFN2-xTB", "energy by hand", mine.energy / energy - 1.0, "relative")
    figure("tblite, GFN2-xTB", "forces by hand", largest(mine.forces, forces), "eV/Å")
    assert mine.energy == pytest.approx(energy, rel=1e-7)
    assert mine.forces == pytest.approx(forces, abs=1e-5)


def test_the_energy_of_hydrogen_is_the_published_one_in_ev() -> None:
    """GFN2-xTB H2 at 0.7414 Å: -0.9823 Eh, i.e. about -26.73 eV."""
    dimer = Frame(("H", "H"), [[0, 0, 0], [0.7414, 0, 0]])
    assert label(labeler(), dimer).label.energy == pytest.approx(-26.73, abs=0.03)


def test_the_energy_is_the_free_energy_that_forces_belong_to() -> None:
    """At 20,000 K the entropy term is large: only the free energy matches the forces."""
    hot = labeler(electronic_temperature_k=20_000.0)
    frame = cluster()
    forces = label(hot, frame).label.forces
    step = 1e-3
    energies = []
    for sign in (1.0, -1.0):
        positions = frame.positions.copy()
        positions[0, 0] += sign * step
        energies.append(label(hot, replace(frame, positions=positions)).label.energy)
    assert forces[0, 0] == pytest.approx(-(energies[0] - energies[1]) / (2 * step), abs=1e-3)
    assert label(labeler(), frame).label.energy - energies[0] > 0.1  # -TS lowers it


def test_labels_are_the_same_bit_by_bit_whatever_came_before() -> None:
    given = labeler(charges=True)
    frame = cluster()
    first = label(given, frame)
    label(given, replace(frame, positions=1.05 * frame.positions))
    second = label(given, frame)
    assert first.label.energy == second.label.energy
    assert (first.label.forces == second.label.forces).all()
    assert (first.label.charges == second.label.charges).all()


def test_a_warm_start_changes_labels_within_the_scf_threshold_only() -> None:
    warm = labeler(warm_start=True)
    frame = cluster()
    cold = label(labeler(), frame).label
    label(warm, replace(frame, positions=frame.positions + 0.01))
    again = label(warm, frame).label
    assert again.energy == pytest.approx(cold.energy, abs=1e-6)
    assert again.forces == pytest.approx(cold.forces, abs=1e-4)


def test_charges_sum_to_the_total_charge_and_lithium_is_positive() -> None:
    result = label(labeler(charges=True), cluster())
    charges = dict(zip(cluster().species, result.label.charges, strict=True))
    assert result.label.charges.sum() == pytest.approx(0.0, abs=1e-8)
    assert charges["Li"] > 0.2
    water = Frame(("O", "H", "H"), [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    ion = label(labeler(charges=True), water, charge=1, multiplicity=2)
    assert ion.label.charges.sum() == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize(
    ("frame", "settings", "reason"),
    [
        (cluster(), {"max_iterations": 3}, Failure.NOT_CONVERGED),
        (replace(cluster(), positions=0.2 * cluster().positions), {}, Failure.BAD_GEOMETRY),
        (replace(cluster(), positions=np.nan * cluster().positions), {}, Failure.BAD_GEOMETRY),
        (replace(boxed(), cell=np.diag([0.1, 9.0, 9.0])), {}, Failure.BAD_GEOMETRY),
    ],
)
def test_what_cannot_be_labelled_is_a_classed_failure(
    frame: Frame, settings: dict[str, object], reason: Failure
) -> None:
    result = label(labeler(**settings), frame)
    assert isinstance(result, LabelFailure)
    assert result.reason is reason
    assert result.message


def test_tblite_says_nothing_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    label(labeler(), cluster())
    label(labeler(max_iterations=3), cluster())
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_openmp_threads_are_limited_at_run_time_and_given_back() -> None:
    library = gnu_openmp()
    if library is None:
        pytest.skip("no libgomp.so.1 on this machine")
    before = library.omp_get_max_threads()
    with openmp_threads(before + 3):
        assert library.omp_get_max_threads() == before + 3
    assert library.omp_get_max_threads() == before


def test_a_killed_segment_goes_on_from_the_bank_bit_by_bit() -> None:
    frame = cluster()
    system = System("s", frame)
    spec = SegmentSpec(n_steps=8, timestep_fs=0.5, temperature_k=300.0, seed=2)
    task = Segment(system, Start(frame), spec, ORIGIN)
    unkilled = list(ReferenceMD(labeler()).label(task, Context(Path())))
    bank = FakeBank()
    steps = ReferenceMD(BankedLabeler(labeler(), bank)).label(task, Context(Path()))
    for _ in range(5):
        next(steps)
    steps.close()
    resumed = list(ReferenceMD(BankedLabeler(labeler(), bank)).label(task, Context(Path())))
    assert [r.frame.key for r in resumed] == [r.frame.key for r in unkilled]
    assert resumed[-1].label.energy == unkilled[-1].label.energy


def test_reference_md_conserves_energy_in_the_microcanonical_ensemble() -> None:
    frame = cluster()
    system = System("s", frame)
    spec = SegmentSpec(60, 0.5, 300.0, thermostat="none", seed=2)
    task = Segment(system, Start(frame), spec, ORIGIN)
    results = list(ReferenceMD(labeler()).label(task, Context(Path())))
    mechanics = mechanics_of(system, frame.positions, "none")
    totals = np.array([r.label.energy + kinetic_energy(mechanics, r.velocities) for r in results])
    potentials = np.array([r.label.energy for r in results])
    assert np.ptp(totals) < 0.05 * np.ptp(potentials)

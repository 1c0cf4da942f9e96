"""Contract tests that any :class:`sis_engine.interfaces.Labeler` can run.

Each check is a function of a :class:`LabelerCase` and raises AssertionError with what it saw;
:data:`CHECKS` lists them all. In a test module::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_the_labeler_keeps_its_contract(check, case):
        check(case)
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sis_engine.errors import StopRequested
from sis_engine.interfaces import Capability, Context, Labeler, ProgramReport, SinglePoints
from sis_engine.records import (
    FloatArray,
    Frame,
    LabelFailure,
    Labelled,
    Origin,
    Purpose,
    System,
)


def _unheard(_what: str, _value: float, _unit: str) -> None:
    """Nobody asked how large the deviations are."""


@dataclass(frozen=True, eq=False)
class LabelerCase:
    """A labeler with a small system it can do, and how exactly.

    system: away from a stationary point, of at least two elements' worth of distinct atoms
    bad_frame: of the same atoms, that cannot be labelled (atoms on top of each other)
    force_tolerance: eV/Å against finite differences;  virial_tolerance: eV
    repeat_tolerance: eV and eV/Å between two labels of one frame; 0 for bitwise
    components: how many force components are checked (each costs two evaluations)
    measured: told the largest deviation of a check in numbers: what, how much, in which unit
    """

    labeler: Labeler
    system: System
    bad_frame: Frame
    workdir: Path
    force_tolerance: float = 1e-3
    virial_tolerance: float = 1e-2
    repeat_tolerance: float = 0.0
    displacement_angstrom: float = 2e-3
    strain: float = 1e-3
    components: int = 4
    measured: Callable[[str, float, str], None] = _unheard

    def label(self, *frames: Frame) -> list[Labelled | LabelFailure]:
        """All results of one task of single points."""
        origins = tuple(self.origin(index) for index in range(len(frames)))
        task = SinglePoints(self.system, frames, origins)
        return list(self.labeler.label(task, Context(self.workdir)))

    def good(self, frame: Frame) -> Labelled:
        """The label of one frame that must have one."""
        (result,) = self.label(frame)
        assert isinstance(result, Labelled), f"no label: {result.reason} {result.message}"
        return result

    def origin(self, index: int) -> Origin:
        return Origin(Purpose.SINGLE, 0, self.system.name, "contract", index, time_fs=1.5)


def check_the_system_passes_its_check(case: LabelerCase) -> None:
    case.labeler.check(case.system)


def check_each_frame_gives_one_result_with_its_own_origin(case: LabelerCase) -> None:
    """Good frames around a bad one: three results, in any order, each told by its origin."""
    frame = case.system.frame
    moved = _moved(frame, 0, 0, 0.05)
    results = case.label(frame, case.bad_frame, moved)
    by_index = {result.origin.index: result for result in results}
    assert sorted(by_index) == [0, 1, 2], f"results for frames {sorted(by_index)}"
    assert len(results) == 3, f"{len(results)} results for 3 frames"
    for index, given in enumerate((frame, case.bad_frame, moved)):
        assert by_index[index].origin == case.origin(index), "the origin was changed"
        assert by_index[index].frame.key == given.key, "the frame was changed"


def check_a_failure_is_a_value_that_says_why(case: LabelerCase) -> None:
    (result,) = case.label(case.bad_frame)
    assert isinstance(result, LabelFailure), "a frame that cannot be labelled got a label"
    assert result.message, "a failure without a message"
    good = case.label(case.bad_frame, case.system.frame)[1]
    assert isinstance(good, Labelled), "a failed frame spoiled the next one"


def check_labels_are_finite_and_of_the_right_shape(case: LabelerCase) -> None:
    result = case.good(case.system.frame)
    label, n_atoms = result.label, case.system.frame.n_atoms
    assert np.isfinite(label.energy), f"energy {label.energy}"
    assert label.forces.shape == (n_atoms, 3), f"forces have shape {label.forces.shape}"
    assert np.isfinite(label.forces).all(), "forces are not finite"
    assert result.seconds >= 0.0, f"{result.seconds} seconds"
    assert result.program_version, "no program version"


def check_capabilities_are_honest(case: LabelerCase) -> None:
    """Charges and virials come if and only if they are announced."""
    capabilities = case.labeler.capabilities
    assert Capability.SINGLE_POINT in capabilities, "a labeler must have single points"
    label = case.good(case.system.frame).label
    has_charges = label.charges is not None
    assert has_charges == (Capability.CHARGES in capabilities), f"charges given: {has_charges}"
    if all(case.system.frame.pbc):
        has_virial = label.virial is not None
        assert has_virial == (Capability.VIRIAL in capabilities), f"virial given: {has_virial}"
    if label.charges is not None:
        total = float(label.charges.sum())
        assert abs(total - case.system.charge) < 1e-3, f"charges sum to {total}"


def check_forces_are_minus_the_energy_gradient(case: LabelerCase) -> None:
    frame = case.system.frame
    forces = case.good(frame).label.forces
    step = case.displacement_angstrom
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(case.components):
        atom, axis = int(rng.integers(frame.n_atoms)), int(rng.integers(3))
        plus = case.good(_moved(frame, atom, axis, step)).label.energy
        minus = case.good(_moved(frame, atom, axis, -step)).label.energy
        expected = -(plus - minus) / (2.0 * step)
        error = abs(float(forces[atom, axis]) - expected)
        worst = max(worst, error)
        assert error <= case.force_tolerance, (
            f"force on atom {atom} along {axis}: {forces[atom, axis]:.6f} eV/Å, "
            f"energy differences say {expected:.6f}"
        )
    case.measured("forces against energy differences", worst, "eV/Å")


def check_the_virial_is_minus_the_energy_derivative_by_strain(case: LabelerCase) -> None:
    """Sign, units and both kinds of component; nothing to check for clusters."""
    frame = case.system.frame
    virial = case.good(frame).label.virial
    if virial is None:
        return
    worst = 0.0
    for row, column in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2)):
        plus = case.good(_strained(frame, row, column, case.strain)).label.energy
        minus = case.good(_strained(frame, row, column, -case.strain)).label.energy
        expected = -(plus - minus) / (2.0 * case.strain)
        seen = float(virial[row, column])
        worst = max(worst, abs(seen - expected))
        assert abs(seen - expected) <= case.virial_tolerance, (
            f"virial[{row}, {column}] is {seen:.5f} eV, energy differences say {expected:.5f}"
        )
    assert np.allclose(virial, virial.T, atol=case.virial_tolerance), "the virial is not symmetric"
    case.measured("virial against energy differences", worst, "eV")


def check_the_same_frame_gives_the_same_label(case: LabelerCase) -> None:
    """Also when another frame was labelled in between: no memory of what came before."""
    first = case.good(case.system.frame).label
    case.good(_moved(case.system.frame, 0, 1, 0.1))
    second = case.good(case.system.frame).label
    energy = abs(first.energy - second.energy)
    force = float(np.abs(first.forces - second.forces).max())
    assert energy <= case.repeat_tolerance, f"energies differ by {energy:.3g} eV"
    assert force <= case.repeat_tolerance, f"forces differ by {force:.3g} eV/Å"


def check_atoms_keep_their_order(case: LabelerCase) -> None:
    """Reversing the atoms reverses the forces and leaves the energy."""
    frame = case.system.frame
    backwards = replace(frame, species=frame.species[::-1], positions=frame.positions[::-1])
    here = case.good(frame).label
    task_system = replace(case.system, frame=backwards, frozen=())
    there = replace(case, system=task_system).good(backwards).label
    assert abs(here.energy - there.energy) <= 1e-4 * frame.n_atoms, (
        f"energy {here.energy:.6f} and {there.energy:.6f} eV for two orders of the same atoms"
    )
    difference = float(np.abs(here.forces - there.forces[::-1]).max())
    assert difference <= case.force_tolerance, f"forces differ by {difference:.3g} eV/Å"


def check_atoms_across_the_boundary_are_not_wrapped_away(case: LabelerCase) -> None:
    """A periodic frame shifted by a lattice vector has the same label, and keeps its positions."""
    frame = case.system.frame
    if frame.cell is None or not all(frame.pbc):
        return
    positions = frame.positions.copy()
    positions[0] += frame.cell[0]
    shifted = case.good(replace(frame, positions=positions))
    here = case.good(frame)
    assert abs(shifted.label.energy - here.label.energy) <= 1e-4 * frame.n_atoms, (
        "a lattice translation of one atom changed the energy"
    )
    assert (shifted.frame.positions == positions).all(), "positions were wrapped"


def check_the_level_of_theory_is_stable_and_sees_charge(case: LabelerCase) -> None:
    """Same settings, same fingerprint; another total charge is another level."""
    level = case.labeler.level_of_theory(case.system)
    again = case.labeler.level_of_theory(case.system)
    assert level.fingerprint == again.fingerprint, "the fingerprint changes by itself"
    charged = replace(case.system, charge=case.system.charge + 2)
    other = case.labeler.level_of_theory(charged)
    assert level.fingerprint != other.fingerprint, "the charge is not in the level of theory"
    assert case.good(case.system.frame).level.fingerprint == level.fingerprint


def check_a_stop_request_is_heard(case: LabelerCase) -> None:
    task = SinglePoints(case.system, (case.system.frame,) * 2, (case.origin(0), case.origin(1)))
    try:
        list(case.labeler.label(task, Context(case.workdir, stop=lambda: True)))
    except StopRequested:
        return
    raise AssertionError("the labeler went on although a stop was asked for")


def check_labels_made_side_by_side_are_those_made_alone(case: LabelerCase) -> None:
    """Where several threads may ask at once: each gets the label of its own frame."""
    if Capability.SIDE_BY_SIDE not in case.labeler.capabilities:
        return
    frames = [_moved(case.system.frame, 0, 0, 0.02 * k) for k in range(4)]
    alone = [case.good(frame).label for frame in frames]
    folders = [case.workdir / f"beside-{k}" for k in range(len(frames))]
    for folder in folders:
        folder.mkdir()
    cases = [replace(case, workdir=folder) for folder in folders]
    with ThreadPoolExecutor(len(frames)) as pool:
        beside = list(pool.map(lambda own, frame: own.good(frame).label, cases, frames))
    for number, (one, other) in enumerate(zip(alone, beside, strict=True)):
        energy = abs(one.energy - other.energy)
        force = float(np.abs(one.forces - other.forces).max())
        worst = max(energy, force)
        assert worst <= case.repeat_tolerance, f"frame {number} beside others: {worst:.3g} off"


def check_doctor_reports_what_it_needs(case: LabelerCase) -> None:
    reports = case.labeler.doctor()
    assert reports, "doctor reports nothing"
    assert all(isinstance(report, ProgramReport) for report in reports)
    assert all(report.problem is None or report.mend for report in reports), "a problem, no mend"


CHECKS: tuple[Callable[[LabelerCase], None], ...] = (
    check_the_system_passes_its_check,
    check_each_frame_gives_one_result_with_its_own_origin,
    check_a_failure_is_a_value_that_says_why,
    check_labels_are_finite_and_of_the_right_shape,
    check_capabilities_are_honest,
    check_forces_are_minus_the_energy_gradient,
    check_the_virial_is_minus_the_energy_derivative_by_strain,
    check_the_same_frame_gives_the_same_label,
    check_atoms_keep_their_order,
    check_atoms_across_the_boundary_are_not_wrapped_away,
    check_the_level_of_theory_is_stable_and_sees_charge,
    check_a_stop_request_is_heard,
    check_labels_made_side_by_side_are_those_made_alone,
    check_doctor_reports_what_it_needs,
)


def _moved(frame: Frame, atom: int, axis: int, by: float) -> Frame:
    positions: FloatArray = frame.positions.copy()
    positions[atom, axis] += by
    return replace(frame, positions=positions)


def _strained(frame: Frame, row: int, column: int, by: float) -> Frame:
    """Positions and cell under the strain 1 + by e_row e_column."""
    strain = np.eye(3)
    strain[row, column] += by
    cell = None if frame.cell is None else frame.cell @ strain.T
    return replace(frame, positions=frame.positions @ strain.T, cell=cell)

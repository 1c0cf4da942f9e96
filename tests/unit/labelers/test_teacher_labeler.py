from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.calculator import (
    CalculationFailed,
    Calculator,
    CalculatorSetupError,
    SCFError,
)

from labelers.geometry import absurdity
from labelers.teacher.labeler import TeacherLabeler
from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Capability, Context, SinglePoints
from sis_engine.plugins import Kind, configure
from sis_engine.records import Failure, Frame, LabelFailure, Origin, Purpose, System

COPPER = Frame(("Cu", "Cu"), [[0, 0, 0], [2.4, 0, 0]])


class NonFinite(Calculator):
    """A calculator that says NaN."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=(), system_changes=()) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": np.nan, "forces": np.zeros((len(atoms), 3))}


class GivesUp(Calculator):
    """A calculator that raises what it is given."""

    implemented_properties = ("energy", "forces")
    error: Exception

    def calculate(self, atoms=None, properties=(), system_changes=()) -> None:
        raise self.error


def teacher(calculator: str = "ase.calculators.emt.EMT", **settings: object) -> TeacherLabeler:
    given = {"potential": {"type": "ase", "calculator": calculator, **settings}}
    return TeacherLabeler(TeacherLabeler.Config.model_validate(given))


def label(labeler: TeacherLabeler, frame: Frame) -> object:
    origin = Origin(Purpose.SINGLE, 0, "s", "p", 0)
    (result,) = labeler.label(
        SinglePoints(System("s", frame), (frame,), (origin,)), Context(Path())
    )
    return result


@pytest.mark.parametrize(
    ("labeler", "words"),
    [
        (teacher("os.path.join"), "set `trusted: true`"),
        (teacher("ase.calculators.emt.Emt"), "cannot be imported"),
        (teacher("ase.calculators.nowhere.Lost"), "cannot be imported"),
        (teacher("ase.calculators.emt.EMT", arguments={"cutoff": 3.0}), "no argument 'cutoff'"),
        (teacher("ase.calculators.tip3p.TIP3P", arguments={"cutoff": 3.0}), "does not take"),
    ],
)
def test_a_calculator_it_cannot_have_is_refused(labeler: TeacherLabeler, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        labeler.check(System("s", COPPER))
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["__import__('os').system", "os", "a.b; c", "EMT()"])
def test_only_dotted_names_are_names(name: str) -> None:
    with pytest.raises(ValueError, match="calculator"):
        teacher(name)


def test_an_element_the_potential_does_not_know_is_a_configuration_error() -> None:
    frame = replace(COPPER, species=("Cu", "Li"))
    with pytest.raises(ConfigurationError, match="cannot label system"):
        teacher().check(System("s", frame))


def test_the_arguments_are_in_the_level_of_theory() -> None:
    system = System("s", COPPER)
    name = "ase.calculators.lj.LennardJones"
    one = teacher(name, arguments={"sigma": 3.4}).level_of_theory(system)
    two = teacher(name, arguments={"sigma": 3.5}).level_of_theory(system)
    assert one.fingerprint != two.fingerprint


def test_a_label_that_is_not_finite_is_a_failure() -> None:
    result = label(teacher(f"{__name__}.NonFinite", trusted=True, virial=False), COPPER)
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.NON_FINITE


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CalculationFailed("SCF not converged in 250 cycles"), Failure.NOT_CONVERGED),
        (CalculationFailed("the SCF did not converge"), Failure.NOT_CONVERGED),
        (CalculationFailed("failed to reach convergence"), Failure.NOT_CONVERGED),
        (SCFError(), Failure.NOT_CONVERGED),
        (CalculationFailed("segmentation fault"), Failure.PROGRAM),
        (CalculatorSetupError("libxc.so.9 was not found"), Failure.PROGRAM),
        (ValueError("not converged"), Failure.PROGRAM),
    ],
)
def test_an_scf_that_does_not_converge_is_the_frames_fault_and_not_the_programs(
    error: Exception, reason: Failure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GivesUp, "error", error, raising=False)
    result = label(teacher(f"{__name__}.GivesUp", trusted=True, virial=False), COPPER)
    assert isinstance(result, LabelFailure)
    assert result.reason is reason


def test_an_absurd_force_is_a_failure() -> None:
    close = replace(COPPER, positions=[[0, 0, 0], [0.5, 0, 0]])
    lennard_jones = teacher("ase.calculators.lj.LennardJones", arguments={"sigma": 3.4, "rc": 9.0})
    result = label(lennard_jones, close)
    assert isinstance(result, LabelFailure)
    assert result.reason is Failure.ABSURD


def test_virials_are_announced_only_where_the_calculator_gives_them() -> None:
    assert Capability.VIRIAL in teacher().capabilities
    assert Capability.VIRIAL not in teacher(virial=False).capabilities


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (COPPER, None),
        (replace(COPPER, positions=[[0, 0, 0], [np.nan, 0, 0]]), "not finite"),
        (replace(COPPER, positions=[[0, 0, 0], [0.2, 0, 0]]), "atoms 0 (Cu) and 1 (Cu)"),
        (Frame(("Cu",), [[0, 0, 0]], np.diag([0.1, 5.0, 5.0]), (True,) * 3), "0.1 Å high"),
        (Frame(("Cu",), [[0, 0, 0]], np.zeros((3, 3)), (True,) * 3), "high"),
    ],
)
def test_absurd_geometries_are_told_before_any_code_sees_them(
    frame: Frame, words: str | None
) -> None:
    reason = absurdity(frame, 0.4)
    assert (reason is None) if words is None else (reason is not None and words in reason)


def test_atoms_that_meet_across_the_boundary_are_seen() -> None:
    frame = Frame(("Cu", "Cu"), [[0.1, 2, 2], [4.9, 2, 2]], 5.0 * np.eye(3), (True,) * 3)
    assert absurdity(frame, 0.4) is not None
    assert absurdity(replace(frame, cell=None, pbc=(False,) * 3), 0.4) is None


def test_potential_files_are_relative_to_the_campaign_file(tmp_path: Path) -> None:
    potential = {"type": "lammps", "pair_style": "eam", "pair_coeff": ["*"], "files": ["a.eam"]}
    given = {"type": "teacher", "potential": potential}
    labeler = configure(Kind.LABELER, given, key="labeler", base=tmp_path)
    assert labeler.config.potential.files == (tmp_path / "a.eam",)
    potential["files"] = ["/elsewhere/a.eam"]
    labeler = configure(Kind.LABELER, given, key="labeler", base=tmp_path)
    assert labeler.config.potential.files == (Path("/elsewhere/a.eam"),)

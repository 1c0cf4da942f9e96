from __future__ import annotations

from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest

from labelers.xtb.config import XtbConfig
from labelers.xtb.labeler import XtbLabeler, _classified
from sis_engine.errors import ConfigurationError, ProgramMissing
from sis_engine.interfaces import Capability
from sis_engine.plugins import validated
from sis_engine.records import Failure, Frame, System

WATER = Frame(("O", "H", "H"), [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
BOX = replace(WATER, cell=8.0 * np.eye(3), pbc=(True, True, True))


@pytest.fixture(autouse=True)
def _tblite_is_said_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: "0.8.0")


def labeler(**settings: object) -> XtbLabeler:
    return XtbLabeler(XtbConfig.model_validate(settings))


@pytest.mark.parametrize(
    ("system", "settings", "words"),
    [
        (System("s", replace(WATER, species=("O", "H", "Ra"))), {}, "no parameters for Ra"),
        (System("s", WATER, charge=1), {}, "charge 1 and multiplicity 1 do not go with 9"),
        (System("s", WATER, multiplicity=2), {}, "multiplicity 2 do not go with 10"),
        (System("s", WATER, multiplicity=0), {}, "multiplicity 0"),
        (System("s", replace(BOX, pbc=(True, True, False))), {}, "all three directions or in none"),
        (System("s", BOX), {"charges": True}, "periodic_gfn2_charges: true"),
        (System("s", replace(WATER, positions=0.3 * WATER.positions)), {}, "Å apart"),
        (System("s", replace(BOX, cell=0.5 * np.eye(3))), {}, "0.5 Å high"),
    ],
)
def test_a_system_it_cannot_do_is_refused_with_the_reason(
    system: System, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        labeler(**settings).check(system)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("system", "settings"),
    [
        (System("s", WATER), {"charges": True}),
        (System("s", WATER, charge=1, multiplicity=2), {}),
        (System("s", BOX), {}),
        (System("s", BOX), {"method": "GFN1-xTB", "charges": True}),
        (System("s", BOX), {"charges": True, "periodic_gfn2_charges": True}),
    ],
)
def test_a_system_it_can_do_passes(system: System, settings: dict[str, object]) -> None:
    labeler(**settings).check(system)


def test_a_missing_tblite_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(ProgramMissing, match="pip install"):
        labeler().check(System("s", WATER))
    (report,) = labeler().doctor()
    assert report.found is None
    assert report.mend is not None


@pytest.mark.parametrize(
    "change",
    [
        {"method": "GFN1-xTB"},
        {"accuracy": 1.0},
        {"electronic_temperature_k": 500.0},
    ],
)
def test_the_level_of_theory_holds_all_that_changes_the_value(change: dict[str, object]) -> None:
    system = System("s", WATER)
    one = labeler().level_of_theory(system)
    assert labeler(**change).level_of_theory(system).fingerprint != one.fingerprint
    for other in (replace(system, charge=2), replace(system, multiplicity=3)):
        assert labeler().level_of_theory(other).fingerprint != one.fingerprint


@pytest.mark.parametrize("change", [{"threads": 2}, {"max_iterations": 500}, {"charges": True}])
def test_what_does_not_change_the_value_is_not_in_the_level(change: dict[str, object]) -> None:
    system = System("s", WATER)
    one = labeler().level_of_theory(system)
    assert labeler(**change).level_of_theory(system).fingerprint == one.fingerprint


def test_a_patch_release_is_the_same_level_and_a_minor_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = System("s", WATER)
    fingerprints = []
    for version in ("0.8.0", "0.8.3", "0.9.0"):
        monkeypatch.setattr(metadata, "version", lambda _, v=version: v)
        fingerprints.append(labeler().level_of_theory(system).fingerprint)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_charges_are_a_capability_only_when_asked_for() -> None:
    assert Capability.CHARGES not in labeler().capabilities
    assert Capability.CHARGES in labeler(charges=True).capabilities


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("SCF not converged in 250 cycles", Failure.NOT_CONVERGED),
        ("Too close interatomic distances found", Failure.BAD_GEOMETRY),
        ("(sygvd) failed to solve eigenvalue problem. info=13", Failure.SOLVER),
        ("something new", Failure.PROGRAM),
    ],
)
def test_messages_of_tblite_are_classed_by_what_to_do_next(message: str, reason: Failure) -> None:
    assert _classified(message) is reason


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"type": "xtb", "methd": "GFN1-xTB"}, "did you mean 'method'"),
        ({"type": "xtb", "method": "GFN0-xTB"}, "GFN0-xTB"),
        ({"type": "xtb", "accuracy": 0.0}, "accuracy"),
        ({"type": "xtb", "threads": 0}, "threads"),
    ],
)
def test_a_wrong_key_or_value_is_named(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        validated(XtbConfig, given, key="labeler")
    assert words in str(caught.value)

"""Labelers that need no external program, by the contract any plugin can run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labelers.teacher.labeler import TeacherLabeler
from labelers.xtb.labeler import XtbLabeler
from sis_engine.labelling.with_charges import WithCharges
from sis_engine.records import Frame, System
from sis_engine.testing.fakes import FakeLabeler
from sis_engine.testing.labeler_contract import CHECKS, LabelerCase
from tests.conftest import Figure

pytest.importorskip("tblite", reason="pip install 'sis-engine[xtb]'")

Check = Callable[[LabelerCase], None]
PERIODIC = (True, True, True)


def _frame(species: tuple[str, ...], spacing: float, *, periodic: bool) -> Frame:
    """Atoms on a distorted grid, in a skewed cell where periodic: nothing vanishes by symmetry."""
    grid = np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
    positions = spacing * (grid + 0.06 * np.random.default_rng(5).normal(size=grid.shape))
    if not periodic:
        return Frame(species, positions)
    cell = 2.05 * spacing * np.array([[1.0, 0.03, 0.0], [0.02, 1.02, 0.04], [0.0, 0.05, 1.05]])
    return Frame(species, positions, cell, PERIODIC)


def _case(labeler: Any, frame: Frame, folder: Path, **settings: float) -> LabelerCase:
    positions = frame.positions.copy()
    positions[1] = positions[0] + 0.01
    bad = replace(frame, positions=positions)
    return LabelerCase(labeler, System("contract", frame), bad, folder, **settings)


def _water(*, periodic: bool) -> Frame:
    dimer = [
        ("O", (0.0, 0.0, 0.1)),
        ("H", (0.8, 0.5, 0.05)),
        ("H", (-0.75, 0.62, 0.0)),
        ("O", (0.3, -2.7, 0.4)),
        ("H", (0.2, -1.8, 0.3)),
        ("H", (0.5, -3.0, 1.3)),
    ]
    species = tuple(symbol for symbol, _ in dimer)
    positions = np.array([position for _, position in dimer])
    if not periodic:
        return Frame(species, positions)
    cell = np.array([[5.0, 0.2, 0.0], [0.0, 6.1, 0.3], [0.1, 0.0, 5.2]])
    return Frame(species, positions, cell, PERIODIC)


ARGON = {"sigma": 3.4, "epsilon": 0.0104, "rc": 9.0, "ro": 8.0, "smooth": True}
LENNARD_JONES = {"type": "ase", "calculator": "ase.calculators.lj.LennardJones", "arguments": ARGON}
EMT = {"type": "ase", "calculator": "ase.calculators.emt.EMT"}


def _teacher(potential: dict[str, object]) -> TeacherLabeler:
    return TeacherLabeler(TeacherLabeler.Config.model_validate({"potential": potential}))


def _xtb(method: str, **settings: object) -> XtbLabeler:
    return XtbLabeler(XtbLabeler.Config.model_validate({"method": method, **settings}))


CASES: dict[str, Callable[[Path], LabelerCase]] = {
    "fake": lambda folder: _case(
        FakeLabeler(), _frame(("Ar",) * 8, 2.6, periodic=True), folder, force_tolerance=1e-4
    ),
    "teacher: Lennard-Jones": lambda folder: _case(
        _teacher(LENNARD_JONES), _frame(("Ar",) * 8, 3.8, periodic=True), folder
    ),
    "teacher: EMT": lambda folder: _case(
        _teacher(EMT), _frame(("Cu", "Ni") * 4, 2.4, periodic=False), folder
    ),
    "xtb: GFN2 cluster with charges": lambda folder: _case(
        _xtb("GFN2-xTB", charges=True), _water(periodic=False), folder, force_tolerance=2e-4
    ),
    "with charges: GFN2 charges on GFN1 labels": lambda folder: _case(
        WithCharges(_xtb("GFN1-xTB"), _xtb("GFN2-xTB", charges=True)),
        _water(periodic=False),
        folder,
        force_tolerance=2e-4,
    ),
    "xtb: GFN1 periodic": lambda folder: _case(
        _xtb("GFN1-xTB", charges=True), _water(periodic=True), folder, force_tolerance=2e-3
    ),
}

PROGRAMS = {
    "teacher: EMT": "teacher: ASE",
    "teacher: Lennard-Jones": "teacher: ASE",
    "xtb: GFN2 cluster with charges": "tblite, GFN2-xTB",
    "xtb: GFN1 periodic": "tblite, GFN1-xTB",
}
"""As the table of accuracy calls them (benchmarks/label_accuracy.py)."""


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> LabelerCase:
    return CASES[request.param](tmp_path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_labeler_keeps_its_contract(
    check: Check, case: LabelerCase, request: pytest.FixtureRequest, figure: Figure
) -> None:
    name = request.node.callspec.params["case"]
    check(replace(case, measured=partial(figure, PROGRAMS[name])) if name in PROGRAMS else case)


class _Wrong(FakeLabeler):
    """Breaks one promise; the contract must notice."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.calls = 0

    def label(self, task: Any, context: Any) -> Any:
        for result in super().label(task, context):
            self.calls += 1
            label = getattr(result, "label", None)
            if label is None:
                yield result
            elif self.fault == "force sign":
                yield replace(result, label=replace(label, forces=-label.forces))
            elif self.fault == "virial sign":
                yield replace(result, label=replace(label, virial=-label.virial))
            elif self.fault == "memory":
                yield replace(result, label=replace(label, energy=label.energy + 0.01 * self.calls))
            elif self.fault == "order":
                yield replace(result, label=replace(label, forces=np.sort(label.forces, axis=0)))
            elif self.fault == "no virial":
                yield replace(result, label=replace(label, virial=None))
            elif self.fault == "origin":
                yield replace(result, origin=replace(result.origin, time_fs=None))


@pytest.mark.parametrize(
    "fault", ["force sign", "virial sign", "memory", "order", "no virial", "origin"]
)
def test_the_contract_notices_a_broken_promise(fault: str, tmp_path: Path) -> None:
    case = _case(_Wrong(fault), _frame(("Ar",) * 8, 2.6, periodic=True), tmp_path)
    broken = []
    for check in CHECKS:
        try:
            check(case)
        except AssertionError:
            broken.append(check.__name__)
    assert broken

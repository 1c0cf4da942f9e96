"""Calculators that give up: of the physics, or because they do not work at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes

from sis_engine.explorers.ase.committee import columns_of
from sis_engine.explorers.ase.config import AseConfig
from sis_engine.explorers.ase.explorer import AseExplorer
from sis_engine.interfaces import Context, MdTask
from sis_engine.records import (
    Condition,
    Deviation,
    Ensemble,
    Exit,
    Exploration,
    Quantity,
    Replica,
    System,
)
from tests.contract import lennard_jones as lj

COLD = Condition("c", Ensemble.NVT, 50.0, 4.0, 0.2, minimise=False)
RELAXED = replace(COLD, minimise=True)


class GivesUp(Calculator):
    """Raises ``error`` (or says ``forces``) from the ``after``-th question of one replica on."""

    implemented_properties = ("energy", "free_energy", "forces")

    def __init__(self, error: Exception | None, after: int, forces: float = 0.0) -> None:
        super().__init__()
        self.error, self.after, self.said, self.asked = error, after, forces, 0

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        self.asked += 1
        forces = np.full((len(atoms), 3), 1.0 / self.asked)
        forces[::2] *= -1.0
        if self.asked > self.after:
            if self.error is not None:
                raise self.error
            forces *= self.said
        energy = -float(self.asked)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}


def explored(
    tmp_path: Path, condition: Condition, make: Callable[[], GivesUp]
) -> list[Exploration]:
    """Two replicas: the first has the calculator that gives up, the second a sound one."""
    frame = lj.cluster()
    replicas = tuple(Replica(f"r{k}", System("s", frame), frame, condition, k) for k in range(2))
    made = [make(), lj.calculator(lj.model())]
    explorer = AseExplorer(AseConfig())
    task = MdTask(lj.model(), replicas)
    return list(explorer.explore(task, Context(tmp_path), lambda _: made.pop(0)))


@pytest.mark.parametrize("condition", [COLD, RELAXED], ids=["dynamics", "minimisation"])
@pytest.mark.parametrize(
    "error",
    [
        CalculationFailed("SCF not converged"),
        RuntimeError("point 0 has a coordinate that is not finite"),
        MemoryError("a neighbour list of 10^12 pairs"),
        ValueError("a singular box"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_calculator_that_gives_up_on_the_way_is_that_replicas_crash(
    error: Exception, condition: Condition, tmp_path: Path
) -> None:
    crashed, lived = explored(tmp_path, condition, lambda: GivesUp(error, 3))
    assert crashed.exit is Exit.CRASHED
    assert crashed.message == f"the calculator gave up: {type(error).__name__}: {error}"
    assert lived.exit is Exit.COMPLETED


@pytest.mark.parametrize("condition", [COLD, RELAXED], ids=["dynamics", "minimisation"])
@pytest.mark.parametrize("error", [RuntimeError("no kernel image for this device"), MemoryError()])
def test_one_that_does_not_work_from_the_first_on_shows_itself(
    error: Exception, condition: Condition, tmp_path: Path
) -> None:
    with pytest.raises(type(error)):
        explored(tmp_path, condition, lambda: GivesUp(error, 0))


def test_what_a_calculator_does_not_have_is_no_blow_up(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError):
        explored(tmp_path, COLD, lambda: GivesUp(NotImplementedError("no stress"), 3))


@pytest.mark.parametrize("after", [0, 3])
def test_forces_that_are_not_finite_end_a_minimisation(after: int, tmp_path: Path) -> None:
    calculator = GivesUp(None, after, forces=np.nan)
    crashed, lived = explored(tmp_path, RELAXED, lambda: calculator)
    assert crashed.exit is Exit.CRASHED
    assert "forces are not finite in the minimisation" in crashed.message
    assert calculator.asked == after + 1
    assert lived.exit is Exit.COMPLETED


def test_a_look_that_is_not_finite_is_told_apart_from_none() -> None:
    quantities = (Quantity.MODEL_DEVIATION, Quantity.VIRIAL_DEVIATION)
    np.testing.assert_array_equal(columns_of(None, quantities), [np.nan, np.nan])
    assert columns_of(Deviation(np.nan, np.inf), quantities) == [np.inf, np.inf]
    np.testing.assert_array_equal(columns_of(Deviation(0.1), quantities), [0.1, np.nan])

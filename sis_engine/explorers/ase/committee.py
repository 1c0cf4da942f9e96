"""A committee that watches MD in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sis_engine.analysis.deviation import deviations
from sis_engine.explorers.quantities import look_of
from sis_engine.explorers.watch import Moment
from sis_engine.records import Deviation, Frame, Prediction, Quantity


class CommitteeWatch:
    """Asks all models every so many steps.

    models: calculators of the driver and the members (the driver's second one: the one that runs
        MD must not be asked about another frame); fewer than two: nobody watches
    """

    def __init__(self, models: Sequence[Any], every_steps: int) -> None:
        self._models = tuple(models) if len(models) > 1 else ()
        self._every = every_steps

    def quantities(self, start: Frame) -> tuple[Quantity, ...]:
        """Columns of the trace that it fills."""
        if not self._models:
            return ()
        virials = all(start.pbc) and all(map(_has_stress, self._models))
        return (Quantity.MODEL_DEVIATION, *((Quantity.VIRIAL_DEVIATION,) if virials else ()))

    def look(self, moment: Moment) -> Deviation | None:
        """How far the models are apart at this moment, if it is one of those to be looked at."""
        if not self._models or moment.step % self._every:
            return None
        return deviations([_said(calculator, moment.frame) for calculator in self._models])[0]


def columns_of(deviation: Deviation | None, quantities: Sequence[Quantity]) -> list[float]:
    """Values of the columns (see :func:`look_of`)."""
    if deviation is None:
        return [look_of(None) for _ in quantities]
    known = {
        Quantity.MODEL_DEVIATION: deviation.force,
        Quantity.VIRIAL_DEVIATION: deviation.virial,
    }
    return [look_of(known[quantity]) for quantity in quantities]


def _has_stress(calculator: Any) -> bool:
    return "stress" in getattr(calculator, "implemented_properties", ())


def _said(calculator: Any, frame: Frame) -> Prediction:
    from ase import Atoms

    atoms = Atoms(
        frame.species,
        np.array(frame.positions),
        cell=frame.cell,
        pbc=frame.pbc,
        calculator=calculator,
    )
    virials = None
    if all(frame.pbc) and _has_stress(calculator):  # ASE's stress is +dE/d(strain)/V
        virials = -atoms.get_stress(voigt=False)[None] * atoms.get_volume()
    return Prediction(
        energies=np.array([atoms.get_potential_energy(force_consistent=True)]),
        forces=np.array(atoms.get_forces(apply_constraint=False))[None],
        virials=virials,
    )

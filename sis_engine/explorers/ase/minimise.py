"""Minimisation before MD with ASE, with LAMMPS's stop criteria."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from sis_engine.errors import StopRequested
from sis_engine.records import Replica

_LARGEST_STEP_ANGSTROM = 0.1


def minimise(atoms: Any, replica: Replica, stop: Callable[[], bool]) -> None:
    """Move ``atoms`` downhill until |ΔE| < etol |E|, |F| < ftol, or the steps are used up.

    Raises FloatingPointError when the energy is not finite.
    """
    from ase.constraints import FixAtoms
    from ase.optimize import LBFGS

    condition = replica.condition
    if replica.system.frozen:
        atoms.set_constraint(FixAtoms(indices=list(replica.system.frozen)))
    before = atoms.get_potential_energy()
    optimiser = LBFGS(atoms, logfile=None, maxstep=_LARGEST_STEP_ANGSTROM)
    for _ in optimiser.irun(fmax=condition.ftol, steps=condition.max_minimise_steps):
        energy = atoms.get_potential_energy()
        if not math.isfinite(energy) or not np.isfinite(atoms.get_positions()).all():
            raise FloatingPointError("energy is not finite in the minimisation")
        if stop():
            raise StopRequested(f"minimisation of {replica.id} was stopped on request")
        change, scale = abs(energy - before), 0.5 * (abs(energy) + abs(before))
        if optimiser.nsteps > 0 and change < condition.etol * scale:
            break
        before = energy
    atoms.set_constraint()

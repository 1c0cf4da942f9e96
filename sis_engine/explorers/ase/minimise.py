"""Minimisation before MD with ASE, with LAMMPS's stop criteria."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sis_engine.errors import StopRequested
from sis_engine.records import Replica

_LARGEST_STEP_ANGSTROM = 0.1


def minimise(atoms: Any, replica: Replica, stop: Callable[[], bool]) -> None:
    """Move ``atoms`` downhill until |ΔE| < etol |E|, |F| < ftol, or the steps are used up.

    Raises FloatingPointError when energy, forces or positions are not finite.
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
        said = (energy, atoms.get_forces(), atoms.get_positions())
        if not all(np.isfinite(values).all() for values in said):
            raise FloatingPointError("energy or forces are not finite in the minimisation")
        if stop():
            raise StopRequested(f"minimisation of {replica.id} was stopped on request")
        change, scale = abs(energy - before), 0.5 * (abs(energy) + abs(before))
        if optimiser.nsteps > 0 and change < condition.etol * scale:
            break
        before = energy
    atoms.set_constraint()

"""Quantities of moving atoms that halt rules name, computed in Python.

The ASE explorer watches with them, and the LAMMPS explorer takes from them the exact value of
what LAMMPS only answered with yes or no.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sis_engine.records import BoolArray, FloatArray
from sis_engine.units import AMU_ANGSTROM2_PER_FS2_EV, BOLTZMANN_EV_PER_K


def masses_amu(species: Sequence[str]) -> FloatArray:
    """(n_atoms,) standard atomic weights, amu (IUPAC, as in ASE)."""
    from ase.data import atomic_masses, atomic_numbers

    return np.array([atomic_masses[atomic_numbers[s]] for s in species], dtype=np.float64)


def kinetic_energies(masses: FloatArray, velocities: FloatArray) -> FloatArray:
    """(n_atoms,) kinetic energies, eV, from amu and Å/fs."""
    energies: FloatArray = 0.5 * AMU_ANGSTROM2_PER_FS2_EV * masses * np.sum(velocities**2, axis=1)
    return energies


def temperature_k(kinetic_energy: float, degrees_of_freedom: int) -> float:
    """Kinetic temperature, K: 2 E_kin / (N_f k_B)."""
    return 2.0 * kinetic_energy / (degrees_of_freedom * BOLTZMANN_EV_PER_K)


def degrees_of_freedom(n_mobile: int, *, momentum_kept: bool, rotation_kept: bool) -> int:
    """Kinetic degrees of freedom of ``n_mobile`` atoms.

    momentum_kept, rotation_kept: total (angular) momentum is zero and stays so, as under a
        thermostat that only scales velocities; a rotating pair of atoms loses two, not three
    """
    removed = 3 * momentum_kept
    if rotation_kept:
        removed += 2 if n_mobile == 2 else 3
    return max(1, 3 * n_mobile - (removed if n_mobile > 1 else 0))


def largest_norm(vectors: FloatArray, chosen: BoolArray) -> float:
    """Largest length among the chosen rows; NaN if one is NaN, 0 if none is chosen."""
    if not chosen.any():
        return 0.0
    return float(np.max(np.linalg.norm(vectors[chosen], axis=1)))


def mobile_atoms(n_atoms: int, frozen: Sequence[int]) -> BoolArray:
    """(n_atoms,) true where the atom may move."""
    mobile = np.ones(n_atoms, dtype=np.bool_)
    mobile[list(frozen)] = False
    return mobile


def look_of(deviation: float | None) -> float:
    """What a trace says of a committee's deviation: NaN where nobody looked, and ∞, not NaN, where
    somebody did and it is not finite (a member's forces are not).
    """
    if deviation is None:
        return math.nan
    return deviation if math.isfinite(deviation) else math.inf

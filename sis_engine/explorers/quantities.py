"""Quantities of a structure that halt rules name, computed in Python.

The ASE explorer watches with them, and the LAMMPS explorer takes from them the exact value of
what LAMMPS only answered with yes or no.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sis_engine.records import BoolArray, FloatArray, Frame
from sis_engine.units import AMU_ANGSTROM2_PER_FS2_EV, BOLTZMANN_EV_PER_K

IntArray = npt.NDArray[np.int64]

_SEARCH_ANGSTROM = (3.0, 6.0, 12.0, 24.0)


def masses_amu(species: Sequence[str]) -> FloatArray:
    """(n_atoms,) standard atomic weights, amu (IUPAC, as in ASE)."""
    from ase.data import atomic_masses, atomic_numbers

    return np.array([atomic_masses[atomic_numbers[s]] for s in species], dtype=np.float64)


def pairs_within(frame: Frame, cutoff_angstrom: float) -> tuple[IntArray, IntArray, FloatArray]:
    """Every ordered pair (i, j, distance) closer than the cutoff, images included."""
    from ase.neighborlist import primitive_neighbor_list

    if not np.isfinite(frame.positions).all():
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, np.zeros(0)
    cell = np.zeros((3, 3)) if frame.cell is None else frame.cell
    first, second, distance = primitive_neighbor_list(
        "ijd", frame.pbc, cell, np.array(frame.positions), cutoff_angstrom
    )
    return first, second, distance


def shortest_distance(frame: Frame, pair: tuple[str, str] | None = None) -> float:
    """Shortest distance (Å), of one element pair where given; inf if there is no such pair.

    NaN when a position is not finite: a rule on it then fires.
    """
    if not np.isfinite(frame.positions).all():
        return math.nan
    is_first = is_second = np.ones(frame.n_atoms, dtype=np.bool_)
    if pair is not None:
        is_first, is_second = is_element(frame.species, pair[0]), is_element(frame.species, pair[1])
        if not is_first.any() or not is_second.any():
            return math.inf
    for cutoff in _SEARCH_ANGSTROM:
        first, second, distance = pairs_within(frame, cutoff)
        wanted = distance[is_first[first] & is_second[second]]
        if wanted.size:
            return float(wanted.min())
    return math.inf


def most_neighbours(frame: Frame, cutoff_angstrom: float, element: str | None = None) -> float:
    """Largest number of neighbours of an atom within the cutoff, of one element where given."""
    if not np.isfinite(frame.positions).all():
        return math.nan
    first, second, _ = pairs_within(frame, cutoff_angstrom)
    if element is not None:
        first = first[is_element(frame.species, element)[second]]
    return float(np.bincount(first, minlength=frame.n_atoms).max())


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


def is_element(species: Sequence[str], element: str) -> BoolArray:
    """(n_atoms,) true where the atom is of this element."""
    return np.array([s == element for s in species], dtype=np.bool_)


def mobile_atoms(n_atoms: int, frozen: Sequence[int]) -> BoolArray:
    """(n_atoms,) true where the atom may move."""
    mobile = np.ones(n_atoms, dtype=np.bool_)
    mobile[list(frozen)] = False
    return mobile

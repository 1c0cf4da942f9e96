"""The universal screened Coulomb repulsion, as DeePMD's pair table.

J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Matter (Pergamon,
1985): V(r) = Z1 Z2 e²/(4 pi eps0 r) phi(r/a), a = 0.8854 a0 / (Z1^0.23 + Z2^0.23).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from sis_engine.records import FloatArray, frozen_array
from sis_engine.units import BOHR_ANGSTROM, HARTREE_EV

SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))
"""(weight, decay) of the universal screening function phi."""

COULOMB_EV_ANGSTROM = HARTREE_EV * BOHR_ANGSTROM
"""e²/(4 pi eps0)."""


def zbl_energy(z_one: int, z_two: int, r_angstrom: FloatArray) -> FloatArray:
    """Repulsion of two nuclei, eV."""
    length = 0.8854 * BOHR_ANGSTROM / (z_one**0.23 + z_two**0.23)
    phi = sum(weight * np.exp(-decay * r_angstrom / length) for weight, decay in SCREENING)
    return np.asarray(COULOMB_EV_ANGSTROM * z_one * z_two / r_angstrom * phi)


def write_table(
    path: Path, elements: Sequence[str], cutoff_angstrom: float, step_angstrom: float = 0.005
) -> None:
    """Distances and the energies of all pairs (0-0, 0-1, …, 1-1, …), one row per distance."""
    n = round(cutoff_angstrom / step_angstrom)
    r = frozen_array(np.arange(1, n + 1) * step_angstrom, (n,), "r")
    numbers = [atomic_numbers[symbol] for symbol in elements]
    columns = [zbl_energy(a, b, r) for a, b in combinations_with_replacement(numbers, 2)]
    np.savetxt(path, np.stack([r, *columns], axis=1), fmt="%.10e")

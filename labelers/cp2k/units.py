"""CP2K's units in ours. Its lengths are given to it in Å, so that only results are converted."""

from __future__ import annotations

from sis_engine.units import (
    BOHR_ANGSTROM,
    EV_PER_ANGSTROM3_GPA,
    HARTREE_EV,
    HARTREE_PER_BOHR_EV_PER_ANGSTROM,
)

ATOMIC_TIME_FS = 0.024188843265857
"""ħ/E_h, CODATA 2018."""

ENERGY_EV = HARTREE_EV
FORCE_EV_PER_ANGSTROM = HARTREE_PER_BOHR_EV_PER_ANGSTROM
VELOCITY_ANGSTROM_PER_FS = BOHR_ANGSTROM / ATOMIC_TIME_FS
STRESS_EV_PER_ANGSTROM3 = 1.0 / EV_PER_ANGSTROM3_GPA
"""CP2K prints +P: its stress tensor times the volume is the virial, -dE/d(strain)."""

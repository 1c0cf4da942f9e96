"""Internal units: eV, Å, fs, K, e, amu; and the constants to get there.

Values are CODATA 2018 (NIST SP 961, 2019), the set ASE calls ``'2018'``.
Velocities are Å/fs, pressures in the configuration GPa, virials eV.
"""

from __future__ import annotations

BOLTZMANN_EV_PER_K = 8.617333262e-5
"""k_B, exact in the 2019 SI."""

HARTREE_EV = 27.211386245988
RYDBERG_EV = HARTREE_EV / 2.0
BOHR_ANGSTROM = 0.529177210903

AMU_ANGSTROM2_PER_FS2_EV = 103.64269652680505
"""1 amu (Å/fs)² in eV: amu·1e10 m²/s² / e = 1.66053906660e-27 * 1e10 / 1.602176634e-19."""

EV_KJ_PER_MOL = 96.48533212331
"""1 eV in kJ/mol: e * N_A = 1.602176634e-19 * 6.02214076e23 J/mol, exact in the 2019 SI."""

EV_KCAL_PER_MOL = EV_KJ_PER_MOL / 4.184

EV_PER_ANGSTROM3_GPA = 160.2176634
"""1 eV/Å³ in GPa."""

HARTREE_PER_BOHR_EV_PER_ANGSTROM = HARTREE_EV / BOHR_ANGSTROM

"""What healthy thermal motion looks like: widths, tails, and the atoms that are outside them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from ase.data import atomic_masses, atomic_numbers
from scipy.special import chdtr, chdtrc, gammainccinv

from sis_engine.records import FloatArray, MdFrame, System
from sis_engine.units import AMU_ANGSTROM2_PER_FS2_EV, BOLTZMANN_EV_PER_K


def degrees_of_freedom(system: System) -> int:
    """N_f = 3 N of the atoms that move, less 3 for the centre of mass where none is frozen."""
    moving = system.frame.n_atoms - len(set(system.frozen))
    lost = 0 if system.frozen else 3
    return max(3 * moving - lost, 1)


def energy_width(n_dof: int, temperature_k: float) -> float:
    """Canonical width of the potential energy, k T sqrt(N_f / 2), eV (harmonic).

    GFN2-xTB, LiFSI + 1 dioxolane, 21 atoms, 300 K: 0.138 eV by this, 0.132-0.139 eV measured.
    """
    return BOLTZMANN_EV_PER_K * temperature_k * math.sqrt(n_dof / 2.0)


def temperature_width(n_dof: int, temperature_k: float) -> float:
    """Canonical width of the kinetic temperature, T sqrt(2 / N_f), K."""
    return temperature_k * math.sqrt(2.0 / n_dof)


def healthy_violation_probability(
    n_dof: float,
    temperature_k: float,
    lower_k: float,
    upper_k: float,
    n_independent_checks: float,
) -> float:
    """Probability that canonical fluctuations alone leave [lower_k, upper_k] at least once.

    N_f T_kin / T is chi-square distributed with N_f degrees of freedom; one check fails with
    probability p, n independent ones with 1 - (1 - p)^n. A mean over m independent values has
    m N_f degrees of freedom: pass that as ``n_dof``.
    """
    below = float(chdtr(n_dof, n_dof * max(lower_k, 0.0) / temperature_k))
    above = float(chdtrc(n_dof, n_dof * upper_k / temperature_k))
    once = min(below + above, 1.0)
    if once >= 1.0:
        return 1.0
    return -math.expm1(max(n_independent_checks, 1.0) * math.log1p(-once))


def kinetic_quantile(temperature_k: float, tail_probability: float) -> float:
    """Kinetic energy (eV) that one atom exceeds with ``tail_probability``.

    Maxwell-Boltzmann: E_kin / kT of one atom is gamma distributed with shape 3/2.
    """
    return BOLTZMANN_EV_PER_K * temperature_k * float(gammainccinv(1.5, tail_probability))


def kinetic_energies(frame: MdFrame) -> FloatArray | None:
    """(n_atoms,) kinetic energies, eV, or ``None`` where the frame has no velocities."""
    if frame.velocities is None:
        return None
    masses = np.array([atomic_masses[atomic_numbers[s]] for s in frame.frame.species])
    squares: FloatArray = np.sum(np.square(frame.velocities), axis=1)
    energies: FloatArray = 0.5 * masses * squares * AMU_ANGSTROM2_PER_FS2_EV
    return energies


def force_norms(frame: MdFrame) -> FloatArray | None:
    """(n_atoms,) norms of the model's forces, eV/Å, or ``None`` where the frame has none."""
    if frame.forces is None:
        return None
    norms: FloatArray = np.linalg.norm(frame.forces, axis=1)
    return norms


def frame_at(frames: Sequence[MdFrame], time_fs: float) -> MdFrame | None:
    """The first frame at or after ``time_fs``, else the last one there is."""
    for frame in frames:
        if frame.time_fs >= time_fs - 1e-6:
            return frame
    return frames[-1] if frames else None


def outliers(values: FloatArray | None, limit: float) -> tuple[int, ...]:
    """Indices of atoms above ``limit`` or not finite; NaN-safe."""
    if values is None:
        return ()
    return tuple(int(i) for i in np.flatnonzero(~(values <= limit)))

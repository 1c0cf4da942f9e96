"""Thermostats that act on velocities between two Verlet steps, and keep account of heat.

ASE's own count 3 N degrees of freedom (clusters without rotation have 3 N - 6, so they would be
heated by N/(N-2)) or do not say what they took; heat is what halts are about.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from sis_engine.errors import ConfigurationError
from sis_engine.explorers.quantities import kinetic_energies
from sis_engine.records import BoolArray, Condition, FloatArray
from sis_engine.units import AMU_ANGSTROM2_PER_FS2_EV, BOLTZMANN_EV_PER_K


class Thermostat(Protocol):
    """Acts before and after each Verlet step for half a timestep.

    heat: energy taken from the system since the start, eV
    """

    @property
    def heat(self) -> float: ...

    def act(self, velocities: FloatArray, time_fs: float) -> FloatArray:
        """New velocities, (n_atoms, 3), Å/fs, after ``time_fs`` of coupling."""
        ...


class NoseHooverChain:
    """Martyna, Klein, Tuckerman, J. Chem. Phys. 97, 2635 (1992), Suzuki-Yoshida of order one.

    Masses Q_1 = N_f kT τ², Q_i = kT τ².
    """

    def __init__(
        self, masses: FloatArray, n_f: int, temperature_k: float, damping_fs: float, length: int
    ) -> None:
        self._masses, self._n_f = masses, n_f
        self._kt = BOLTZMANN_EV_PER_K * temperature_k
        self._inertia = np.full(length, self._kt * damping_fs**2)
        self._inertia[0] *= n_f
        self._position = np.zeros(length)
        self._velocity = np.zeros(length)

    @property
    def heat(self) -> float:
        kinetic = 0.5 * float(np.sum(self._inertia * self._velocity**2))
        weights = np.ones(len(self._position))
        weights[0] = self._n_f
        return kinetic + self._kt * float(weights @ self._position)

    def act(self, velocities: FloatArray, time_fs: float) -> FloatArray:
        twice_kinetic = 2.0 * float(kinetic_energies(self._masses, velocities).sum())
        last = len(self._velocity) - 1
        for k in range(last, -1, -1):
            self._drive(k, twice_kinetic, 0.5 * time_fs)
        scale = math.exp(-float(self._velocity[0]) * time_fs)
        twice_kinetic *= scale**2
        self._position += self._velocity * time_fs
        for k in range(last + 1):
            self._drive(k, twice_kinetic, 0.5 * time_fs)
        return velocities * scale

    def _drive(self, k: int, twice_kinetic: float, time_fs: float) -> None:
        v, q = self._velocity, self._inertia
        force = twice_kinetic - self._n_f * self._kt if k == 0 else q[k - 1] * v[k - 1] ** 2
        force = (force if k == 0 else force - self._kt) / q[k]
        friction = math.exp(-0.5 * time_fs * v[k + 1]) if k + 1 < len(v) else 1.0
        v[k] = (v[k] * friction + force * time_fs) * friction


class Csvr:
    """Stochastic velocity rescaling: Bussi, Donadio, Parrinello, JCP 126, 014101 (2007), eq. A7."""

    def __init__(
        self,
        masses: FloatArray,
        n_f: int,
        temperature_k: float,
        damping_fs: float,
        rng: np.random.Generator,
    ) -> None:
        self._masses, self._n_f, self._damping, self._rng = masses, n_f, damping_fs, rng
        self._target = 0.5 * n_f * BOLTZMANN_EV_PER_K * temperature_k
        self.heat = 0.0

    def act(self, velocities: FloatArray, time_fs: float) -> FloatArray:
        kinetic = float(kinetic_energies(self._masses, velocities).sum())
        if not kinetic > 0.0:
            return velocities
        keep = math.exp(-time_fs / self._damping)
        share = (1.0 - keep) * self._target / (kinetic * self._n_f)
        first = float(self._rng.standard_normal())
        others = float(self._rng.chisquare(self._n_f - 1)) if self._n_f > 1 else 0.0
        factor = keep + share * (first**2 + others) + 2.0 * first * math.sqrt(keep * share)
        self.heat -= (factor - 1.0) * kinetic
        return velocities * math.sqrt(factor)


class Langevin:
    """Ornstein-Uhlenbeck process on velocities; total momentum is kept zero where all may move."""

    def __init__(
        self,
        masses: FloatArray,
        mobile: BoolArray,
        temperature_k: float,
        damping_fs: float,
        rng: np.random.Generator,
    ) -> None:
        self._masses, self._mobile, self._damping, self._rng = masses, mobile, damping_fs, rng
        self._spread = np.sqrt(
            BOLTZMANN_EV_PER_K * temperature_k / (masses * AMU_ANGSTROM2_PER_FS2_EV)
        )[:, None]
        self.heat = 0.0

    def act(self, velocities: FloatArray, time_fs: float) -> FloatArray:
        before = float(kinetic_energies(self._masses, velocities).sum())
        keep = math.exp(-time_fs / self._damping)
        kick = math.sqrt(1.0 - keep**2) * self._spread * self._rng.standard_normal(velocities.shape)
        new: FloatArray = keep * velocities + kick
        new[~self._mobile] = 0.0
        if self._mobile.all() and len(new) > 1:
            new -= np.average(new, axis=0, weights=self._masses)
        self.heat -= float(kinetic_energies(self._masses, new).sum()) - before
        return new


def thermostat_for(
    condition: Condition,
    masses: FloatArray,
    mobile: BoolArray,
    n_f: int,
    chain_length: int,
    rng: np.random.Generator,
) -> Thermostat:
    """The thermostat a condition names."""
    temperature, damping = condition.temperature_k, condition.damping_fs
    if condition.thermostat == "nose-hoover":
        return NoseHooverChain(masses, n_f, temperature, damping, chain_length)
    if condition.thermostat == "csvr":
        return Csvr(masses, n_f, temperature, damping, rng)
    if condition.thermostat == "langevin":
        return Langevin(masses, mobile, temperature, damping, rng)
    raise ConfigurationError(
        f"condition {condition.name}: unknown thermostat {condition.thermostat!r}",
        allowed="nose-hoover, langevin, csvr",
    )

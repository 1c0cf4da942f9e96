"""Integrators of reference MD in float64 numpy: velocity Verlet with four thermostats.

Everything random is drawn from a generator of (seed, step), so a trajectory is a function of its
start, its settings and its forces, whether it ran in one go or was taken up again.

Units: Å, fs, amu, eV, K; velocities Å/fs; accelerations ``F / (m * AMU_ANGSTROM2_PER_FS2_EV)``.

Sources
-------
* BAOAB Langevin: Leimkuhler, Matthews, J. Chem. Phys. 138, 174102 (2013).
* CSVR: Bussi, Donadio, Parrinello, J. Chem. Phys. 126, 014101 (2007), appendix.
* Nose-Hoover chain: Martyna, Klein, Tuckerman, J. Chem. Phys. 97, 2635 (1992), with the splitting
  of Martyna, Tuckerman, Tobias, Klein, Mol. Phys. 87, 1117 (1996).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from ase.data import atomic_masses, atomic_numbers

from sis_engine.errors import ConfigurationError
from sis_engine.records import BoolArray, FloatArray, SegmentSpec, System
from sis_engine.units import AMU_ANGSTROM2_PER_FS2_EV, BOLTZMANN_EV_PER_K

THERMOSTATS = ("langevin", "csvr", "nose-hoover", "none")
_CHAIN_LENGTH = 3
_VELOCITY_STREAM = 0
_NOISE_STREAM = 1


@dataclass(frozen=True, eq=False)
class Mechanics:
    """What the integrators must know of a system.

    masses: (n_atoms, 1), amu;  moving: (n_atoms,), false for frozen atoms
    n_dof: degrees of freedom that carry kinetic energy
    fix_momentum: total momentum is zero and stays so (no frozen atoms, more than one atom)
    """

    masses: FloatArray
    moving: BoolArray
    n_dof: int
    fix_momentum: bool
    fix_rotation: bool

    @property
    def inertia(self) -> FloatArray:
        """(n_atoms, 1) masses in eV fs²/Å²."""
        return self.masses * AMU_ANGSTROM2_PER_FS2_EV


def mechanics_of(system: System, positions: FloatArray, thermostat: str) -> Mechanics:
    """Masses, moving atoms and degrees of freedom of a system under a thermostat.

    Total momentum is conserved, and removed, when nothing is frozen; total angular momentum when
    moreover nothing is periodic. Langevin noise heats rotations, so there they stay and count.
    """
    n_atoms = system.frame.n_atoms
    masses = np.array([[atomic_masses[atomic_numbers[s]]] for s in system.frame.species])
    moving = np.ones(n_atoms, dtype=np.bool_)
    moving[list(system.frozen)] = False
    fix_momentum = bool(moving.all()) and n_atoms > 1
    fix_rotation = fix_momentum and not any(system.frame.pbc) and thermostat != "langevin"
    basis = _constrained_motions(masses, positions, momentum=fix_momentum, rotation=fix_rotation)
    n_dof = 3 * int(moving.sum()) - basis.shape[1]
    if n_dof < 1:
        raise ConfigurationError(
            f"system {system.name!r} has no atom that can move",
            key="frozen",
            hint="take some atoms out of the frozen ones",
        )
    return Mechanics(masses, moving, n_dof, fix_momentum, fix_rotation)


def _constrained_motions(
    masses: FloatArray, positions: FloatArray, *, momentum: bool, rotation: bool
) -> FloatArray:
    """(3 n_atoms, k) orthonormal mass-weighted motions that carry total (angular) momentum."""
    root = np.sqrt(masses)
    motions: list[FloatArray] = []
    if momentum:
        motions += [np.asarray(root * axis).ravel() for axis in np.eye(3)]
    if rotation:
        arms = positions - (masses * positions).sum(axis=0) / masses.sum()
        motions += [np.asarray(root * np.cross(axis, arms)).ravel() for axis in np.eye(3)]
    if not motions:
        return np.zeros((3 * len(masses), 0))
    left, sizes, _ = np.linalg.svd(np.array(motions).T, full_matrices=False)
    return np.asarray(left[:, sizes > 1e-8 * sizes[0]])


def draw_velocities(
    mechanics: Mechanics, positions: FloatArray, temperature_k: float, seed: int
) -> FloatArray:
    """(n_atoms, 3), Å/fs: Maxwell-Boltzmann at ``temperature_k``, conserved momenta zero.

    Projecting in mass-weighted coordinates leaves the distribution of the rest canonical; the
    kinetic temperature is therefore that of ``n_dof`` degrees of freedom, with its fluctuation.
    """
    rng = _generator(seed, _VELOCITY_STREAM, 0)
    weighted = rng.standard_normal(positions.shape)
    weighted[~mechanics.moving] = 0.0
    basis = _constrained_motions(
        mechanics.masses,
        positions,
        momentum=mechanics.fix_momentum,
        rotation=mechanics.fix_rotation,
    )
    flat = weighted.ravel()
    flat = flat - basis @ (basis.T @ flat)
    scale = np.sqrt(BOLTZMANN_EV_PER_K * temperature_k / mechanics.inertia)
    return np.asarray(flat.reshape(positions.shape) * scale)


def kinetic_energy(mechanics: Mechanics, velocities: FloatArray) -> float:
    """Kinetic energy, eV."""
    return float(0.5 * (mechanics.inertia * velocities**2).sum())


def kinetic_temperature(mechanics: Mechanics, velocities: FloatArray) -> float:
    """``2 E_kin / (n_dof k_B)``, K."""
    return 2.0 * kinetic_energy(mechanics, velocities) / (mechanics.n_dof * BOLTZMANN_EV_PER_K)


class Integrator(Protocol):
    """One MD step in two halves, because the forces in between are somebody else's."""

    def before_forces(
        self, positions: FloatArray, velocities: FloatArray, forces: FloatArray, step: int
    ) -> tuple[FloatArray, FloatArray]:
        """New positions and half-way velocities from forces at the old positions."""
        ...

    def after_forces(self, velocities: FloatArray, forces: FloatArray, step: int) -> FloatArray:
        """Velocities at the end of the step, from forces at the new positions."""
        ...


def integrator_for(mechanics: Mechanics, spec: SegmentSpec) -> Integrator:
    """The integrator that ``spec.thermostat`` names."""
    if spec.thermostat == "langevin":
        return Langevin(mechanics, spec)
    if spec.thermostat == "csvr":
        return Csvr(mechanics, spec)
    if spec.thermostat == "nose-hoover":
        return NoseHoover(mechanics, spec)
    if spec.thermostat == "none":
        return VelocityVerlet(mechanics, spec)
    raise ConfigurationError(
        f"no thermostat is called {spec.thermostat!r}",
        key="segment.thermostat",
        allowed=", ".join(THERMOSTATS),
    )


class VelocityVerlet:
    """NVE: half kick, drift, half kick. Energy error is of order timestep squared."""

    def __init__(self, mechanics: Mechanics, spec: SegmentSpec) -> None:
        self._mechanics = mechanics
        self._spec = spec
        self._timestep = spec.timestep_fs

    def before_forces(
        self,
        positions: FloatArray,
        velocities: FloatArray,
        forces: FloatArray,
        step: int,  # noqa: ARG002 - the protocol's; thermostats draw by it
    ) -> tuple[FloatArray, FloatArray]:
        velocities = self._kick(velocities, forces)
        return positions + self._timestep * velocities, velocities

    def after_forces(
        self,
        velocities: FloatArray,
        forces: FloatArray,
        step: int,  # noqa: ARG002 - see above
    ) -> FloatArray:
        return self._kick(velocities, forces)

    def _kick(self, velocities: FloatArray, forces: FloatArray) -> FloatArray:
        change = 0.5 * self._timestep * forces / self._mechanics.inertia
        change[~self._mechanics.moving] = 0.0
        return np.asarray(velocities + change)


class Langevin(VelocityVerlet):
    """BAOAB: half kick, half drift, Ornstein-Uhlenbeck, half drift, half kick.

    Friction is ``1 / damping_fs``. The noise is projected so that the total momentum stays zero.
    """

    def before_forces(
        self, positions: FloatArray, velocities: FloatArray, forces: FloatArray, step: int
    ) -> tuple[FloatArray, FloatArray]:
        half = 0.5 * self._timestep
        velocities = self._kick(velocities, forces)
        positions = positions + half * velocities
        velocities = self._thermalise(velocities, step)
        return positions + half * velocities, velocities

    def _thermalise(self, velocities: FloatArray, step: int) -> FloatArray:
        decay = np.exp(-self._timestep / self._spec.damping_fs)
        thermal = BOLTZMANN_EV_PER_K * self._spec.temperature_k / self._mechanics.inertia
        rng = _generator(self._spec.seed, _NOISE_STREAM, step)
        noise = np.sqrt((1.0 - decay**2) * thermal) * rng.standard_normal(velocities.shape)
        noise[~self._mechanics.moving] = 0.0
        velocities = decay * velocities + noise
        if self._mechanics.fix_momentum:
            masses = self._mechanics.masses
            velocities = velocities - (masses * velocities).sum(axis=0) / masses.sum()
        return np.asarray(velocities)


class Csvr(VelocityVerlet):
    """Stochastic velocity rescaling after each velocity-Verlet step (Bussi 2007, eq. A7)."""

    def after_forces(self, velocities: FloatArray, forces: FloatArray, step: int) -> FloatArray:
        velocities = self._kick(velocities, forces)
        kinetic = kinetic_energy(self._mechanics, velocities)
        if not kinetic > 0.0:
            return velocities
        n_dof = self._mechanics.n_dof
        decay = np.exp(-self._timestep / self._spec.damping_fs)
        target = 0.5 * BOLTZMANN_EV_PER_K * self._spec.temperature_k  # one degree of freedom
        fresh = (1.0 - decay) * target / kinetic
        rng = _generator(self._spec.seed, _NOISE_STREAM, step)
        first = rng.standard_normal()
        rest = rng.chisquare(n_dof - 1) if n_dof > 1 else 0.0
        squared = decay + fresh * (first**2 + rest) + 2.0 * first * np.sqrt(decay * fresh)
        sign = 1.0 if first + np.sqrt(decay / fresh) >= 0.0 else -1.0
        return np.asarray(sign * np.sqrt(max(squared, 0.0)) * velocities)


class NoseHoover(VelocityVerlet):
    """A Nose-Hoover chain of three; masses ``Q_1 = n_dof k T τ²``, ``Q_k = k T τ²``."""

    def __init__(self, mechanics: Mechanics, spec: SegmentSpec) -> None:
        super().__init__(mechanics, spec)
        self._thermal = BOLTZMANN_EV_PER_K * spec.temperature_k
        self._masses = np.full(_CHAIN_LENGTH, self._thermal * spec.damping_fs**2)
        self._masses[0] *= mechanics.n_dof
        self._rates = np.zeros(_CHAIN_LENGTH)
        self._positions = np.zeros(_CHAIN_LENGTH)

    def before_forces(
        self, positions: FloatArray, velocities: FloatArray, forces: FloatArray, step: int
    ) -> tuple[FloatArray, FloatArray]:
        velocities = self._half_chain(velocities)
        return super().before_forces(positions, velocities, forces, step)

    def after_forces(self, velocities: FloatArray, forces: FloatArray, step: int) -> FloatArray:
        return self._half_chain(super().after_forces(velocities, forces, step))

    @property
    def bath_energy(self) -> float:
        """Energy of the chain, eV: with kinetic and potential energy it is conserved."""
        coupled = self._mechanics.n_dof * self._positions[0] + self._positions[1:].sum()
        return float(0.5 * (self._masses * self._rates**2).sum() + self._thermal * coupled)

    def _half_chain(self, velocities: FloatArray) -> FloatArray:
        """Half a timestep of the thermostat, outermost link first and back."""
        half = 0.5 * self._timestep
        kinetic = kinetic_energy(self._mechanics, velocities)
        for link in reversed(range(_CHAIN_LENGTH)):
            self._push(link, kinetic, half)
        scale = float(np.exp(-half * self._rates[0]))
        self._positions += half * self._rates
        kinetic *= scale**2
        for link in range(_CHAIN_LENGTH):
            self._push(link, kinetic, half)
        return np.asarray(scale * velocities)

    def _push(self, link: int, kinetic: float, half: float) -> None:
        """A quarter step of one link's rate, damped by the next link."""
        if link == 0:
            drive = 2.0 * kinetic - self._mechanics.n_dof * self._thermal
        else:
            drive = self._masses[link - 1] * self._rates[link - 1] ** 2 - self._thermal
        damp = 1.0
        if link + 1 < _CHAIN_LENGTH:
            damp = float(np.exp(-0.25 * half * self._rates[link + 1]))
        rate = self._rates[link] * damp
        rate += 0.5 * half * drive / self._masses[link]
        self._rates[link] = rate * damp


def _generator(seed: int, stream: int, step: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, step])

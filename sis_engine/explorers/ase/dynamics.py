"""Velocity-Verlet MD of an ASE calculator: NVT of our own, NPT by ASE's MTK integrator."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from sis_engine.errors import ConfigurationError
from sis_engine.explorers.ase.thermostats import Thermostat, thermostat_for
from sis_engine.explorers.quantities import (
    degrees_of_freedom,
    kinetic_energies,
    masses_amu,
    mobile_atoms,
    temperature_k,
)
from sis_engine.explorers.watch import Moment
from sis_engine.records import Condition, Ensemble, FloatArray, Frame, Replica
from sis_engine.units import AMU_ANGSTROM2_PER_FS2_EV, BOLTZMANN_EV_PER_K, EV_PER_ANGSTROM3_GPA


class Dynamics(Protocol):
    """MD that is advanced step by step."""

    def step(self) -> None: ...

    def moment(self, step: int) -> Moment: ...


class Nvt:
    """Thermostat half-steps around velocity Verlet; frozen atoms stand still."""

    def __init__(self, atoms: Any, velocities: FloatArray, replica: Replica, chain: int) -> None:
        self._atoms, self._replica = atoms, replica
        self._masses = masses_amu(replica.start.species)
        self._mobile = mobile_atoms(replica.start.n_atoms, replica.system.frozen)
        self._n_f = n_f_of(replica)
        self._velocities = np.where(self._mobile[:, None], velocities, 0.0)
        self._positions = np.array(atoms.get_positions())
        self._thermostat: Thermostat = thermostat_for(
            replica.condition,
            self._masses,
            self._mobile,
            self._n_f,
            chain,
            np.random.default_rng([replica.seed, 1]),
        )
        self._forces = atoms.get_forces(apply_constraint=False)
        self._start = self._total() + self._thermostat.heat

    def step(self) -> None:
        """Advance by one timestep."""
        dt = self._replica.condition.timestep_fs
        inverse = (self._mobile / (self._masses * AMU_ANGSTROM2_PER_FS2_EV))[:, None]
        v = self._thermostat.act(self._velocities, 0.5 * dt)
        v = v + 0.5 * dt * inverse * self._forces
        self._positions = self._positions + dt * v
        self._atoms.set_positions(self._positions, apply_constraint=False)
        self._forces = self._atoms.get_forces(apply_constraint=False)
        v = v + 0.5 * dt * inverse * self._forces
        self._velocities = self._thermostat.act(v, 0.5 * dt)

    def moment(self, step: int) -> Moment:
        """All that is known now."""
        kinetic = float(kinetic_energies(self._masses, self._velocities).sum())
        heat = self._thermostat.heat
        return Moment(
            step=step,
            frame=frame_from(self._atoms, self._replica.start),
            velocities=self._velocities.copy(),
            forces=np.array(self._forces),
            potential_energy=energy_of(self._atoms),
            kinetic_energy=kinetic,
            temperature_k=temperature_k(kinetic, self._n_f),
            heat=heat,
            drift=self._total() + heat - self._start,
        )

    def _total(self) -> float:
        return energy_of(self._atoms) + float(
            kinetic_energies(self._masses, self._velocities).sum()
        )


class IsotropicNpt:
    """Martyna-Tobias-Klein, J. Chem. Phys. 101, 4177 (1994), as in :mod:`ase.md`."""

    def __init__(self, atoms: Any, velocities: FloatArray, replica: Replica, chain: int) -> None:
        from ase import units
        from ase.md.nose_hoover_chain import IsotropicMTKNPT

        condition = replica.condition
        _refuse_npt(replica)
        self._atoms, self._replica, self._n_f = atoms, replica, n_f_of(replica)
        self._masses = masses_amu(replica.start.species)
        self._fs = units.fs
        atoms.set_velocities(velocities / units.fs)
        self._md = IsotropicMTKNPT(
            atoms,
            timestep=condition.timestep_fs * units.fs,
            temperature_K=condition.temperature_k,
            pressure_au=float(condition.pressure_gpa or 0.0) / EV_PER_ANGSTROM3_GPA,
            tdamp=condition.damping_fs * units.fs,
            pdamp=condition.pressure_damping_fs * units.fs,
            tchain=chain,
            pchain=chain,
        )
        self._conserved = self._md.get_conserved_energy()
        self._total_at_start = atoms.get_total_energy()

    def step(self) -> None:
        """Advance by one timestep."""
        self._md.step()

    def moment(self, step: int) -> Moment:
        """All that is known now; heat includes the work of the barostat."""
        velocities = self._atoms.get_velocities() * self._fs
        kinetic = float(kinetic_energies(self._masses, velocities).sum())
        drift = self._md.get_conserved_energy() - self._conserved
        return Moment(
            step=step,
            frame=frame_from(self._atoms, self._replica.start),
            velocities=velocities,
            forces=self._atoms.get_forces(apply_constraint=False),
            potential_energy=energy_of(self._atoms),
            kinetic_energy=kinetic,
            temperature_k=temperature_k(kinetic, self._n_f),
            heat=drift - (self._atoms.get_total_energy() - self._total_at_start),
            drift=drift,
        )


def dynamics_for(atoms: Any, velocities: FloatArray, replica: Replica, chain: int) -> Dynamics:
    """The integrator of the replica's ensemble."""
    if replica.condition.ensemble is Ensemble.NPT:
        return IsotropicNpt(atoms, velocities, replica, chain)
    return Nvt(atoms, velocities, replica, chain)


def n_f_of(replica: Replica) -> int:
    """Kinetic degrees of freedom: momentum is kept unless atoms are frozen."""
    free = not replica.system.frozen
    scales = replica.condition.thermostat != "langevin"
    return degrees_of_freedom(
        replica.start.n_atoms - len(replica.system.frozen),
        momentum_kept=free,
        rotation_kept=free and scales and not any(replica.start.pbc),
    )


def draw_velocities(replica: Replica) -> FloatArray:
    """(n_atoms, 3), Å/fs: Maxwell-Boltzmann, scaled to exactly velocity_factor times the target.

    Without frozen atoms there is no net momentum; a cluster does not rotate either.
    """
    condition = replica.condition
    masses = masses_amu(replica.start.species)
    mobile = mobile_atoms(replica.start.n_atoms, replica.system.frozen)
    target = condition.temperature_k * condition.velocity_factor
    rng = np.random.default_rng([replica.seed, 0])
    spread = np.sqrt(BOLTZMANN_EV_PER_K * target / (masses * AMU_ANGSTROM2_PER_FS2_EV))
    velocities: FloatArray = rng.standard_normal((len(masses), 3)) * spread[:, None]
    velocities[~mobile] = 0.0
    if mobile.all() and len(masses) > 1:
        velocities -= np.average(velocities, axis=0, weights=masses)
        if not any(replica.start.pbc):
            velocities = without_rotation(replica.start.positions, velocities, masses)
    kinetic = float(kinetic_energies(masses, velocities).sum())
    if kinetic > 0.0:
        velocities *= np.sqrt(target / temperature_k(kinetic, n_f_of(replica)))
    return velocities


def without_rotation(
    positions: FloatArray, velocities: FloatArray, masses: FloatArray
) -> FloatArray:
    """Velocities without angular momentum about the centre of mass: v - ω×r with I ω = L."""
    r = positions - np.average(positions, axis=0, weights=masses)
    angular = np.sum(masses[:, None] * np.cross(r, velocities), axis=0)
    squares = np.sum(r**2, axis=1)
    inertia = np.einsum("i,i,ab->ab", masses, squares, np.eye(3)) - np.einsum(
        "i,ia,ib->ab", masses, r, r
    )
    omega = np.linalg.pinv(inertia, rcond=1e-8) @ angular
    rest: FloatArray = velocities - np.cross(omega, r)
    return rest


def frame_from(atoms: Any, start: Frame) -> Frame:
    """The structure now, in the system's species and periodicity."""
    cell = None if start.cell is None else np.array(atoms.cell[:])
    return Frame(start.species, np.array(atoms.get_positions()), cell, start.pbc)


def energy_of(atoms: Any) -> float:
    """Force-consistent potential energy, eV."""
    return float(atoms.get_potential_energy(force_consistent=True))


def _refuse_npt(replica: Replica) -> None:
    condition: Condition = replica.condition
    if condition.pressure_gpa is None or not all(replica.start.pbc) or replica.system.frozen:
        raise ConfigurationError(
            f"condition {condition.name}: NPT needs pressure_gpa, a cell periodic in all "
            f"directions and no frozen atoms (pressure {condition.pressure_gpa}, pbc "
            f"{replica.start.pbc}, {len(replica.system.frozen)} frozen)",
            hint="use nvt for clusters, slabs and frozen atoms",
        )
    if condition.thermostat != "nose-hoover":
        raise ConfigurationError(
            f"condition {condition.name}: NPT with {condition.thermostat} is not in the ASE "
            "explorer",
            allowed="nose-hoover",
            hint="or use the LAMMPS explorer",
        )

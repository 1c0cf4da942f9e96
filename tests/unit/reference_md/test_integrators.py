"""Thermostats against statistical mechanics: coupled anharmonic wells.

Wells without coupling would never share their energy under a global thermostat; the quartic
springs between neighbours make them do so.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.records import Frame, SegmentSpec, System
from sis_engine.reference_md.integrators import (
    Mechanics,
    NoseHoover,
    draw_velocities,
    integrator_for,
    kinetic_energy,
    kinetic_temperature,
    mechanics_of,
)
from sis_engine.units import BOLTZMANN_EV_PER_K

N_ATOMS = 16
STIFFNESS = np.linspace(2.0, 9.0, N_ATOMS)[:, None]  # eV/Å², each well another frequency
COUPLING = 1500.0  # eV/Å⁴


def _system(frozen: tuple[int, ...] = (), *, periodic: bool = False) -> System:
    positions = 3.0 * np.random.default_rng(1).normal(size=(N_ATOMS, 3))
    species = ("C", "Na", "O", "Li") * (N_ATOMS // 4)
    cell = 20.0 * np.eye(3) if periodic else None
    return System("wells", Frame(species, positions, cell, (periodic,) * 3), frozen=frozen)


def _wells() -> Mechanics:
    """Atoms in wells of their own: nothing is conserved, all 3 N degrees of freedom count."""
    masses = mechanics_of(_system(), _system().frame.positions, "none").masses
    moving = np.ones(N_ATOMS, dtype=np.bool_)
    return Mechanics(masses, moving, 3 * N_ATOMS, fix_momentum=False, fix_rotation=False)


def _well_energy(positions: np.ndarray) -> float:
    stretch = positions - np.roll(positions, 1, axis=0)
    return float((0.5 * STIFFNESS * positions**2).sum() + 0.25 * COUPLING * (stretch**4).sum())


def _well_forces(positions: np.ndarray) -> np.ndarray:
    pull = COUPLING * (positions - np.roll(positions, 1, axis=0)) ** 3
    return -STIFFNESS * positions - pull + np.roll(pull, -1, axis=0)


@cache
def _run(spec: SegmentSpec) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By step: kinetic energy of each atom, -sum x.F, and the conserved quantity; eV."""
    mechanics = _wells()
    integrator = integrator_for(mechanics, spec)
    positions = np.zeros((N_ATOMS, 3))
    velocities = draw_velocities(mechanics, positions, 2.0 * spec.temperature_k, spec.seed)
    forces = _well_forces(positions)
    kinetic, clausius, conserved = [], [], []
    for step in range(1, spec.n_steps):
        positions, velocities = integrator.before_forces(positions, velocities, forces, step)
        forces = _well_forces(positions)
        velocities = integrator.after_forces(velocities, forces, step)
        kinetic.append((0.5 * mechanics.inertia * velocities**2).sum(axis=1))
        clausius.append(-(positions * forces).sum())
        bath = integrator.bath_energy if isinstance(integrator, NoseHoover) else 0.0
        conserved.append(kinetic[-1].sum() + _well_energy(positions) + bath)
    return np.array(kinetic), np.array(clausius), np.array(conserved)


def _thermal(thermostat: str) -> SegmentSpec:
    return SegmentSpec(15_000, 1.0, 300.0, thermostat=thermostat, damping_fs=20.0, seed=7)


def test_the_test_potential_has_consistent_forces() -> None:
    positions = 0.1 * np.random.default_rng(2).normal(size=(N_ATOMS, 3))
    step = np.zeros_like(positions)
    step[3, 1] = 1e-6
    slope = (_well_energy(positions + step) - _well_energy(positions - step)) / 2e-6
    assert _well_forces(positions)[3, 1] == pytest.approx(-slope, rel=1e-6)


def _nve_error(timestep_fs: float) -> float:
    spec = SegmentSpec(int(100 / timestep_fs), timestep_fs, 300.0, thermostat="none", seed=4)
    _, _, conserved = _run(spec)
    return float(np.abs(conserved - conserved[0]).max())


def test_nve_energy_error_falls_with_the_square_of_the_timestep() -> None:
    coarse, fine = _nve_error(0.5), _nve_error(0.25)
    assert coarse / fine == pytest.approx(4.0, rel=0.15)


@pytest.mark.parametrize("thermostat", ["langevin", "csvr", "nose-hoover"])
def test_thermostats_give_the_canonical_mean_and_variance_of_the_temperature(
    thermostat: str,
) -> None:
    kinetic, clausius, _ = _run(_thermal(thermostat))
    settled = kinetic[1000:].sum(axis=1)
    mean = 0.5 * 3 * N_ATOMS * BOLTZMANN_EV_PER_K * 300.0
    assert settled.mean() == pytest.approx(mean, rel=0.04)
    # Variance of the kinetic energy of N_f degrees of freedom: N_f (kT)² / 2.
    assert settled.std() == pytest.approx(mean * np.sqrt(2.0 / (3 * N_ATOMS)), rel=0.12)
    # Equipartition of positions: -<sum x.F> = N_f kT for any potential.
    assert clausius[1000:].mean() == pytest.approx(2.0 * mean, rel=0.08)


@pytest.mark.parametrize("thermostat", ["langevin", "csvr", "nose-hoover"])
def test_light_and_heavy_atoms_share_the_kinetic_energy_equally(thermostat: str) -> None:
    kinetic, _, _ = _run(_thermal(thermostat))
    by_element = kinetic[1000:].mean(axis=0).reshape(-1, 4).mean(axis=0)
    assert by_element == pytest.approx(1.5 * BOLTZMANN_EV_PER_K * 300.0, rel=0.12)


def test_nose_hoover_conserves_system_and_bath_energy() -> None:
    spec = SegmentSpec(4000, 0.5, 300.0, thermostat="nose-hoover", damping_fs=50.0)
    _, _, conserved = _run(spec)
    assert np.abs(conserved - conserved[0]).max() < 5e-3


@pytest.mark.parametrize(
    ("thermostat", "periodic", "frozen", "expected"),
    [
        ("csvr", False, (), 3 * N_ATOMS - 6),
        ("csvr", True, (), 3 * N_ATOMS - 3),
        ("langevin", False, (), 3 * N_ATOMS - 3),
        ("csvr", False, (0, 1), 3 * (N_ATOMS - 2)),
    ],
)
def test_degrees_of_freedom_are_those_that_carry_heat(
    thermostat: str, periodic: bool, frozen: tuple[int, ...], expected: int
) -> None:
    system = _system(frozen, periodic=periodic)
    assert mechanics_of(system, system.frame.positions, thermostat).n_dof == expected


def test_a_linear_molecule_loses_only_two_rotations() -> None:
    frame = Frame(("O", "C", "O"), [[0, 0, 0], [1.16, 0, 0], [2.32, 0, 0]])
    assert mechanics_of(System("co2", frame), frame.positions, "csvr").n_dof == 4


def test_drawn_velocities_have_no_momenta_and_the_right_mean_temperature() -> None:
    system = _system()
    positions = system.frame.positions
    mechanics = mechanics_of(system, positions, "csvr")
    temperatures = []
    for seed in range(400):
        velocities = draw_velocities(mechanics, positions, 300.0, seed)
        temperatures.append(kinetic_temperature(mechanics, velocities))
    momentum = (mechanics.masses * velocities).sum(axis=0)
    centre = (mechanics.masses * positions).sum(axis=0) / mechanics.masses.sum()
    angular = np.cross(positions - centre, mechanics.masses * velocities).sum(axis=0)
    assert np.abs(momentum).max() < 1e-12
    assert np.abs(angular).max() < 1e-11
    sigma = 300.0 * np.sqrt(2.0 / mechanics.n_dof)
    assert np.mean(temperatures) == pytest.approx(300.0, abs=4 * sigma / 20)
    assert np.std(temperatures) == pytest.approx(sigma, rel=0.15)


def test_frozen_atoms_get_no_velocity_and_no_kick() -> None:
    system = _system((0, 5))
    mechanics = mechanics_of(system, system.frame.positions, "langevin")
    spec = SegmentSpec(2, 0.5, 300.0, thermostat="langevin")
    velocities = draw_velocities(mechanics, system.frame.positions, 300.0, 1)
    forces = np.ones((N_ATOMS, 3))
    positions, velocities = integrator_for(mechanics, spec).before_forces(
        system.frame.positions, velocities, forces, 1
    )
    assert (velocities[[0, 5]] == 0.0).all()
    assert (positions[[0, 5]] == system.frame.positions[[0, 5]]).all()
    assert kinetic_energy(mechanics, velocities) > 0.0


def test_an_unknown_thermostat_is_named_with_what_is_allowed() -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)berendsen.*langevin, csvr"):
        integrator_for(_wells(), SegmentSpec(1, 0.5, 300.0, thermostat="berendsen"))


def test_a_wholly_frozen_system_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no atom that can move"):
        mechanics_of(_system(tuple(range(N_ATOMS))), _system().frame.positions, "csvr")

"""What healthy thermal motion looks like."""

import math

import numpy as np
import pytest

from monitors.thermal import (
    degrees_of_freedom,
    energy_width,
    healthy_violation_probability,
    kinetic_energies,
    kinetic_quantile,
    outliers,
    temperature_width,
)
from sis_engine.records import MdFrame, System
from sis_engine.testing.synthetic import lattice_frame, md_frames
from sis_engine.units import BOLTZMANN_EV_PER_K


def test_the_temperature_of_32_atoms_at_300_k_is_44_k_wide():
    assert temperature_width(93, 300.0) == pytest.approx(44.0, abs=0.05)


def test_the_energy_width_is_the_one_measured_on_a_real_cluster():
    # GFN2-xTB, LiFSI + dioxolane, 21 atoms, 4 ps at 300 K: 0.132 and 0.139 eV in two runs
    assert energy_width(60, 300.0) == pytest.approx(0.1385, rel=0.05)


def test_32_atoms_leave_the_fine_window_by_chance_within_10_ps():
    once = healthy_violation_probability(93, 300.0, 200.0, 500.0, 1)
    in_10_ps = healthy_violation_probability(93, 300.0, 200.0, 500.0, 10_000 / 30)
    assert 1e-3 < once < 2e-2
    assert in_10_ps > 0.8


def test_one_check_has_the_probability_that_random_velocities_have():
    rng = np.random.default_rng(0)
    t = 300.0 * np.mean(rng.standard_normal((200_000, 20)) ** 2, axis=1)
    counted = np.mean((t < 200.0) | (t > 450.0))
    assert healthy_violation_probability(20, 300.0, 200.0, 450.0, 1) == pytest.approx(
        counted, rel=0.03
    )


def test_a_window_that_excludes_the_target_is_always_left():
    assert healthy_violation_probability(300, 300.0, 500.0, 1000.0, 100) == pytest.approx(1.0)


def test_the_kinetic_tail_of_one_atom_is_that_of_three_random_components():
    rng = np.random.default_rng(0)
    kinetic = 0.5 * BOLTZMANN_EV_PER_K * 300.0 * np.sum(rng.standard_normal((400_000, 3)) ** 2, 1)
    assert np.mean(kinetic > kinetic_quantile(300.0, 1e-2)) == pytest.approx(1e-2, rel=0.05)


def test_a_hydrogen_at_20000_k_is_beyond_the_tail_by_far():
    hydrogen = 1.5 * BOLTZMANN_EV_PER_K * 20_000.0
    assert hydrogen == pytest.approx(2.585, abs=1e-3)
    assert kinetic_quantile(300.0, 1e-12) < 0.5 * hydrogen


def test_frozen_atoms_have_no_degrees_of_freedom_and_hold_the_centre_of_mass():
    frame = lattice_frame(["Li"] * 10)
    assert degrees_of_freedom(System("free", frame)) == 27
    assert degrees_of_freedom(System("slab", frame, frozen=(0, 1))) == 24


def test_kinetic_energies_in_ev_of_a_hydrogen_worked_by_hand():
    # 1.008 amu at 0.01 Å/fs: 0.5 * 1.008 * 1.66054e-27 kg * (1e3 m/s)^2 = 8.369e-22 J = 5.2236 meV
    frame = MdFrame(lattice_frame(["H"]), 0.0, velocities=np.array([[0.01, 0.0, 0.0]]))
    energies = kinetic_energies(frame)
    assert energies is not None
    assert energies[0] == pytest.approx(5.2236e-3, rel=1e-4)


def test_maxwell_boltzmann_frames_have_the_temperature_they_were_made_for():
    system = System("many", lattice_frame(["H", "O"] * 500))
    energies = kinetic_energies(md_frames(system, [0.0], temperature_k=300.0)[0])
    assert energies is not None
    assert energies.mean() / (1.5 * BOLTZMANN_EV_PER_K) == pytest.approx(300.0, rel=0.06)


def test_an_atom_with_a_nan_is_an_outlier():
    assert outliers(np.array([0.1, math.nan, 3.0]), 1.0) == (1, 2)

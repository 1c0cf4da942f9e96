import numpy as np
import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.explorers.ase.thermostats import thermostat_for
from sis_engine.explorers.quantities import kinetic_energies, temperature_k
from sis_engine.records import Condition, Ensemble

MASSES = np.array([1.008, 12.011, 15.999, 6.94] * 5)
MOBILE = np.ones(20, dtype=bool)
DT = 1.0
SPRING = 5.0  # eV/Å²


def run(style, n_steps, temperature=300.0, damping=20.0):
    """Independent harmonic oscillators; (temperature, conserved energy) at every step."""
    condition = Condition(
        "c", Ensemble.NVT, temperature, DT, 1.0, thermostat=style, damping_fs=damping
    )
    rng = np.random.default_rng(4)
    thermostat = thermostat_for(condition, MASSES, MOBILE, 60, 3, rng)
    x = rng.normal(0, 0.1, (20, 3))
    v = rng.normal(0, 0.01, (20, 3))
    inverse = 1.0 / (MASSES * 103.64269652680505)[:, None]
    rows = []
    for _ in range(n_steps):
        v = thermostat.act(v, 0.5 * DT)
        v = v - 0.5 * DT * SPRING * x * inverse
        x = x + DT * v
        v = v - 0.5 * DT * SPRING * x * inverse
        v = thermostat.act(v, 0.5 * DT)
        kinetic = kinetic_energies(MASSES, v).sum()
        total = kinetic + 0.5 * SPRING * np.sum(x**2)
        rows.append((temperature_k(kinetic, 60), total + thermostat.heat))
    return np.array(rows)


def test_nose_hoover_reaches_the_target_and_conserves_its_energy():
    rows = run("nose-hoover", 20_000)
    assert rows[4000:, 0].mean() == pytest.approx(300.0, rel=0.05)
    assert np.ptp(rows[:, 1]) < 0.02  # of 1.5 eV thermal energy


def test_csvr_samples_the_canonical_width():
    rows = run("csvr", 20_000)
    assert rows[4000:, 0].mean() == pytest.approx(300.0, rel=0.05)
    # canonical: sigma_T = T sqrt(2/N_f) = 54.8 K
    assert rows[4000:, 0].std() == pytest.approx(300 * (2 / 60) ** 0.5, rel=0.15)
    assert np.ptp(rows[:, 1]) < 0.02


def test_heat_is_what_langevin_took():
    rows = run("langevin", 3000)
    # velocity Verlet alone would conserve energy: what is missing must be in the account
    assert np.ptp(rows[:, 1]) < 0.02


def test_langevin_heats_mobile_atoms_only():
    condition = Condition("c", Ensemble.NVT, 300.0, DT, 1.0, thermostat="langevin", damping_fs=5.0)
    mobile = np.arange(20) > 3
    thermostat = thermostat_for(condition, MASSES, mobile, 48, 3, np.random.default_rng(0))
    v = np.zeros((20, 3))
    for _ in range(100):
        v = thermostat.act(v, DT)
    assert np.all(v[:4] == 0.0)
    assert np.all(np.linalg.norm(v[4:], axis=1) > 0.0)


def test_an_unknown_thermostat_names_the_known_ones():
    condition = Condition("c", Ensemble.NVT, 300.0, DT, 1.0, thermostat="berendsen")
    with pytest.raises(ConfigurationError, match="nose-hoover, langevin, csvr"):
        thermostat_for(condition, MASSES, MOBILE, 60, 3, np.random.default_rng(0))

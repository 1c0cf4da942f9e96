import numpy as np
import pytest

from sis_engine.explorers.quantities import (
    degrees_of_freedom,
    kinetic_energies,
    temperature_k,
)


def test_kinetic_energy_and_temperature_against_values_by_hand():
    # 1 amu at 1 Å/fs = 1e5 m/s: 0.5 * 1.66053906660e-27 kg * 1e10 m²/s² / 1.602176634e-19 J
    energies = kinetic_energies(np.array([1.0]), np.array([[1.0, 0.0, 0.0]]))
    assert energies[0] == pytest.approx(51.8213, rel=1e-6)
    # an ideal gas at 300 K: 3/2 k_B T = 0.0387780 eV an atom
    assert temperature_k(0.0387780, 3) == pytest.approx(300.0, rel=1e-5)


@pytest.mark.parametrize(
    ("n", "momentum", "rotation", "expected"),
    [
        (32, True, False, 93),
        (21, True, True, 57),
        (2, True, True, 1),
        (1, True, True, 3),
        (10, False, False, 30),
    ],
)
def test_degrees_of_freedom(n, momentum, rotation, expected):
    assert degrees_of_freedom(n, momentum_kept=momentum, rotation_kept=rotation) == expected

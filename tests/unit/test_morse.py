from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.records import Frame
from sis_engine.testing.morse import Morse, shortest_distance


def _cluster(*, periodic: bool) -> Frame:
    grid = 2.6 * np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
    positions = grid + 0.15 * np.random.default_rng(3).normal(size=grid.shape)
    if not periodic:
        return Frame(("Ar",) * 8, positions)
    cell = np.array([[5.6, 0.3, 0.0], [0.0, 5.9, 0.2], [0.1, 0.0, 6.1]])
    return Frame(("Ar",) * 8, positions, cell, (True, True, True))


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("hole", [0.0, 2.7])
def test_forces_are_minus_the_derivative_of_the_energy(periodic: bool, hole: float) -> None:
    frame = _cluster(periodic=periodic)
    morse = Morse(hole_angstrom=hole, hole_strength=3.0)
    _, forces, _ = morse.evaluate(frame)
    step = 1e-5
    for atom, axis in ((0, 0), (3, 1), (7, 2)):
        energies = []
        for sign in (1.0, -1.0):
            positions = frame.positions.copy()
            positions[atom, axis] += sign * step
            energies.append(morse.evaluate(replace(frame, positions=positions))[0])
        assert forces[atom, axis] == pytest.approx(
            -(energies[0] - energies[1]) / (2 * step), abs=1e-6
        )


def test_the_virial_is_minus_the_derivative_of_the_energy_by_strain() -> None:
    frame = _cluster(periodic=True)
    _, _, virial = Morse().evaluate(frame)
    step = 1e-5
    for a in range(3):
        for b in range(3):
            energies = []
            for sign in (1.0, -1.0):
                strain = np.eye(3)
                strain[a, b] += sign * step
                strained = replace(
                    frame, positions=frame.positions @ strain.T, cell=frame.cell @ strain.T
                )
                energies.append(Morse().evaluate(strained)[0])
            assert virial[a, b] == pytest.approx(
                -(energies[0] - energies[1]) / (2 * step), abs=1e-6
            )


def test_a_dimer_at_its_minimum_has_no_force_and_nearly_the_depth() -> None:
    dimer = Frame(("Ar", "Ar"), [[0, 0, 0], [2.6, 0, 0]])
    energy, forces, _ = Morse(cutoff_angstrom=1000.0).evaluate(dimer)
    assert energy == pytest.approx(-0.3, rel=1e-4)
    assert np.abs(forces).max() < 1e-4
    assert shortest_distance(dimer, 7.0) == pytest.approx(2.6)

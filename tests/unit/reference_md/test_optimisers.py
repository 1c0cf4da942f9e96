from __future__ import annotations

import numpy as np

from sis_engine.records import Frame
from sis_engine.reference_md.optimisers import Lbfgs
from sis_engine.testing.morse import Morse


def test_a_stretched_cluster_relaxes_in_small_steps() -> None:
    grid = 2.9 * np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
    positions = grid + 0.2 * np.random.default_rng(0).normal(size=grid.shape)
    optimiser = Lbfgs(0.1)
    energies, largest = [], np.inf
    for _ in range(200):
        energy, forces, _ = Morse().evaluate(Frame(("Ar",) * 8, positions))
        energies.append(energy)
        largest = float(np.sqrt((forces**2).sum(axis=1).max()))
        if largest < 0.01:
            break
        proposed = optimiser.propose(positions, forces)
        assert np.sqrt(((proposed - positions) ** 2).sum(axis=1).max()) <= 0.1 + 1e-12
        positions = proposed
    assert largest < 0.01
    assert len(energies) < 140
    assert energies[-1] < energies[0] - 0.5


def test_negative_curvature_does_not_turn_the_step_uphill() -> None:
    optimiser = Lbfgs(0.1)
    first = np.array([[1.0, 0.0, 0.0]])
    optimiser.propose(np.zeros((1, 3)), first)
    # The force grew along the step: curvature is negative there.
    second = np.array([[2.0, 0.0, 0.0]])
    step = optimiser.propose(np.array([[0.05, 0.0, 0.0]]), second) - np.array([[0.05, 0.0, 0.0]])
    assert step[0, 0] > 0.0

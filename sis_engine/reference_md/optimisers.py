"""Geometry optimisation by L-BFGS with a displacement cap: every evaluation is paid for.

Source: Liu, Nocedal, Math. Program. 45, 503 (1989), two-loop recursion, without a line search
(each trial would be an evaluation); the cap on the largest atomic displacement stands in for it.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from sis_engine.records import FloatArray

_MEMORY = 30
_FIRST_CURVATURE = 70.0
"""eV/Å², a stiff bond: the first step is short. The value ASE's LBFGS starts from."""


class Lbfgs:
    """Proposes the next positions from positions and forces. State is only its own history."""

    def __init__(self, max_displacement_angstrom: float) -> None:
        self._cap = max_displacement_angstrom
        self._pairs: deque[tuple[FloatArray, FloatArray, float]] = deque(maxlen=_MEMORY)
        self._last: tuple[FloatArray, FloatArray] | None = None

    def propose(self, positions: FloatArray, forces: FloatArray) -> FloatArray:
        """(n_atoms, 3), Å: where to evaluate next. No atom moves further than the cap."""
        self._remember(positions, forces)
        step = self._direction(forces)
        longest = float(np.sqrt((step**2).sum(axis=1).max()))
        if longest > self._cap:
            step = step * (self._cap / longest)
        return np.asarray(positions + step)

    def _remember(self, positions: FloatArray, forces: FloatArray) -> None:
        if self._last is not None:
            moved = (positions - self._last[0]).ravel()
            change = (self._last[1] - forces).ravel()
            curvature = float(moved @ change)
            # Negative curvature would turn a descent direction into an ascent.
            if curvature > 1e-10:
                self._pairs.append((moved, change, 1.0 / curvature))
        self._last = (positions.copy(), forces.copy())

    def _direction(self, forces: FloatArray) -> FloatArray:
        descent = forces.ravel().copy()
        weights: list[float] = []
        for moved, change, inverse in reversed(self._pairs):
            weight = inverse * float(moved @ descent)
            weights.append(weight)
            descent -= weight * change
        descent /= _FIRST_CURVATURE
        for (moved, change, inverse), weight in zip(self._pairs, reversed(weights), strict=True):
            descent += moved * (weight - inverse * float(change @ descent))
        return descent.reshape(forces.shape)

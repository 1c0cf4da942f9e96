"""A Morse solid in numpy: the reference and the model of the fakes, exact and in microseconds.

``E = sum_pairs s(r) [D (x² - 2x) - H (h - r)³ θ(h - r)]`` with ``x = exp(-a (r - r0))`` and the
switch ``s = (1 - r²/rc²)³``, twice differentiable everywhere. The last term is a *hole*: below a
distance ``h`` the model is wrong and attractive, as a potential is where it has no data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from sis_engine.records import FloatArray, Frame


@dataclass(frozen=True)
class Morse:
    """depth_ev D, steepness a (1/Å), distance_angstrom r0, cutoff_angstrom rc

    hole_angstrom h: below it the potential falls by hole_strength H (eV/Å³) (h - r)³
    """

    depth_ev: float = 0.3
    steepness: float = 1.6
    distance_angstrom: float = 2.6
    cutoff_angstrom: float = 7.0
    hole_angstrom: float = 0.0
    hole_strength: float = 2000.0

    def evaluate(self, frame: Frame) -> tuple[float, FloatArray, FloatArray]:
        """Energy (eV), forces (n_atoms, 3) (eV/Å), virial (3, 3) (eV) = -dE/d(strain)."""
        first, vectors = _pairs(frame, self.cutoff_angstrom)
        distances = np.sqrt((vectors**2).sum(axis=1))
        energies, slopes = self._pair(distances)
        # Each pair is listed from both ends, so each end takes half of it.
        pulls = (slopes / distances)[:, None] * vectors
        forces = np.zeros((frame.n_atoms, 3))
        np.add.at(forces, first, pulls)
        return 0.5 * float(energies.sum()), forces, -0.5 * vectors.T @ pulls

    def charges(self, frame: Frame, total: float) -> FloatArray:
        """Made up, (n_atoms,), e, of the sum ``total``: crowded atoms are positive."""
        first, vectors = _pairs(frame, self.cutoff_angstrom)
        crowding = np.zeros(frame.n_atoms)
        np.add.at(crowding, first, 0.1 * np.exp(-np.sqrt((vectors**2).sum(axis=1))))
        shares: FloatArray = crowding - crowding.mean() + total / frame.n_atoms
        return shares

    def _pair(self, r: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Energy and its derivative for distances, eV and eV/Å."""
        x = np.exp(-self.steepness * (r - self.distance_angstrom))
        depth = np.clip(self.hole_angstrom - r, 0.0, None)
        value = self.depth_ev * (x**2 - 2.0 * x) - self.hole_strength * depth**3
        slope = -2.0 * self.depth_ev * self.steepness * (x**2 - x)
        slope = slope + 3.0 * self.hole_strength * depth**2
        inside = 1.0 - (r / self.cutoff_angstrom) ** 2
        switch = inside**3
        switch_slope = -6.0 * r / self.cutoff_angstrom**2 * inside**2
        return value * switch, slope * switch + value * switch_slope


def shortest_distance(frame: Frame, cutoff_angstrom: float) -> float:
    """Shortest distance of a frame, Å; infinite when none is within the cutoff."""
    _, vectors = _pairs(frame, cutoff_angstrom)
    return float(np.sqrt((vectors**2).sum(axis=1)).min(initial=np.inf))


def _pairs(frame: Frame, cutoff: float) -> tuple[np.ndarray, FloatArray]:
    """Index of the first atom and vector to the second, for all ordered pairs within cutoff."""
    if any(frame.pbc):
        atoms = Atoms(list(frame.species), frame.positions, cell=frame.cell, pbc=frame.pbc)
        first, vectors = neighbor_list("iD", atoms, cutoff)
        return first, vectors
    vectors = frame.positions[None, :, :] - frame.positions[:, None, :]
    near = (vectors**2).sum(axis=2) < cutoff**2
    np.fill_diagonal(near, val=False)
    return np.nonzero(near)[0], vectors[near]

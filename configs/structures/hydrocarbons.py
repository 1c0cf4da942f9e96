"""Small periodic boxes of hydrocarbons for teachers: placed at random, no program needed."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.geometry import get_distances

ETHANE_G_PER_CM3 = 0.544
"""Liquid ethane at its boiling point, 184 K (CRC Handbook)."""

ETHANE_ANGSTROM3 = 30.07 / ETHANE_G_PER_CM3 / 0.602214076
"""Volume of one molecule, Å³."""

APART_ANGSTROM = 2.1
"""Least distance of atoms of two molecules; hydrogens of neighbours lie at 2.4 Å and more."""


def liquid_ethane(n_molecules: int, *, seed: int) -> Atoms:
    """A cubic periodic box at the liquid's density; molecules one by one where there is room."""
    side = (n_molecules * ETHANE_ANGSTROM3) ** (1.0 / 3.0)
    random = np.random.default_rng(seed)
    box = Atoms(cell=[side] * 3, pbc=True)
    while len(box) < 8 * n_molecules:
        placed = _placed(box, side, random)
        if placed is None:  # no room was left: begin again
            box = Atoms(cell=[side] * 3, pbc=True)
        else:
            box += placed
    box.info = {
        "composition": f"{n_molecules} ethane",
        "density_g_per_cm3": ETHANE_G_PER_CM3,
        "placed": f"seed {seed}, {APART_ANGSTROM} Å apart",
    }
    return box


def _placed(box: Atoms, side: float, random: np.random.Generator) -> Atoms | None:
    for _ in range(2000):
        one = molecule("C2H6")
        one.rotate(random.uniform(0, 360), random.normal(size=3))
        one.translate(random.uniform(0, side, 3) - one.get_center_of_mass())
        if not len(box):
            return one
        _, distances = get_distances(one.positions, box.positions, cell=box.cell, pbc=True)
        if distances.min() > APART_ANGSTROM:
            return one
    return None

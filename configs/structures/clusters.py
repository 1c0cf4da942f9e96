"""Solvation clusters of LiFSI, or of Li+ alone, with 1,3-dioxolane: no Packmol needed."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.geometry import get_distances
from molecules import dioxolane, fsi, relaxed, without_calculator

LI_O_ANGSTROM = 2.1
N_TRIALS = 6


def lifsi_cluster(n_dioxolane: int, seed: int = 1) -> Atoms:
    """The lowest of a few relaxed starts: Li on two oxygens of FSI, ring oxygens towards Li."""
    anion = relaxed(fsi(), charge=-1)
    ring = relaxed(dioxolane())
    rng = np.random.default_rng(seed)
    best: Atoms | None = None
    for _ in range(N_TRIALS):
        candidate = relaxed(_start(anion, ring, n_dioxolane, rng))
        lower = best is None or candidate.get_potential_energy() < best.get_potential_energy()
        if lower and coordination(candidate) >= 2 + n_dioxolane:
            best = candidate
    if best is None:
        raise RuntimeError("no start relaxed to a cluster with Li bound to FSI and dioxolane")
    result = without_calculator(best)
    result.info["relaxed"] = "GFN2-xTB, 0.02 eV/Å, lowest of several starts"
    result.center(vacuum=0.0)
    result.cell = None
    return result


def lithium_ring() -> Atoms:
    """Li+ at an oxygen of one ring, relaxed with its charge."""
    ring = relaxed(dioxolane())
    oxygen, middle = ring.positions[0], ring.positions[:5].mean(axis=0)
    out = (oxygen - middle) / np.linalg.norm(oxygen - middle)
    start = Atoms("Li", [oxygen + LI_O_ANGSTROM * out]) + ring
    result = without_calculator(relaxed(start, charge=1))
    result.info |= {"relaxed": "GFN2-xTB, 0.02 eV/Å", "charge": 1}
    result.center(vacuum=0.0)
    result.cell = None
    return result


def coordination(atoms: Atoms) -> int:
    """Oxygens within 2.4 Å of the first Li."""
    lithium = next(atom.index for atom in atoms if atom.symbol == "Li")
    return sum(
        1 for atom in atoms if atom.symbol == "O" and atoms.get_distance(lithium, atom.index) < 2.4
    )


def _start(anion: Atoms, ring: Atoms, n_dioxolane: int, rng: np.random.Generator) -> Atoms:
    """Li across the two nearest oxygens of different sulfurs; rings around it."""
    oxygens = anion.positions[3:7]
    pairs = [(i, j) for i in (0, 1) for j in (2, 3)]
    first, second = min(pairs, key=lambda pair: np.linalg.norm(oxygens[pair[0]] - oxygens[pair[1]]))
    middle = 0.5 * (oxygens[first] + oxygens[second])
    out = middle - anion.positions[:3].mean(axis=0)
    out /= np.linalg.norm(out)
    lithium = middle + 1.2 * out
    atoms = Atoms("Li", [lithium]) + anion
    for _ in range(n_dioxolane):
        atoms = atoms + _placed(ring, lithium, out, atoms, rng)
    return atoms


def _placed(
    ring: Atoms, lithium: np.ndarray, out: np.ndarray, others: Atoms, rng: np.random.Generator
) -> Atoms:
    """A ring with its first oxygen 2 Å from Li, turned away from what is there already."""
    oxygen = ring.positions[0]
    towards = oxygen - ring.positions[:5].mean(axis=0)
    for _ in range(2000):
        direction = out + rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        copy = ring.copy()
        copy.rotate(rng.uniform(0.0, 360.0), towards, center=oxygen)
        copy.rotate(towards, -direction, center=oxygen)
        copy.positions += lithium + LI_O_ANGSTROM * direction - oxygen
        _, distances = get_distances(copy.positions, others.positions[1:])
        if distances.min() > 2.0:
            return copy
    raise RuntimeError("no room for a dioxolane beside Li")

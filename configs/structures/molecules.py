"""The molecules of LiFSI in 1,3-dioxolane, built by hand and relaxed by GFN2-xTB."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.optimize import BFGS, FIRE
from tblite.ase import TBLite

LITHIUM = "Li"
LIFSI_G_PER_MOL = 187.07
DOL_G_PER_MOL = 74.08


def fsi() -> Atoms:
    """Bis(fluorosulfonyl)imide anion, N(SO2F)2-, order N, S, S, O4, F2; C2-like, unrelaxed.

    S-N 1.57 Å with an angle of 120°; each sulfur is a tetrahedron of N, O, O, F.
    """
    nitrogen = np.zeros(3)
    sulfurs = [1.57 * np.array([sign * np.sin(1.047), np.cos(1.047), 0.0]) for sign in (1.0, -1.0)]
    oxygens, fluorines = [], []
    for sign, sulfur in zip((1.0, -1.0), sulfurs, strict=True):
        away = sulfur / np.linalg.norm(sulfur)
        normal = np.array([0.0, 0.0, sign])
        side = np.cross(normal, away)
        for turn, length, group in (
            (60, 1.43, oxygens),
            (180, 1.43, oxygens),
            (300, 1.60, fluorines),
        ):
            angle = np.radians(turn)
            spoke = np.cos(angle) * side + np.sin(angle) * normal
            # 109.5° from the S-N bond: a third forwards, the rest sideways.
            group.append(sulfur + length * (away / 3.0 + np.sqrt(8.0) / 3.0 * spoke))
    return Atoms("NS2O4F2", [nitrogen, *sulfurs, *oxygens, *fluorines])


def dioxolane() -> Atoms:
    """1,3-Dioxolane, C3H6O2, order O C O C C H6: a planar ring, unrelaxed."""
    ring = "OCOCC"
    symbols, positions = [], []
    hydrogens = []
    for index, symbol in enumerate(ring):
        angle = 2.0 * np.pi * index / 5.0
        spoke = np.array([np.cos(angle), np.sin(angle), 0.0])
        symbols.append(symbol)
        positions.append(1.23 * spoke)
        if symbol == "C":
            hydrogens += [
                1.23 * spoke + 0.6 * spoke + side * np.array([0, 0, 0.9]) for side in (1, -1)
            ]
    return Atoms("".join(symbols) + "H6", [*positions, *hydrogens])


def relaxed(
    atoms: Atoms, *, method: str = "GFN2-xTB", charge: int = 0, fmax: float = 0.02, steps: int = 600
) -> Atoms:
    """A relaxed copy (forces below ``fmax``, eV/Å): FIRE out of the worst, then BFGS."""
    copy = atoms.copy()
    copy.calc = TBLite(method=method, charge=float(charge), verbosity=0, accuracy=0.1)
    FIRE(copy, logfile=None).run(fmax=0.3, steps=steps)
    if not BFGS(copy, logfile=None).run(fmax=fmax, steps=steps):
        raise RuntimeError(f"{atoms.symbols} did not relax to {fmax} eV/Å within {steps} steps")
    return copy


def without_calculator(atoms: Atoms) -> Atoms:
    """Positions, cell and species alone, in the order of first appearance of the elements."""
    order = [
        i
        for symbol in dict.fromkeys(atoms.get_chemical_symbols())
        for i in range(len(atoms))
        if atoms[i].symbol == symbol
    ]
    ordered = atoms[order]
    return Atoms(ordered.symbols, ordered.positions, cell=ordered.cell, pbc=ordered.pbc)

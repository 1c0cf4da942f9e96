"""Which molecules there are: bonds from covalent radii, molecules as connected atoms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sis_engine.records import Frame

Bond = tuple[int, int]

BOND_FACTOR = 1.2
"""Bonds reach this far beyond the sum of covalent radii (Cordero 2008): a C-H or S-F stretch at
300 K stays within 10 %, the nearest contact of unbonded atoms lies beyond 1.4 times the sum."""


@dataclass(frozen=True)
class BondChange:
    """Bonds (i < j) broken and formed between two frames of the same atoms."""

    broken: tuple[Bond, ...]
    formed: tuple[Bond, ...]


def bonds(
    frame: Frame, *, factor: float = BOND_FACTOR, without: Sequence[str] = ("Li",)
) -> frozenset[Bond]:
    """Bonded pairs (i < j); elements in ``without`` coordinate rather than bond."""
    atoms = Atoms(frame.species, frame.positions, cell=frame.cell, pbc=frame.pbc)
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=factor))
    bonding = [symbol not in without for symbol in frame.species]
    return frozenset(
        (int(i), int(j))
        for i, j in zip(first, second, strict=True)
        if i < j and bonding[i] and bonding[j]
    )


def molecules(
    frame: Frame, *, factor: float = BOND_FACTOR, without: Sequence[str] = ("Li",)
) -> Counter[str]:
    """How many molecules of each formula (Hill order, as ``C3H6O2``) there are."""
    pairs = sorted(bonds(frame, factor=factor, without=without))
    rows = np.array([i for i, _ in pairs], dtype=np.int32)
    columns = np.array([j for _, j in pairs], dtype=np.int32)
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(frame.n_atoms,) * 2)
    _, labels = connected_components(graph, directed=False)
    members: dict[int, list[str]] = {}
    for symbol, label in zip(frame.species, labels.tolist(), strict=True):
        members.setdefault(label, []).append(symbol)
    return Counter(
        str(Atoms(symbols).symbols.get_chemical_formula("hill")) for symbols in members.values()
    )


def molecule_counts(
    frames: Sequence[Frame], *, factor: float = BOND_FACTOR, without: Sequence[str] = ("Li",)
) -> dict[str, tuple[int, ...]]:
    """Number of molecules of each formula in every frame, in time order."""
    each = [molecules(frame, factor=factor, without=without) for frame in frames]
    formulas = sorted({formula for counts in each for formula in counts})
    return {formula: tuple(counts[formula] for counts in each) for formula in formulas}


def bond_change(
    before: Frame, after: Frame, *, factor: float = BOND_FACTOR, without: Sequence[str] = ("Li",)
) -> BondChange:
    """Bonds that differ between two frames. Raises ValueError if the atoms differ."""
    if before.species != after.species:
        raise ValueError("the frames do not hold the same atoms in the same order")
    old = bonds(before, factor=factor, without=without)
    new = bonds(after, factor=factor, without=without)
    return BondChange(tuple(sorted(old - new)), tuple(sorted(new - old)))


# --------------------------------------------------------------------------- order of breaking


def first_breaks(
    frames: Sequence[Frame], *, factor: float = BOND_FACTOR, without: Sequence[str] = ("Li",)
) -> dict[str, int]:
    """When each kind of bond of the first frame was first seen broken: index of that frame.

    A kind is its two elements, as ``C-O``. Broken: absent from two kept frames in a row (the last
    one counts alone), so that one long vibration breaks nothing. Kinds that never broke are absent.
    """
    if not frames:
        return {}
    species = frames[0].species
    intact = bonds(frames[0], factor=factor, without=without)
    missing = [intact - bonds(frame, factor=factor, without=without) for frame in frames]
    found: dict[str, int] = {}
    for index, gone in enumerate(missing):
        again = missing[index + 1] if index + 1 < len(missing) else gone
        for i, j in sorted(gone & again):
            kind = "-".join(sorted((species[i], species[j])))
            found.setdefault(kind, index)
    return found


def breaking_order(breaks: Sequence[dict[str, float]]) -> tuple[tuple[str, float], ...]:
    """Kinds of bonds in the order of their mean first breaking, with the share that broke them.

    breaks: of each replica, when it first broke each kind (any clock that all share)
    """
    kinds = sorted({kind for item in breaks for kind in item})
    when = {kind: [item[kind] for item in breaks if kind in item] for kind in kinds}
    ordered = sorted(kinds, key=lambda kind: (float(np.mean(when[kind])), kind))
    return tuple((kind, len(when[kind]) / len(breaks)) for kind in ordered)


def order_agreement(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Kendall's tau-b of two orders of breaking; a kind that one lacks comes last there.

    ``None`` with fewer than two kinds, or where one of the orders has nothing in it.
    """
    kinds = sorted({*first, *second})
    if len(kinds) < 2 or not first or not second:
        return None
    ranks = [
        [order.index(kind) if kind in order else len(kinds) for kind in kinds]
        for order in (list(first), list(second))
    ]
    from scipy.stats import kendalltau

    tau = float(kendalltau(*ranks).statistic)
    return tau if np.isfinite(tau) else None

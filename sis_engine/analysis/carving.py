"""Clusters of whole molecules around chosen atoms of a frame, for codes without periodicity.

No covalent bond is cut: a molecule is taken whole or not at all. What has no end across the
boundaries (a crystal, a metal, a polymer through the cell) has no whole, and is refused, not
capped: a cap would be another chemistry than the frame's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from sis_engine.analysis.species import BOND_FACTOR
from sis_engine.records import FloatArray, Frame
from sis_engine.structures import atoms_of

Place = tuple[int, tuple[int, int, int]]
"""An atom and the lattice vectors, in units of the cell's, that lead to one of its images."""
Image = tuple[int, tuple[int, int, int]]
"""The number of a molecule, and likewise the vectors that lead to one of its images."""


@dataclass(frozen=True)
class Chemistry:
    """What holds atoms together, and what molecules carry.

    ions: elements that coordinate rather than bond: bonds to others do not count, bonds among
        themselves do (a metal)
    charges: e, of molecules by formula (Hill order, as ``F2NO4S2``); the others are neutral
    bond_factor: bonds reach so far, in sums of covalent radii
    """

    ions: tuple[str, ...] = ("Li", "Na", "K", "Mg", "Ca", "Zn")
    charges: Mapping[str, int] | None = None
    bond_factor: float = BOND_FACTOR


@dataclass(frozen=True, eq=False)
class Cluster:
    """frame: not periodic, its molecules whole, the centre where it was in the periodic frame.

    parents: of each atom, the index in the periodic frame;  centre: likewise
    charge: sum over its molecules;  multiplicity: the lowest that the electrons allow
    molecules: formulas, the centre's first, then in alphabetical order (nearest first): clusters of
        the same composition have their atoms in the same order
    """

    frame: Frame
    parents: tuple[int, ...]
    centre: int
    charge: int
    multiplicity: int
    molecules: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """Why there is no cluster around this atom."""

    centre: int
    reason: str


@dataclass(frozen=True, eq=False)
class Molecules:
    """The molecules of a frame.

    of: (n_atoms,) number of each atom's molecule
    shifts: (n_atoms, 3), lattice vectors that make its molecule whole
    endless: numbers of those that a bond leads out of and back into, one cell further
    """

    frame: Frame
    of: FloatArray
    shifts: FloatArray
    endless: frozenset[int]

    def members(self, number: int) -> list[int]:
        """Atoms of a molecule, in the frame's order."""
        return [int(atom) for atom in np.flatnonzero(self.of == number)]

    def formula(self, number: int) -> str:
        from ase import Atoms

        symbols = [self.frame.species[atom] for atom in self.members(number)]
        return str(Atoms(symbols).symbols.get_chemical_formula("hill"))


def carve(
    frame: Frame,
    centres: Sequence[int],
    radius_angstrom: float,
    chemistry: Chemistry | None = None,
    most_atoms: int = 200,
) -> Iterator[Cluster | Refused]:
    """A cluster per centre, but one for centres that have the same: every molecule that has an atom
    within ``radius_angstrom`` of the centre, whole.
    """
    chemistry = chemistry or Chemistry()
    molecules = molecules_of(frame, chemistry)
    seen: set[frozenset[Place]] = set()
    for centre in centres:
        found = _chosen(molecules, centre, radius_angstrom)
        endless = sorted(number for number, _ in found if number in molecules.endless)
        if endless:
            what = molecules.formula(endless[0])
            yield Refused(centre, f"{what} has no end across the boundaries: it cannot be cut out")
            continue
        places = _places(molecules, found)
        if len(places) > most_atoms:
            yield Refused(centre, f"{len(places)} atoms, more than {most_atoms}")
            continue
        same = _from_the_first(places)
        if same not in seen:
            seen.add(same)
            yield _cluster(molecules, centre, found, places, chemistry)


def molecules_of(frame: Frame, chemistry: Chemistry) -> Molecules:
    """Molecules by bonds across the boundaries, and where their atoms are when they are whole."""
    first, second, across = _bonds(frame, chemistry)
    n_atoms = frame.n_atoms
    ones = np.ones(len(first))
    graph = coo_array((ones, (first, second)), shape=(n_atoms, n_atoms)).tocsr()
    _, of = connected_components(graph, directed=False)
    step = {
        (int(i), int(j)): tuple(int(one) for one in vector)
        for i, j, vector in zip(first, second, across, strict=True)
    }
    shifts = np.zeros((n_atoms, 3), dtype=int)
    for number in range(int(of.max()) + 1):
        root = int(np.flatnonzero(of == number)[0])
        order, before = breadth_first_order(graph, root, directed=False)
        for atom in order[1:]:
            last = int(before[atom])
            shifts[atom] = shifts[last] + step[last, int(atom)]
    open_ended = (shifts[second] != shifts[first] + across).any(axis=1)
    return Molecules(frame, of, shifts, frozenset(int(one) for one in of[first[open_ended]]))


def _bonds(frame: Frame, chemistry: Chemistry) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Each bond in both directions: its atoms, and the lattice vectors from one to the other."""
    atoms = atoms_of(frame)
    cutoffs = natural_cutoffs(atoms, mult=chemistry.bond_factor)
    first, second, across = neighbor_list("ijS", atoms, cutoffs)
    ion = np.array([symbol in chemistry.ions for symbol in frame.species])
    kept = ion[first] == ion[second]
    return first[kept], second[kept], across[kept]


def _chosen(molecules: Molecules, centre: int, radius_angstrom: float) -> list[Image]:
    """Images of molecules near a centre, in the cluster's order."""
    atoms = atoms_of(molecules.frame)
    first, second, distance, across = neighbor_list("ijdS", atoms, radius_angstrom)
    own = first == centre
    near = [(0.0, centre, np.zeros(3, dtype=int))]
    near += list(zip(distance[own], second[own].tolist(), across[own], strict=True))
    found: dict[Image, float] = {}
    for apart, atom, vector in sorted(near, key=lambda one: (one[0], one[1], tuple(one[2]))):
        offset = vector - molecules.shifts[atom]
        image = (int(molecules.of[atom]), (int(offset[0]), int(offset[1]), int(offset[2])))
        found.setdefault(image, float(apart))
    first, *others = found
    return [first, *sorted(others, key=lambda one: (molecules.formula(one[0]), found[one]))]


def _places(molecules: Molecules, found: Sequence[Image]) -> list[Place]:
    places: list[Place] = []
    for number, offset in found:
        for atom in molecules.members(number):
            x, y, z = (int(one) for one in molecules.shifts[atom] + np.array(offset))
            places.append((atom, (x, y, z)))
    return places


def _from_the_first(places: Sequence[Place]) -> frozenset[Place]:
    """The same for clusters that differ by a lattice vector."""
    origin = min(places)[1]
    return frozenset(
        (atom, (x - origin[0], y - origin[1], z - origin[2])) for atom, (x, y, z) in places
    )


def _cluster(
    molecules: Molecules,
    centre: int,
    found: Sequence[Image],
    places: Sequence[Place],
    chemistry: Chemistry,
) -> Cluster:
    frame = molecules.frame
    parents = [atom for atom, _ in places]
    positions = frame.positions[parents]
    if frame.cell is not None:
        positions = positions + np.array([shift for _, shift in places]) @ frame.cell
    species = tuple(frame.species[atom] for atom in parents)
    formulas = [molecules.formula(number) for number, _ in found]
    charge = sum(_charge(formula, chemistry) for formula in formulas)
    return Cluster(
        Frame(species, positions),
        tuple(parents),
        centre,
        charge,
        _lowest_multiplicity(species, charge),
        tuple(formulas),
    )


def _charge(formula: str, chemistry: Chemistry) -> int:
    """As given; a group of like ions carries what each of them does."""
    from ase.formula import Formula

    given = chemistry.charges or {}
    if formula in given:
        return given[formula]
    counts = Formula(formula).count()
    if set(counts) <= {*chemistry.ions} and set(counts) <= {*given}:
        return sum(n * given[symbol] for symbol, n in counts.items())
    return 0


def _lowest_multiplicity(species: Sequence[str], charge: int) -> int:
    from ase.data import atomic_numbers

    electrons: int = sum(atomic_numbers[one] for one in species) - charge
    return 1 + electrons % 2

"""Structures: frames and systems."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from sis_engine.records.arrays import FloatArray, frozen_array


@dataclass(frozen=True, eq=False)
class Frame:
    """One structure, atoms in a fixed order, positions as given (never wrapped).

    species: chemical symbols, length n_atoms
    positions: shape (n_atoms, 3), Å
    cell: shape (3, 3), Å, rows are lattice vectors; ``None`` if nothing is periodic
    pbc: periodicity along each lattice vector
    """

    species: tuple[str, ...]
    positions: FloatArray
    cell: FloatArray | None = None
    pbc: tuple[bool, bool, bool] = (False, False, False)

    def __post_init__(self) -> None:
        species = tuple(self.species)
        pbc = (bool(self.pbc[0]), bool(self.pbc[1]), bool(self.pbc[2]))
        object.__setattr__(self, "species", species)
        object.__setattr__(self, "pbc", pbc)
        object.__setattr__(
            self, "positions", frozen_array(self.positions, (len(species), 3), "positions")
        )
        if self.cell is not None:
            object.__setattr__(self, "cell", frozen_array(self.cell, (3, 3), "cell"))
        elif any(pbc):
            raise ValueError(f"pbc is {pbc} but there is no cell")

    @property
    def n_atoms(self) -> int:
        return len(self.species)

    @cached_property
    def key(self) -> str:
        """SHA-256 of species, float64 bytes of positions and cell, and periodicity."""
        digest = hashlib.sha256()
        digest.update(",".join(self.species).encode())
        digest.update(self.positions.tobytes())
        digest.update(b"-" if self.cell is None else self.cell.tobytes())
        digest.update(bytes(self.pbc))
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class System:
    """A named structure that a campaign explores.

    frozen: indices of atoms that never move (their forces are masked in training)
    charge: total charge, e;  multiplicity: 2S+1
    """

    name: str
    frame: Frame
    charge: int = 0
    multiplicity: int = 1
    frozen: tuple[int, ...] = ()

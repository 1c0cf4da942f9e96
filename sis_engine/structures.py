"""Structures in and out: files read once, checked before anything expensive starts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from sis_engine.errors import ConfigurationError
from sis_engine.records import Frame

OVERLAP_FRACTION = 0.5
"""Atoms closer than this fraction of their covalent radii's sum overlap: an H2 at 0.31 Å would,
the shortest real bonds (H-H 0.74 Å, N-N 1.1 Å) are at 0.8 or more."""
USABLE = (
    "one atom or more, finite positions, no two atoms nearer than "
    f"{OVERLAP_FRACTION:g} times the sum of their covalent radii, a cell with a volume where it is "
    "periodic"
)
"""What a structure has to be."""


def read_structure(path: Path, *, key: str | None = None, file: Path | None = None) -> Frame:
    """The last frame of any file ASE reads.

    Raises ConfigurationError when it is missing, unreadable, empty, or atoms overlap.
    """
    import ase.io

    if not path.is_file():
        seen = "is a folder" if path.is_dir() else "does not exist"
        raise ConfigurationError(
            f"structure file {str(path)!r} {seen}",
            file=file,
            key=key,
            allowed="a path relative to the campaign file, in any format ASE reads",
            hint="check the path; `configs/structures` has builders",
        )
    try:
        atoms = ase.io.read(path, index=-1)
    except Exception as error:
        raise ConfigurationError(
            f"structure file {str(path)!r} cannot be read: {_told(error)}",
            file=file,
            key=key,
            allowed="extxyz, POSCAR, cif, LAMMPS data and the other formats of ASE",
        ) from error
    frame = frame_of(atoms)
    problem = structure_problem(frame)
    if problem is not None:
        raise ConfigurationError(f"{path}: {problem}", file=file, key=key, allowed=USABLE)
    return frame


def _told(error: Exception) -> str:
    """ASE looks elements up by symbol, and says no more than that it found none."""
    if isinstance(error, KeyError):
        return f"there is no element {error}"
    return f"{type(error).__name__}: {error}"


def structure_problem(frame: Frame) -> str | None:
    """What makes this frame unusable as a start, or ``None``."""
    return impossible(frame) or overlap(frame)


def impossible(frame: Frame) -> str | None:
    """Why no program can do anything with this frame, or ``None``."""
    if frame.n_atoms == 0:
        return "there are no atoms in it"
    if not np.isfinite(frame.positions).all():
        return "a position is not finite"
    if any(frame.pbc) and frame.cell is not None and abs(np.linalg.det(frame.cell)) < 1e-6:
        return "it is periodic, but its cell has no volume"
    return None


def overlap(frame: Frame) -> str | None:
    """Two atoms that lie nearer than any bond, or ``None``."""
    from ase.data import atomic_numbers, covalent_radii
    from ase.neighborlist import neighbor_list

    radii = np.array([covalent_radii[atomic_numbers[s]] for s in frame.species])
    first, second, distance = neighbor_list(
        "ijd", atoms_of(frame), list(OVERLAP_FRACTION * radii), self_interaction=False
    )
    if not len(distance):
        return None
    worst = int(np.argmin(distance))
    i, j = int(first[worst]), int(second[worst])
    limit = OVERLAP_FRACTION * (radii[i] + radii[j])
    return (
        f"atoms {i} ({frame.species[i]}) and {j} ({frame.species[j]}) overlap: "
        f"{distance[worst]:.3f} Å apart, and {limit:.3f} Å is the least that two such atoms may be"
    )


def structure_text(frame: Frame) -> str:
    """An extxyz file of one structure."""
    import ase.io

    text = io.StringIO()
    ase.io.write(text, atoms_of(frame), format="extxyz", write_results=False)
    return text.getvalue()


def frame_of(atoms: Any) -> Frame:
    """A :class:`Frame` from ASE atoms; the cell is kept only where something is periodic."""
    pbc = tuple(bool(flag) for flag in atoms.pbc)
    return Frame(
        species=tuple(atoms.get_chemical_symbols()),
        positions=atoms.get_positions(),
        cell=np.asarray(atoms.cell) if any(pbc) else None,
        pbc=(pbc[0], pbc[1], pbc[2]),
    )


def atoms_of(frame: Frame) -> Any:
    """ASE atoms from a :class:`Frame`."""
    from ase import Atoms

    return Atoms(
        symbols=list(frame.species), positions=frame.positions, cell=frame.cell, pbc=frame.pbc
    )

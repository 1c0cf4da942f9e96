"""Is this geometry one that a reference code can be asked about?"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.spatial.distance import pdist, squareform

from sis_engine.errors import ConfigurationError
from sis_engine.records import Frame, System

MIN_HEIGHT_ANGSTROM = 1.0
"""A cell thinner than this between two faces has more images than any code can sum."""


def atoms_of(frame: Frame) -> Atoms:
    """The frame as ASE atoms."""
    return Atoms(
        symbols=list(frame.species), positions=frame.positions, cell=frame.cell, pbc=frame.pbc
    )


def absurdity(frame: Frame, shortest_angstrom: float) -> str | None:
    """Why a frame should not be calculated, or ``None``.

    Codes crash, hang or return nonsense on such frames; one that runs in our own process must
    never see them. NaN-safe.
    """
    if not np.isfinite(frame.positions).all():
        return "positions are not finite"
    if frame.cell is not None and any(frame.pbc):
        reason = _absurd_cell(frame)
        if reason is not None:
            return reason
    near = _nearest(frame, shortest_angstrom)
    if near is None:
        return None
    i, j, distance = near
    return (
        f"atoms {i} ({frame.species[i]}) and {j} ({frame.species[j]}) are "
        f"{distance:.3f} Å apart, less than {shortest_angstrom} Å"
    )


def check_geometry(system: System, shortest_angstrom: float) -> None:
    """Raises ConfigurationError where the system's own structure is not to be calculated."""
    reason = absurdity(system.frame, shortest_angstrom)
    if reason is not None:
        raise ConfigurationError(
            f"system {system.name!r}: {reason}",
            key=f"systems.{system.name}",
            hint="mend the structure file (overlapping atoms, a wrong unit or a wrong cell?)",
        )


def _nearest(frame: Frame, within: float) -> tuple[int, int, float] | None:
    """The nearest two atoms and their distance, if that is less than ``within``."""
    if any(frame.pbc):
        first, second, distances = neighbor_list("ijd", atoms_of(frame), within)
    else:
        # A cluster is labelled in milliseconds; a neighbour list would be a tenth of that.
        square = squareform(pdist(frame.positions)) if frame.n_atoms > 1 else np.full((1, 1), 1e9)
        first, second = np.nonzero(np.triu(square < within, k=1))
        distances = square[first, second]
    if len(distances) == 0:
        return None
    worst = int(np.argmin(distances))
    return int(first[worst]), int(second[worst]), float(distances[worst])


def _absurd_cell(frame: Frame) -> str | None:
    cell = np.asarray(frame.cell)
    if not np.isfinite(cell).all():
        return "the cell is not finite"
    volume = abs(float(np.linalg.det(cell)))
    areas = [float(np.linalg.norm(np.cross(cell[i - 2], cell[i - 1]))) for i in range(3)]
    heights = [volume / area if area > 0.0 else 0.0 for area in areas]
    if min(heights) < MIN_HEIGHT_ANGSTROM:
        return f"the cell is {min(heights):.3g} Å high, less than {MIN_HEIGHT_ANGSTROM} Å"
    return None

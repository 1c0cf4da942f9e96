"""Between a frame's orientation and the one LAMMPS wants (cell rows lower triangular)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sis_engine.errors import ConfigurationError
from sis_engine.records import FloatArray, Frame

_MARGIN_ANGSTROM = 1.0
_SKEW_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Box:
    """LAMMPS's box and the rotation to it.

    lower: (3, 3), lower-triangular cell rows in LAMMPS's axes, Å
    rotation: (3, 3), orthogonal: ``x_frame = x_lammps @ rotation``
    """

    lower: FloatArray
    rotation: FloatArray
    pbc: tuple[bool, bool, bool]

    @property
    def is_skewed(self) -> bool:
        off_diagonal = self.lower[np.tril_indices(3, -1)]
        return bool(np.any(np.abs(off_diagonal) > 0.0))

    def to_lammps(self, vectors: FloatArray) -> FloatArray:
        return vectors @ self.rotation.T

    def from_lammps(self, vectors: FloatArray) -> FloatArray:
        return vectors @ self.rotation


def box_of(frame: Frame) -> Box:
    """The box for a frame; a frame without cell gets one around its atoms (shrink-wrapped)."""
    if frame.cell is None:
        span = np.ptp(frame.positions, axis=0) + 2 * _MARGIN_ANGSTROM
        return Box(np.diag(span), np.eye(3), frame.pbc)
    cell = np.array(frame.cell)
    upper = cell[np.triu_indices(3, 1)]
    if not upper.any() and (np.diag(cell) > 0).all():
        return Box(cell, np.eye(3), frame.pbc)  # as it is, bit by bit
    try:
        lower: FloatArray = np.linalg.cholesky(cell @ cell.T).astype(np.float64)
    except np.linalg.LinAlgError as error:
        raise ConfigurationError(
            f"the cell {cell.tolist()} has no volume", hint="give three independent cell vectors"
        ) from error
    rotation: FloatArray = np.asarray(np.linalg.solve(lower, cell), dtype=np.float64)
    lengths = np.linalg.norm(lower, axis=1)
    lower[np.abs(lower) < _SKEW_TOLERANCE * lengths.max()] = 0.0
    box = Box(lower, rotation, frame.pbc)
    _check_skew(box)
    return box


def box_bounds(frame: Frame, box: Box) -> FloatArray:
    """(3, 2) xlo xhi …; periodic directions start at the origin, others hold all atoms."""
    bounds = np.stack([np.zeros(3), np.diag(box.lower)], axis=1)
    positions = box.to_lammps(frame.positions)
    for axis in range(3):
        if not box.pbc[axis]:
            bounds[axis] = (
                positions[:, axis].min() - _MARGIN_ANGSTROM,
                positions[:, axis].max() + _MARGIN_ANGSTROM,
            )
    return bounds


def _check_skew(box: Box) -> None:
    """LAMMPS: the second direction of a tilt must be periodic."""
    for row, column in ((1, 0), (2, 0), (2, 1)):
        if box.lower[row, column] != 0.0 and not box.pbc[row]:
            raise ConfigurationError(
                f"cell vector {row + 1} is tilted but not periodic (pbc {box.pbc})",
                hint="make the non-periodic cell vector perpendicular to the others",
            )

"""What the labels of a system cover."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PairDistance:
    """Shortest distance (Å) between two elements seen in labelled frames."""

    pair: tuple[str, str]
    shortest_angstrom: float


@dataclass(frozen=True)
class Support:
    """What the labels of one system cover: monitors derive their limits from it.

    energy_min, energy_max: eV, over labelled frames (after any extension by a suspect that
        the labeler agreed with)
    max_force: eV/Å, largest labelled force;  n_frames: labelled frames
    """

    system: str
    n_frames: int
    energy_min: float
    energy_max: float
    energy_mean: float
    energy_std: float
    max_force: float
    distances: tuple[PairDistance, ...] = ()

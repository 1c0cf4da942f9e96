"""What changes from one level of theory to another, on the same frames. Pure.

Total energies of two levels differ by a constant for every atom of an element, which means nothing
for dynamics: it is fitted, told, and taken off before energies are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sis_engine.records import FloatArray, Frame, Label


@dataclass(frozen=True, eq=False)
class Pair:
    """One frame with its label at either level."""

    frame: Frame
    old: Label
    new: Label


@dataclass(frozen=True)
class ElementShift:
    """Of one element. offset: eV an atom, new - old;  force_rmse, force_rms: eV/Å, of components,
    the difference and the old forces;  correlation: of components, ``None`` where there is none
    """

    element: str
    n_atoms: int
    offset: float
    force_rmse: float
    force_rms: float
    correlation: float | None


@dataclass(frozen=True)
class LevelShift:
    """New minus old. Energies in eV/atom, forces in eV/Å (components).

    energy_mean, energy_rmse: as they are;  energy_rmse_after_offsets: less one constant an element
    offsets_determined: the compositions tell the elements' constants apart; where they do not, only
        their sum for each composition means something
    energy_correlation: of energies per atom after offsets, within all frames
    force_relative: RMSE over RMS of the old forces;  force_p99: of the lengths of the differences
    virial_rmse: eV/atom, of components, over frames that have both; ``None``: there is none
    """

    n_frames: int
    energy_mean: float
    energy_rmse: float
    energy_rmse_after_offsets: float
    energy_correlation: float | None
    offsets_determined: bool
    force_rmse: float
    force_relative: float | None
    force_p99: float
    force_correlation: float | None
    virial_rmse: float | None
    elements: tuple[ElementShift, ...]

    @property
    def offsets(self) -> dict[str, float]:
        return {item.element: item.offset for item in self.elements}


def level_shift(pairs: Sequence[Pair]) -> LevelShift:
    """The difference of two levels over at least one frame."""
    elements = sorted({symbol for pair in pairs for symbol in pair.frame.species})
    fractions = np.array([_fractions(pair.frame, elements) for pair in pairs])
    n_atoms = np.array([pair.frame.n_atoms for pair in pairs])
    old = np.array([pair.old.energy for pair in pairs]) / n_atoms
    new = np.array([pair.new.energy for pair in pairs]) / n_atoms
    offsets, _, rank, _ = np.linalg.lstsq(fractions, new - old)
    rest = new - fractions @ offsets
    species = np.array([symbol for pair in pairs for symbol in pair.frame.species])
    was = np.concatenate([pair.old.forces for pair in pairs])
    now = np.concatenate([pair.new.forces for pair in pairs])
    force_rms = _rms(was)
    return LevelShift(
        n_frames=len(pairs),
        energy_mean=float(np.mean(new - old)),
        energy_rmse=_rms(new - old),
        energy_rmse_after_offsets=_rms(rest - old),
        energy_correlation=_correlation(old, rest),
        offsets_determined=int(rank) == len(elements),
        force_rmse=_rms(now - was),
        force_relative=_rms(now - was) / force_rms if force_rms > 0.0 else None,
        force_p99=float(np.percentile(np.linalg.norm(now - was, axis=1), 99.0)),
        force_correlation=_correlation(was, now),
        virial_rmse=_virial_rmse(pairs),
        elements=tuple(
            ElementShift(
                symbol,
                int((species == symbol).sum()),
                float(offset),
                _rms((now - was)[species == symbol]),
                _rms(was[species == symbol]),
                _correlation(was[species == symbol], now[species == symbol]),
            )
            for symbol, offset in zip(elements, offsets, strict=True)
        ),
    )


def _fractions(frame: Frame, elements: Sequence[str]) -> list[float]:
    counts = Counter(frame.species)
    return [counts[symbol] / frame.n_atoms for symbol in elements]


def _virial_rmse(pairs: Sequence[Pair]) -> float | None:
    found = [
        (pair.new.virial - pair.old.virial) / pair.frame.n_atoms
        for pair in pairs
        if pair.new.virial is not None and pair.old.virial is not None
    ]
    return _rms(np.array(found)) if found else None


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _correlation(one: FloatArray, other: FloatArray) -> float | None:
    """Pearson's r of all components; ``None`` where one of them does not vary."""
    a, b = one.ravel() - one.mean(), other.ravel() - other.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    # a sum of rounding errors is no variation
    noise = 1e-12 * max(1.0, float(np.abs(one).max()) * float(np.abs(other).max())) * a.size
    return float(a @ b) / scale if scale > noise else None

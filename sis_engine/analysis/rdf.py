"""Pair distances of a trajectory: radial distribution functions, and densities of distances."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sis_engine.records import FloatArray, Frame

PAIRS_AT_ONCE = 200_000
"""A call of numpy for each image of a few pairs takes three times as long; so many take 5 MB."""


@dataclass(frozen=True, eq=False)
class PairDistribution:
    """A distribution over distances of one element pair.

    r_angstrom: (n_bins,) bin centres;  values: (n_bins,), g(r) or density in 1/Å
    n_frames: how many frames it is the mean of
    """

    pair: tuple[str, str]
    r_angstrom: FloatArray
    values: FloatArray
    n_frames: int


def rdf(
    frames: Sequence[Frame],
    pair: tuple[str, str],
    *,
    r_max_angstrom: float = 6.0,
    n_bins: int = 120,
) -> PairDistribution:
    """Partial g(r) of frames periodic in three dimensions; 1 where atoms are uncorrelated.

    g_ab(r) = n_ab(r) / (N_a rho_b 4 pi r^2 dr), with n_ab the ordered pairs in a shell, images
    counted (Allen and Tildesley 2017, 8.2), and rho_b = N_b / V of each frame. Shells by their
    exact volume. Raises ValueError for a frame that is not periodic.
    """
    edges = np.linspace(0.0, r_max_angstrom, n_bins + 1)
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    total = np.zeros(n_bins)
    for frame, positions in _alike(frames):
        if frame.cell is None or not all(frame.pbc):
            raise ValueError("g(r) needs a density: the frame is not periodic in three dimensions")
        first, second = _atoms_of(frame, pair)
        distances = _distances(frame, positions, first, second, r_max_angstrom)
        counts = np.histogram(distances, edges)[0]
        density = len(second) / abs(float(np.linalg.det(frame.cell)))
        if len(first) and len(second):
            total += counts / (len(first) * density * shells)
    return _distribution(pair, edges, total / max(len(frames), 1), len(frames))


def pair_distances(
    frames: Sequence[Frame],
    pair: tuple[str, str],
    *,
    r_max_angstrom: float = 6.0,
    n_bins: int = 120,
) -> PairDistribution:
    """Probability density (1/Å) of the distances of a pair, for clusters and slabs.

    Integrates to one over all distances; the part beyond ``r_max_angstrom`` is not shown. The
    nearest image is used along periodic directions.
    """
    edges = np.linspace(0.0, r_max_angstrom, n_bins + 1)
    counts = np.zeros(n_bins)
    n_pairs = 0
    for frame, positions in _alike(frames):
        first, second = _atoms_of(frame, pair)
        distances = _nearest(frame, positions, first, second)
        n_pairs += distances.size
        counts += np.histogram(distances, edges)[0]
    return _distribution(pair, edges, counts / (max(n_pairs, 1) * np.diff(edges)), len(frames))


def integrated_difference(first: PairDistribution, second: PairDistribution) -> float:
    """Integral of |first - second| over r: Å for g(r), 0 … 2 for densities of distances.

    Raises ValueError if the two were not made on the same bins.
    """
    if first.r_angstrom.shape != second.r_angstrom.shape or not np.allclose(
        first.r_angstrom, second.r_angstrom
    ):
        raise ValueError("the two distributions have different bins")
    width = float(first.r_angstrom[1] - first.r_angstrom[0])
    return float(np.abs(first.values - second.values).sum() * width)


def _distribution(
    pair: tuple[str, str], edges: FloatArray, values: FloatArray, n_frames: int
) -> PairDistribution:
    return PairDistribution(pair, 0.5 * (edges[1:] + edges[:-1]), values, n_frames)


def _atoms_of(frame: Frame, pair: tuple[str, str]) -> tuple[list[int], list[int]]:
    first, second = (
        [i for i, symbol in enumerate(frame.species) if symbol == element] for element in pair
    )
    return first, second


def _alike(frames: Sequence[Frame]) -> Iterator[tuple[Frame, FloatArray]]:
    """Runs of frames of the same atoms in the same cell: one of them, positions (n, atoms, 3).

    MD at constant volume is a single run, and a call of numpy for each of its frames takes longer
    than the distances.
    """

    def key(frame: Frame) -> tuple[object, ...]:
        cell = None if frame.cell is None else frame.cell.tobytes()
        return (frame.species, frame.pbc, cell)

    for _, run in itertools.groupby(frames, key):
        same = list(run)
        at_once = max(1, PAIRS_AT_ONCE // max(same[0].n_atoms ** 2, 1))
        for begin in range(0, len(same), at_once):
            part = same[begin : begin + at_once]
            yield part[0], np.stack([frame.positions for frame in part])


def _separations(
    frame: Frame, positions: FloatArray, first: Sequence[int], second: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """(n, 3) fractional separations brought to the nearest cell along periodic vectors; cell."""
    vectors = positions[:, list(second)][:, None] - positions[:, list(first)][:, :, None]
    cell = np.eye(3) if frame.cell is None else np.array(frame.cell)
    fractions: FloatArray = vectors.reshape(-1, 3) @ np.linalg.inv(cell)
    periodic = np.array(frame.pbc)
    fractions[:, periodic] -= np.round(fractions[:, periodic])
    return fractions, cell


def _distances(
    frame: Frame,
    positions: FloatArray,
    first: Sequence[int],
    second: Sequence[int],
    cutoff_angstrom: float,
) -> FloatArray:
    """Distances of ordered pairs up to the cutoff, every image, an atom's own images included."""
    fractions, cell = _separations(frame, positions, first, second)
    vectors = fractions @ cell
    images = np.array(list(itertools.product(*_reach(cell, frame.pbc, cutoff_angstrom)))) @ cell
    at_once = max(1, PAIRS_AT_ONCE // max(len(vectors), 1))
    found = []
    for begin in range(0, len(images), at_once):
        separations = vectors + images[begin : begin + at_once, None]
        distances = np.sqrt(np.einsum("spx,spx->sp", separations, separations))
        found.append(distances[(distances <= cutoff_angstrom) & (distances > 1e-9)])
    return np.concatenate(found)


def _nearest(
    frame: Frame, positions: FloatArray, first: Sequence[int], second: Sequence[int]
) -> FloatArray:
    """Distance of every ordered pair of different atoms, to the nearest image."""
    fractions, cell = _separations(frame, positions, first, second)
    reach = [range(-1, 2) if periodic else range(1) for periodic in frame.pbc]
    shortest = np.full(len(fractions), np.inf)
    for shift in itertools.product(*reach):
        distances = np.linalg.norm((fractions + np.array(shift)) @ cell, axis=1)
        shortest = np.minimum(shortest, distances)
    different = np.array([i != j for i in first for j in second], dtype=np.bool_)
    return shortest[np.tile(different, len(positions))]


def _reach(
    cell: FloatArray, pbc: tuple[bool, bool, bool], cutoff_angstrom: float
) -> Iterator[range]:
    """Shifts along each lattice vector that can bring an image within the cutoff."""
    volume = abs(float(np.linalg.det(cell)))
    for axis in range(3):
        face = np.linalg.norm(np.cross(cell[(axis + 1) % 3], cell[(axis + 2) % 3]))
        n = int(np.ceil(cutoff_angstrom * face / volume + 0.5)) if pbc[axis] else 0
        yield range(-n, n + 1)

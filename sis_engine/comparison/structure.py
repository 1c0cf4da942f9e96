"""Is the model's MD the same liquid? Pair distances, molecules and bonds beside the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from sis_engine.analysis.rdf import PairDistribution, integrated_difference, pair_distances, rdf
from sis_engine.analysis.species import (
    breaking_order,
    first_breaks,
    molecule_counts,
    order_agreement,
)
from sis_engine.comparison.results import PairResult, SpeciesResult
from sis_engine.records import Frame, MdFrame
from sis_engine.report.structure import COARSEST_BINS, R_MAX_ANGSTROM, chosen_pairs

Kept = TypeVar("Kept", Frame, MdFrame)

MOST_FRAMES = 40
"""Of one replica or trajectory: further ones say little new, and each costs a neighbour search."""


def compare_pairs(
    system: str, model: Sequence[Frame], reference: Sequence[Frame]
) -> tuple[PairResult, ...]:
    """Every chosen pair; none where either side has fewer than four frames."""
    if len(model) < 4 or len(reference) < 4:
        return ()
    periodic = all(all(frame.pbc) for frame in (*model, *reference))
    half = len(reference) // 2
    found = []
    for pair in chosen_pairs(reference[0].species):
        theirs = _distribution(reference, pair, periodic=periodic)
        own = _distribution(model, pair, periodic=periodic)
        halves = [
            _distribution(part, pair, periodic=periodic)
            for part in (reference[:half], reference[half:])
        ]
        found.append(
            PairResult(
                system=system,
                pair=pair,
                kind="g(r)" if periodic else "density / (1/Å)",
                error=integrated_difference(own, theirs),
                floor=integrated_difference(*halves),
                r_angstrom=tuple(np.round(theirs.r_angstrom, 4).tolist()),
                model=tuple(np.round(own.values, 4).tolist()),
                reference=tuple(np.round(theirs.values, 4).tolist()),
            )
        )
    return tuple(found)


def compare_species(
    system: str, replicas: Sequence[Sequence[MdFrame]], reference: Sequence[Frame]
) -> SpeciesResult:
    """Mean numbers of molecules, and the order in which kinds of bonds first broke.

    replicas: frames of each, in time order
    """
    kept = [thinned(frames) for frames in replicas]
    own = _mean_counts([item.frame for frames in kept for item in frames])
    theirs = _mean_counts(thinned(reference))
    broken = breaking_order([_breaks(frames) for frames in kept])
    reference_broken = breaking_order([_reference_breaks(thinned(reference))])
    formulas = sorted({*own, *theirs})
    return SpeciesResult(
        system=system,
        error=sum(abs(own.get(name, 0.0) - theirs.get(name, 0.0)) for name in formulas),
        counts=own,
        reference=theirs,
        broken=broken,
        reference_broken=reference_broken,
        order_agreement=order_agreement(
            [kind for kind, _ in broken], [kind for kind, _ in reference_broken]
        ),
    )


def thinned(frames: Sequence[Kept]) -> list[Kept]:
    """At most MOST_FRAMES, evenly."""
    return list(frames[:: -(-len(frames) // MOST_FRAMES) or 1])


def _mean_counts(frames: Sequence[Frame]) -> dict[str, float]:
    counts = molecule_counts(frames)
    return {name: round(float(np.mean(values)), 4) for name, values in counts.items()}


def _breaks(frames: Sequence[MdFrame]) -> dict[str, float]:
    found = first_breaks([item.frame for item in frames])
    return {kind: frames[index].time_fs for kind, index in found.items()}


def _reference_breaks(frames: Sequence[Frame]) -> dict[str, float]:
    return {kind: float(index) for kind, index in first_breaks(frames).items()}


def _distribution(
    frames: Sequence[Frame], pair: tuple[str, str], *, periodic: bool
) -> PairDistribution:
    counted = rdf if periodic else pair_distances
    return counted(frames, pair, r_max_angstrom=R_MAX_ANGSTROM, n_bins=COARSEST_BINS)

"""What the labels support, widened by one more labelled frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from sis_engine.analysis.pairs import shortest_distance
from sis_engine.records import Label, Labelled, MdFrame, PairDistance, Support


def widened(support: Support, frame: MdFrame, label: Label) -> Support:
    """The support after a suspect that the labeler agreed with.

    Its energy range takes in the label's energy *and the model's own* for that frame (the model
    goes on from there by its own account); its distances and forces take in the frame's. The mean
    stays: one frame is no sample. What was suspicious there is so no more, whatever it was.
    """
    energies = [label.energy]
    if frame.energy is not None and np.isfinite(frame.energy):
        energies.append(frame.energy)
    return replace(
        support,
        n_frames=support.n_frames + 1,
        energy_min=min(support.energy_min, *energies),
        energy_max=max(support.energy_max, *energies),
        max_force=max(support.max_force, float(np.linalg.norm(label.forces, axis=1).max())),
        distances=tuple(_shorter(item, frame) for item in support.distances),
    )


def with_labels(support: Support, frames: Iterable[Labelled]) -> Support:
    """The support after suspects of earlier generations that labels agreed with: what was found
    physical once is not suspicious again. Only the labels count, not what a former model said.
    """
    for item in frames:
        support = widened(support, MdFrame(item.frame, 0.0), item.label)
    return support


def union(first: Support | None, second: Support | None) -> Support | None:
    """What two supports of one system cover together; the first's mean and count stay."""
    if first is None or second is None:
        return first or second
    shorter = {item.pair: item.shortest_angstrom for item in second.distances}
    return replace(
        first,
        energy_min=min(first.energy_min, second.energy_min),
        energy_max=max(first.energy_max, second.energy_max),
        max_force=max(first.max_force, second.max_force),
        distances=tuple(
            replace(
                item,
                shortest_angstrom=min(
                    item.shortest_angstrom, shorter.get(item.pair, item.shortest_angstrom)
                ),
            )
            for item in first.distances
        ),
    )


def _shorter(item: PairDistance, frame: MdFrame) -> PairDistance:
    seen = shortest_distance(frame.frame, item.pair)
    return replace(item, shortest_angstrom=min(item.shortest_angstrom, seen))

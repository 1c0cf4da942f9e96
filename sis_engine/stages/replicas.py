"""The replicas of a generation: where each begins, and by which seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sis_engine.records import Condition, DatasetPart, Frame, Replica, Split, System
from sis_engine.stages.context import StageContext


def plan_replicas(
    stage: StageContext, system: System, condition: Condition, data: Sequence[DatasetPart]
) -> tuple[Replica, ...]:
    """Replicas with fresh seeds; all but the first start from labelled frames if so configured."""
    config = stage.parts.config.explore
    starts = _labelled_starts(system, data) if config.starts == "labelled" else []
    replicas = []
    for index in range(config.replicas):
        seed = stage.seed("replica", system.name, condition.name, index)
        start = system.frame
        if index > 0 and starts:
            start = starts[int(np.random.default_rng(seed).integers(len(starts)))]
        replicas.append(
            Replica(
                id=f"g{stage.generation:04d}-{system.name}-{condition.name}-r{index:02d}",
                system=system,
                start=start,
                condition=condition,
                seed=seed,
            )
        )
    return tuple(replicas)


def _labelled_starts(system: System, data: Sequence[DatasetPart]) -> list[Frame]:
    """Training frames of reference MD, up to three robust widths above the median energy.

    Single points lie in places the model invented, and the first frames of a segment may still
    be hot: MD from there would begin in the catastrophe itself.
    """
    own = [part for part in data if part.split is Split.TRAINING]
    own = [part for part in own if part.frames.system == system.name]
    sets = [part.frames for part in own if part.reference_md] or [part.frames for part in own]
    if not sets:
        return []
    energies = np.concatenate([item.energies for item in sets])
    ceiling = np.median(energies) + 3.0 * 1.4826 * np.median(np.abs(energies - np.median(energies)))
    return [
        Frame(
            item.species,
            item.positions[k],
            None if item.cells is None else item.cells[k],
            item.pbc,
        )
        for item in sets
        for k in range(item.n_frames)
        if item.energies[k] <= ceiling
    ]

"""The replicas of a generation: where each begins, and by which seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sis_engine.records import Condition, DatasetPart, Frame, FrameSet, Replica, Split, System
from sis_engine.stages.context import StageContext
from sis_engine.units import BOLTZMANN_EV_PER_K


def plan_replicas(
    stage: StageContext, system: System, condition: Condition, data: Sequence[DatasetPart]
) -> tuple[Replica, ...]:
    """Replicas with fresh seeds; all but the first start from labelled frames if so configured."""
    config = stage.parts.config.explore
    blocks = _starts(config.starts, system, condition, data)
    replicas = []
    for index in range(config.replicas):
        seed = stage.seed("replica", system.name, condition.name, index)
        start = system.frame
        if index > 0 and blocks:
            rng = np.random.default_rng(seed)
            block = blocks[int(rng.integers(len(blocks)))]
            start = block[int(rng.integers(len(block)))]
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


def _starts(
    rule: str, system: System, condition: Condition, data: Sequence[DatasetPart]
) -> list[list[Frame]]:
    """Blocks of frames; one block is drawn, then one frame of it. Empty: the system's own start."""
    if rule == "structure":
        return []
    own = [part for part in data if part.split is Split.TRAINING]
    own = [part for part in own if part.frames.system == system.name]
    segments = [part.frames for part in own if part.reference_md]
    frames = _of_physical_energy(segments or [part.frames for part in own])
    if rule == "labelled":
        return [frames] if frames else []
    points = [part.frames for part in own if not part.reference_md] if segments else []
    blocks = [frames, *_thermal(points, segments, condition.temperature_k)]
    return [block for block in blocks if block]


def _of_physical_energy(sets: Sequence[FrameSet]) -> list[Frame]:
    """Frames up to three robust widths above the median energy.

    The first frames of a segment may still be hot: MD from there would begin in the catastrophe.
    """
    if not sets:
        return []
    energies = np.concatenate([item.energies for item in sets])
    spread = 1.4826 * np.median(np.abs(energies - np.median(energies)))
    return _up_to(sets, float(np.median(energies) + 3.0 * spread))


def _thermal(
    points: Sequence[FrameSet], segments: Sequence[FrameSet], temperature_k: float
) -> list[list[Frame]]:
    """Single points that the condition's own temperature would reach, set by set.

    Many lie in places that only the model went to, and their energies tell: the potential energy
    of N atoms above its minimum is 3N/2 kT in the mean, with a standard deviation of
    kT sqrt(3N/2) (equipartition, harmonic). Three of them above the mean is the ceiling, and the
    lowest energy of reference MD stands for the minimum.
    """
    if not points:
        return []
    lowest = min(float(item.energies.min()) for item in segments)
    half = 1.5 * points[0].n_atoms
    thermal = BOLTZMANN_EV_PER_K * temperature_k * (half + 3.0 * np.sqrt(half))
    return [_up_to([item], lowest + float(thermal)) for item in points]


def _up_to(sets: Sequence[FrameSet], ceiling: float) -> list[Frame]:
    """Frames of no more energy than ``ceiling``, eV."""
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

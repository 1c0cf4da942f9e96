"""INSPECT: what the models at hand say of frames, beside what MD kept. It buys no label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sis_engine.admission import chosen, stacked
from sis_engine.analysis.deviation import deviations
from sis_engine.analysis.surroundings import most_unlike
from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Context, Describer
from sis_engine.records import (
    Committee,
    DatasetPart,
    FloatArray,
    FrameSet,
    Inspected,
    InspectRequest,
    MdFrame,
    Split,
)
from sis_engine.stages.context import StageContext
from sis_engine.stages.frames import frames_of


def inspect(
    stage: StageContext,
    request: InspectRequest,
    committee: Committee,
    data: Sequence[DatasetPart],
    context: Context,
) -> tuple[Inspected, ...]:
    """One result a system, in the order asked for."""
    return tuple(
        _inspected(stage, request, system, frames, committee, data, context)
        for system, frames in request.frames
        if frames
    )


def _inspected(
    stage: StageContext,
    request: InspectRequest,
    system: str,
    frames: tuple[MdFrame, ...],
    committee: Committee,
    data: Sequence[DatasetPart],
    context: Context,
) -> Inspected:
    found = Inspected(system, frames)
    asked = frames_of(system, [item.frame for item in frames])
    if request.descriptors:
        found = replace(found, descriptors=_described(stage, committee, asked, context))
    if request.descriptors and request.n_known:
        known = known_frames(system, data, request.n_known)
        if known is not None:
            found = replace(found, known=_described(stage, committee, known, context))
    wanted = next((item for item in request.unlike if item.system == system), None)
    if wanted is not None:
        known = known_frames(system, data, request.n_known) if request.n_known else None
        rows = most_unlike(
            _by_atom(stage, committee, asked, context),
            None if known is None else _by_atom(stage, committee, known, context),
            asked.species,
            wanted.n,
            wanted.besides,
        )
        found = replace(found, unlike=rows)
    if request.members and committee.members:
        trainer = stage.parts.trainer
        said = [trainer.predict(m, m.deployed, asked, context) for m in committee.models]
        found = replace(found, deviations=deviations(said))
    return found


def known_frames(system: str, data: Sequence[DatasetPart], n: int) -> FrameSet | None:
    """At most ``n`` training frames of a system, spread evenly over all of them."""
    own = [
        part
        for part in data
        if part.split is Split.TRAINING and part.frames.system == system and part.frames.n_frames
    ]
    if not own:
        return None
    whole = stacked(own)
    return chosen(whole, np.linspace(0, whole.n_frames - 1, min(n, whole.n_frames)))


def _described(
    stage: StageContext, committee: Committee, frames: FrameSet, context: Context
) -> FloatArray:
    return by_element(_by_atom(stage, committee, frames, context), frames.species)


def _by_atom(
    stage: StageContext, committee: Committee, frames: FrameSet, context: Context
) -> FloatArray:
    """(n_frames, n_atoms, d)"""
    trainer = stage.parts.trainer
    if not isinstance(trainer, Describer):  # validate says so before anything is paid for
        raise ConfigurationError(
            f"the trainer {stage.parts.config.trainer['type']} does not describe frames",
            key="sampler",
        )
    return trainer.describe(committee.driver, frames, context)


def by_element(described: FloatArray, species: Sequence[str]) -> FloatArray:
    """(n_frames, n_elements d): the mean over the atoms of each element, elements sorted.

    Means, so that the order of like atoms does not matter; by element, so that the many hydrogens
    do not drown the one lithium.
    """
    symbols = np.array(species)
    means = [described[:, symbols == element].mean(axis=1) for element in sorted(set(species))]
    joined: FloatArray = np.concatenate(means, axis=1)
    return joined

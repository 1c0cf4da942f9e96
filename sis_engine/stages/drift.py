"""DRIFT: MD of a sampler's own force field between two labels. It buys none."""

from __future__ import annotations

import hashlib
from collections import deque
from contextlib import closing
from dataclasses import replace

from sis_engine.errors import ConfigurationError
from sis_engine.interfaces import Context, Labeler, Sampler, Segment
from sis_engine.plugins import Kind, configure
from sis_engine.records import (
    Drifted,
    DriftRequest,
    LabelFailure,
    LevelOfTheory,
    Origin,
    Purpose,
    SegmentSpec,
    Start,
)
from sis_engine.reference_md import ReferenceMD
from sis_engine.setup.assembly import Parts
from sis_engine.stages.context import StageContext

KEY = "sampler.force_field"


def force_field_of(sampler: Sampler, parts: Parts) -> Labeler:
    """The labeler whose forces a sampler moves structures by, built as a campaign's own is."""
    given = sampler.needs.force_field
    if given is None:
        raise ConfigurationError(
            "the sampler moves structures by a force field and names none", key=KEY
        )
    made: Labeler = configure(
        Kind.LABELER, dict(given), key=KEY, file=parts.file, base=parts.base.parent
    )
    return made


def drift(
    stage: StageContext, request: DriftRequest, force_field: Labeler, context: Context
) -> tuple[Drifted, ...]:
    """Where each system came, in the order asked for; one that was finished before is not run."""
    kept = stage.kept("decide", Drifted)
    found = []
    for system, start, spec in request.starts:
        level = force_field.level_of_theory(stage.parts.system(system))
        name = _piece(system, start, spec, level)
        piece = kept.get(name)
        if piece is None:
            piece = _drifted(stage, system, start, spec, request.backoff_fs, force_field, context)
            kept.put(name, piece)
        found.append(piece)
    return tuple(found)


def _piece(system: str, start: Start, spec: SegmentSpec, level: LevelOfTheory) -> str:
    """System and a hash of all that its MD depends on: a piece is found again only by these."""
    found = hashlib.sha256(f"{start.frame.key} {level.fingerprint} {spec!r}".encode())
    if start.velocities is not None:
        found.update(start.velocities.tobytes())
    return f"drift-{system}-{found.hexdigest()[:16]}"


def _drifted(
    stage: StageContext,
    name: str,
    start: Start,
    spec: SegmentSpec,
    backoff_fs: float,
    force_field: Labeler,
    context: Context,
) -> Drifted:
    origin = Origin(Purpose.SEGMENT, stage.generation, name, f"drift-{name}", 0, 0.0)
    task = Segment(stage.parts.system(name), start, spec, origin)
    # As many steps as the last good structure may lie before a break; the newest comes last.
    last: deque[Start] = deque(maxlen=max(1, round(backoff_fs / spec.timestep_fs)) + 1)
    message = ""
    with closing(ReferenceMD(force_field).label(task, context)) as results:
        for step, result in enumerate(results):
            if isinstance(result, LabelFailure):
                message = f"it broke off at step {step} of {spec.n_steps}: {result.message}"
                break
            time_fs = step * spec.timestep_fs
            last.append(Start(result.frame, time_fs, result.velocities))
            context.progress(step + 1, spec.n_steps, f"force field's MD of {name}")
    if not last:
        return Drifted(name, replace(start, time_fs=0.0), 0.0, message)
    end = last[0] if message else last[-1]
    return Drifted(name, end, (end.time_fs or 0.0) / 1000.0, message)

"""When a sampler may say *stable*: settings that samplers share."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from sis_engine.interfaces import PluginConfig

Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class Rule(BaseModel):
    """Base of the nested settings: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AuditFrames(Rule):
    """Which frames of survivors are labelled.

    frames_per_system: over all its survivors; a little above ``audit.min_frames``
    burn_in_ps: left out: the start is a labelled structure, and easy
    decorrelation_fs: least distance of two frames of one replica; temperature decorrelates
        within 30 fs (measured), bonds within a few periods
    learn: the audited frames join the data (their labels are paid for; the next audit draws
        fresh ones)
    first_look: so many frames of each system first, and the rest only where their errors are within
        the limits (not the bounds of these: few frames bound little). It can only refuse: what
        passes has been judged on all. ``None``: all at once
    """

    frames_per_system: Count = 32
    burn_in_ps: Annotated[float, Field(ge=0.0)] = 0.25
    decorrelation_fs: Positive = 100.0
    learn: bool = True
    first_look: Annotated[int, Field(ge=2)] | None = None


class StoppingConfig(PluginConfig):
    """When MD with the model counts as stable and right.

    duration_schedule_ps: MD length of generations 0, 1, …; afterwards the full target. ``None``:
        always the full one (a replica that fails early costs little anyway)
    min_survivors: replicas per system that must all live to the end; ``None``: as many as
        ``survival_probability`` with ``survival_confidence`` needs (14 for 0.8 with 95 %)
    """

    duration_schedule_ps: tuple[Positive, ...] | None = None
    min_survivors: Count | None = None
    survival_probability: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.8
    survival_confidence: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    audit: AuditFrames = AuditFrames()

    @property
    def audits(self) -> bool:
        """Survivors are audited before they count as right."""
        return True

    @property
    def required_survivors(self) -> int:
        """The n with p^n <= 1 - confidence: no failure in n bounds P(survive) by p from below."""
        if self.min_survivors is not None:
            return self.min_survivors
        return math.ceil(
            math.log(1.0 - self.survival_confidence) / math.log(self.survival_probability)
        )

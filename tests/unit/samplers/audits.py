"""Audits that were answered: every frame labelled, the model wrong by a stated amount."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sis_engine.interfaces import SamplerInput
from sis_engine.records import (
    AuditRequest,
    AuditResult,
    Errors,
    Label,
    Labelled,
    LevelOfTheory,
    Origin,
    Purpose,
    Start,
)

LEVEL = LevelOfTheory("fake", "1", "fake")


def audited(
    given: SamplerInput,
    asked: AuditRequest,
    error: float,
    *,
    passed: bool,
    wrong: Callable[[Start], bool] = lambda _: True,
) -> SamplerInput:
    """The input after the audit; the model is wrong by ``error`` (relative) where ``wrong``."""
    rng = np.random.default_rng(0)
    labelled = []
    for plan in asked.plans:
        for index, start in enumerate(plan.starts):
            assert start.model_forces is not None
            noise = rng.normal(0.0, 1.0, start.model_forces.shape)
            forces = start.model_forces + (error if wrong(start) else 0.0) * noise
            origin = Origin(Purpose.AUDIT, given.generation, plan.system, plan.id, index)
            labelled.append(Labelled(start.frame, Label(0.0, forces), LEVEL, origin, "1", 0.1))
    errors = Errors(len(labelled), error, 1.0, 3 * error, 0.001)
    reasons = () if passed else ("force error",)
    result = AuditResult(
        *(errors, error, (), 0.001, 0, 0.25, 0.02, 30, passed, reasons), within_limits=error <= 0.25
    )
    return replace(given, audit=result, audit_frames=tuple(labelled))


def unlabelled(given: SamplerInput, asked: AuditRequest) -> SamplerInput:
    """The input after an audit of which not one frame got a label."""
    n_failed = sum(len(plan.starts) for plan in asked.plans)
    reasons = (f"{n_failed} audit frames got no label",)
    errors = Errors(0, np.inf, 0.0, np.inf, np.inf)
    result = AuditResult(errors, np.inf, (), np.inf, n_failed, 0.25, 0.02, 30, False, reasons)
    return replace(given, audit=result)

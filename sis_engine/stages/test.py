"""Errors on the independent reference trajectory, where the campaign asks for one."""

from __future__ import annotations

from collections.abc import Sequence

from sis_engine.analysis.metrics import errors_of, errors_over
from sis_engine.interfaces import Context
from sis_engine.records import (
    Errors,
    FrameSet,
    Labelled,
    Model,
    PlanOutcome,
    Prediction,
    TestResult,
)
from sis_engine.stages.context import StageContext
from sis_engine.storage.splits import frame_set


def test_errors(
    stage: StageContext, model: Model, outcomes: Sequence[PlanOutcome], context: Context
) -> TestResult:
    """Errors of the deployed model, through the engine that runs it, on the test frames."""
    pairs: list[tuple[Prediction, FrameSet]] = []
    for outcome in outcomes:
        frames = frame_set(_thinned(stage, outcome), stage.parts.system(outcome.system))
        said = stage.parts.explorer.predict(model, frames, context, stage.parts.trainer.calculator)
        pairs.append((said, frames))
    per_system: list[tuple[str, Errors]] = [
        (frames.system, errors_of(said, frames)) for said, frames in pairs
    ]
    return TestResult(errors_over(pairs), tuple(per_system))


def _thinned(stage: StageContext, outcome: PlanOutcome) -> list[Labelled]:
    """Every ``test.stride``-th frame: neighbours in time say nothing new."""
    config = stage.parts.config.test
    stride = 1 if config is None else config.stride
    return list(outcome.labelled[::stride])

"""Errors on the independent reference trajectory, where the campaign asks for one."""

from __future__ import annotations

from collections.abc import Sequence

from sis_engine.analysis.metrics import AuditCluster, errors_of
from sis_engine.analysis.nearness import is_near
from sis_engine.config.campaign import TestConfig
from sis_engine.interfaces import Context
from sis_engine.records import DatasetPart, Labelled, Model, PlanOutcome, TestResult
from sis_engine.stages.context import StageContext
from sis_engine.stages.judging import judged_by_system
from sis_engine.storage.splits import frame_set

MIN_FRAMES = 2
"""Fewer bound nothing."""


def test_errors(
    stage: StageContext,
    model: Model,
    outcomes: Sequence[PlanOutcome],
    config: TestConfig,
    data: Sequence[DatasetPart],
    context: Context,
) -> TestResult:
    """Errors of the deployed model, through the engine that runs it, on the test frames.

    data: all frames the training has, which the test must not have
    """
    clusters: dict[str, list[AuditCluster]] = {outcome.system: [] for outcome in outcomes}
    failed = dict.fromkeys(clusters, 0)
    n_near = 0
    for outcome in outcomes:
        failed[outcome.system] += len(outcome.failures)
        tested = equilibrated(outcome, config)
        unseen = [item for item in tested if not _is_trained_on(item, outcome.system, data, config)]
        n_near += len(tested) - len(unseen)
        if unseen:
            frames = frame_set(unseen, stage.parts.system(outcome.system))
            calculator = stage.parts.trainer.calculator
            said = stage.parts.explorer.predict(model, frames, context, calculator)
            clusters[outcome.system].append(AuditCluster(outcome.plan_id, said, frames))
    judged = judged_by_system(stage, clusters, failed, what="test", min_frames=MIN_FRAMES)
    return TestResult(
        errors=judged.errors,
        per_system=tuple(
            (item.frames.system, errors_of(item.prediction, item.frames))
            for own in clusters.values()
            for item in own
        ),
        judged=judged,
        n_near=n_near,
    )


def equilibrated(outcome: PlanOutcome, config: TestConfig) -> list[Labelled]:
    """Every ``stride``-th frame after the equilibration."""
    first = round(config.equilibration_fs / config.segment.timestep_fs)
    later = [item for item in outcome.labelled if item.origin.index >= first]
    return later[:: config.stride]


def _is_trained_on(
    item: Labelled, system: str, data: Sequence[DatasetPart], config: TestConfig
) -> bool:
    return any(
        is_near(item.frame, part.frames, config.min_distance_angstrom)
        for part in data
        if part.frames.system == system
    )

"""Is a model right on labelled frames? One judgement for audits and the test trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sis_engine.analysis.metrics import AuditCluster, AuditLimits, audit_result
from sis_engine.records import AuditResult
from sis_engine.stages.context import StageContext


def judged_by_system(
    stage: StageContext,
    clusters: Mapping[str, Sequence[AuditCluster]],
    failed: Mapping[str, int],
    *,
    what: str,
    min_frames: int,
) -> AuditResult:
    """The judgement over all systems; every one has to pass by itself.

    Pooled, a large right system would hide a small wrong one.
    clusters: by system, those without frames too;  failed: frames without a label, by system
    what: "audit" or "test", for the reasons and the seed of the bootstrap
    """
    config = stage.parts.config.audit
    limits = AuditLimits(
        relative=config.max_relative_force_rmse,
        energy=config.max_energy_rmse_per_atom,
        min_frames=min_frames,
    )

    def judged(own: Sequence[AuditCluster], n_failed: int) -> AuditResult:
        return audit_result(own, limits, n_failed=n_failed, seed=stage.seed(what), what=what)

    results = {name: judged(own, failed.get(name, 0)) for name, own in clusters.items()}
    if len(results) == 1:
        return next(iter(results.values()))
    pooled = judged([item for own in clusters.values() for item in own], sum(failed.values()))
    return replace(
        pooled,
        passed=all(found.passed for found in results.values()),
        within_limits=all(found.within_limits for found in results.values()),
        reasons=tuple(f"{name}: {why}" for name, own in results.items() for why in own.reasons),
        notes=tuple(f"{name}: {note}" for name, own in results.items() for note in own.notes),
    )

"""Segments that answer a failed audit: reference MD from where the model was worst."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sis_engine.interfaces import SamplerInput
from sis_engine.records import LabelPlan, Start
from sis_engine.samplers.auditing import Audited, audit_plans, audited
from sis_engine.samplers.early import alive
from sis_engine.samplers.segments import segment_plan, starts_before, support_of
from sis_engine.samplers.sis_config import SegmentSettings
from sis_engine.samplers.starting import as_start


def mending_plans(given: SamplerInput, config: SegmentSettings) -> tuple[LabelPlan, ...]:
    """Segments from where the audit found the model worst, or found what cannot be labelled."""
    limit = 0.0 if given.audit is None else given.audit.relative_limit
    items = audited(given)
    by_system: dict[str, list[Audited]] = {}
    for item in items:
        by_system.setdefault(item.run.replica.system.name, []).append(item)
    worst = {name: max(i.error for i in found) for name, found in by_system.items()}
    guilty = [name for name in by_system if worst[name] > limit] or list(by_system)
    known = [plan for name in guilty for plan in _system_plans(given, config, by_system[name])]
    return (*known, *_unlabelled_plans(given, config, by_system))


def _unlabelled_plans(
    given: SamplerInput, config: SegmentSettings, labelled: Collection[str]
) -> list[LabelPlan]:
    """Of systems of whose audit not one frame could be labelled: the model lives in places that
    have no label. The first such frame is a catastrophe then, and what is right lies before it.
    """
    if given.audit is None or not given.audit.n_failed or not config.audit.segments_per_system:
        return []
    lived = alive(given.explorations, given.verdicts)
    run_of = {(r.replica.system.name, item.frame.key): r for r in lived for item in r.frames}
    first: dict[str, Start] = {}
    for plan in audit_plans(given, config.audit, lived):
        if plan.system not in labelled:
            first.setdefault(plan.system, plan.starts[0])
    plans = []
    for system, start in first.items():
        run, time_fs = run_of[system, start.frame.key], start.time_fs or 0.0
        starts = starts_before(run, time_fs, support_of(given, system), config)
        why = (
            f"audit: not one frame of {system} got a label, the first of {run.replica.id} at "
            f"{time_fs / 1000.0:.3f} ps"
        )
        plans.append(
            segment_plan(given, config, run, starts, name="audit-0", bisect=True, reason=why)
        )
    return plans


def _system_plans(
    given: SamplerInput, config: SegmentSettings, items: Sequence[Audited]
) -> list[LabelPlan]:
    """From before the first frame that is the model's invention; if none is, from the worst."""
    invented = 1.0 if config.bisect is None else config.bisect.max_relative_error
    lost = sorted((i for i in items if i.error > invented), key=lambda i: i.frame.time_fs)
    ranked = sorted(items, key=lambda i: -i.error)
    plans = []
    for index in range(config.audit.segments_per_system):
        name = f"audit-{index}"
        replicas = list(dict.fromkeys(item.run.replica.id for item in lost))
        if index < len(replicas):
            first = next(item for item in lost if item.run.replica.id == replicas[index])
            support = support_of(given, first.run.replica.system.name)
            starts = starts_before(first.run, first.frame.time_fs, support, config)
            plans.append(_mend(given, config, first, starts, name, bisect=True))
        elif not lost and index < len(ranked):
            starts = tuple(as_start(item.frame) for item in ranked[index:])
            plans.append(_mend(given, config, ranked[index], starts, name, bisect=False))
    return plans


def _mend(
    given: SamplerInput,
    config: SegmentSettings,
    item: Audited,
    starts: tuple[Start, ...],
    name: str,
    *,
    bisect: bool,
) -> LabelPlan:
    reason = (
        f"audit of {item.run.replica.id} at {item.frame.time_fs / 1000.0:.3f} ps: relative force "
        f"error {item.error:.3g}"
    )
    return segment_plan(given, config, item.run, starts, name=name, bisect=bisect, reason=reason)

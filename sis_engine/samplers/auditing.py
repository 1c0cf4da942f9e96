"""Which frames of survivors are labelled, and what a failed audit asks for next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sis_engine.interfaces import SamplerInput
from sis_engine.records import (
    Exploration,
    LabelPlan,
    MdFrame,
    Purpose,
    Start,
)
from sis_engine.samplers.segments import as_start, segment_plan, starts_before, support_of
from sis_engine.samplers.sis_config import AuditRule, SisConfig
from sis_engine.seeds import derive_seed
from sis_engine.starts import relative_force_error


def audit_plans(
    given: SamplerInput, config: SisConfig, survivors: Sequence[Exploration]
) -> tuple[LabelPlan, ...]:
    """One plan a survivor (errors are bootstrapped over replicas), frames spread over its life."""
    plans = []
    for system in dict.fromkeys(run.replica.system.name for run in survivors):
        runs = [run for run in survivors if run.replica.system.name == system]
        shares = _shares(config.audit.frames_per_system, len(runs))
        for run, n_frames in zip(runs, shares, strict=True):
            seed = derive_seed(given.seed, given.generation, "audit", run.replica.id)
            frames = spread(run.frames, n_frames, config.audit, seed)
            if frames:
                plans.append(
                    LabelPlan(
                        id=f"g{given.generation:04d}-audit-{run.replica.id}",
                        system=system,
                        purpose=Purpose.AUDIT,
                        starts=tuple(as_start(item) for item in frames),
                        reason=f"is the survivor {run.replica.id} right?",
                    )
                )
    return tuple(plans)


def spread(
    frames: Sequence[MdFrame], n_frames: int, rule: AuditRule, seed: int
) -> tuple[MdFrame, ...]:
    """At most ``n_frames`` frames, one at random from each of as many equal stretches of time.

    Two are never nearer than ``decorrelation_fs``; what a stretch could not give is filled up
    from anywhere. In time order.
    """
    rng = np.random.default_rng(seed)
    first_fs = frames[0].time_fs + 1000.0 * rule.burn_in_ps if frames else 0.0
    usable = [item for item in frames if item.time_fs >= first_fs]
    if not usable or n_frames < 1:
        return ()
    times = np.array([item.time_fs for item in usable])
    edges = np.linspace(times[0], times[-1] + 1e-6, n_frames + 1)
    stretch = np.searchsorted(edges, times, side="right") - 1
    order = [rng.permutation(np.flatnonzero(stretch == k)) for k in range(n_frames)]
    order.append(rng.permutation(times.size))
    chosen: list[int] = []
    for k, candidates in enumerate(order):
        room = 1 if k < n_frames else n_frames - len(chosen)
        for index in candidates:
            if room == 0:
                break
            if all(abs(times[index] - times[c]) >= rule.decorrelation_fs for c in chosen):
                chosen.append(int(index))
                room -= 1
    return tuple(usable[index] for index in sorted(chosen))


def _shares(total: int, n: int) -> list[int]:
    """``total`` split over ``n`` as evenly as it goes, rounded up: [8, 8, 8, 8]."""
    return [-(-total // n)] * n


# --------------------------------------------------------------------------- a failed audit


@dataclass(frozen=True, eq=False)
class Audited:
    """An audited frame: its replica, what the model said, and the relative force error."""

    run: Exploration
    frame: MdFrame
    error: float


def audited(given: SamplerInput) -> tuple[Audited, ...]:
    """The labelled audit frames, found again in the replicas they came from."""
    known = {item.frame.key: (run, item) for run in given.explorations for item in run.frames}
    found = []
    for labelled in given.audit_frames:
        place = known.get(labelled.frame.key)
        if place is not None:
            error = relative_force_error(place[1].forces, labelled.label.forces)
            found.append(Audited(place[0], place[1], error))
    return tuple(found)


def learn_plans(given: SamplerInput, config: SisConfig) -> tuple[LabelPlan, ...]:
    """The audited frames as data: the bank has their labels, so they cost nothing."""
    if not config.audit.learn:
        return ()
    plans = []
    for system in dict.fromkeys(item.run.replica.system.name for item in audited(given)):
        frames = [i.frame for i in audited(given) if i.run.replica.system.name == system]
        plans.append(
            LabelPlan(
                id=f"g{given.generation:04d}-audited-{system}",
                system=system,
                purpose=Purpose.SINGLE,
                starts=tuple(as_start(item) for item in frames),
                reason="frames of the failed audit; their labels are in the bank",
            )
        )
    return tuple(plans)


def mending_plans(given: SamplerInput, config: SisConfig) -> tuple[LabelPlan, ...]:
    """Segments from where the audit found the model worst."""
    limit = 0.0 if given.audit is None else given.audit.relative_limit
    items = audited(given)
    by_system: dict[str, list[Audited]] = {}
    for item in items:
        by_system.setdefault(item.run.replica.system.name, []).append(item)
    worst = {name: max(i.error for i in found) for name, found in by_system.items()}
    guilty = [name for name in by_system if worst[name] > limit] or list(by_system)
    return tuple(plan for name in guilty for plan in _system_plans(given, config, by_system[name]))


def _system_plans(
    given: SamplerInput, config: SisConfig, items: Sequence[Audited]
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
    config: SisConfig,
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

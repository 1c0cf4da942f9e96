"""Which frames of survivors are labelled, and what the labels said of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sis_engine.interfaces import SamplerInput
from sis_engine.labelling.starts import relative_force_error
from sis_engine.records import (
    Exploration,
    FloatArray,
    LabelPlan,
    MdFrame,
    Purpose,
)
from sis_engine.samplers.starting import as_start
from sis_engine.samplers.stopping_config import AuditFrames
from sis_engine.seeds import derive_seed


def audit_plans(
    given: SamplerInput, rule: AuditFrames, survivors: Sequence[Exploration]
) -> tuple[LabelPlan, ...]:
    """One plan a survivor (errors are bootstrapped over replicas), frames spread over its life."""
    plans = []
    for system in dict.fromkeys(run.replica.system.name for run in survivors):
        runs = [run for run in survivors if run.replica.system.name == system]
        shares = _shares(rule.frames_per_system, len(runs))
        for run, n_frames in zip(runs, shares, strict=True):
            seed = derive_seed(given.seed, given.generation, "audit", run.replica.id)
            frames = spread(run.frames, n_frames, rule, seed)
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


def looked_at_first(plans: Sequence[LabelPlan], n_frames: int) -> tuple[LabelPlan, ...]:
    """``n_frames`` of each system's audit, as many of each replica, spread over its life."""
    replicas = Counter(plan.system for plan in plans)
    looks = []
    for plan in plans:
        n, share = len(plan.starts), -(-n_frames // replicas[plan.system])
        chosen = np.unique(np.round((np.arange(share) + 0.5) * n / share - 0.5).astype(int))
        starts = tuple(plan.starts[k] for k in chosen)
        looks.append(replace(plan, id=f"{plan.id}-look", starts=starts))
    return tuple(looks)


def spread(
    frames: Sequence[MdFrame], n_frames: int, rule: AuditFrames, seed: int
) -> tuple[MdFrame, ...]:
    """At most ``n_frames`` frames, one at random from each of as many equal stretches of time.

    Two are never nearer than ``decorrelation_fs``; what a stretch could not give is filled up
    from anywhere. Where that leaves fewer than find room one after the other, these are taken. In
    time order.
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
    if len(chosen) < n_frames:
        chosen = max(chosen, _one_after_the_other(times, rule.decorrelation_fs)[:n_frames], key=len)
    return tuple(usable[index] for index in sorted(chosen))


def _one_after_the_other(times: FloatArray, apart_fs: float) -> list[int]:
    """From the first on, each as soon as it may be: no choice has more."""
    chosen: list[int] = []
    for index, time in enumerate(times):
        if not chosen or time - times[chosen[-1]] >= apart_fs:
            chosen.append(index)
    return chosen


def most_frames(
    duration_ps: float, sparse_every_ps: float, burn_in_ps: float, decorrelation_fs: float
) -> int:
    """How many frames :func:`spread` can find at most in a replica that lived to the end.

    sparse_every_ps: between kept frames; the last one may be nearer, from the ring
    """
    if burn_in_ps > duration_ps:
        return 0
    sparse_fs = 1000.0 * sparse_every_ps
    apart_fs = sparse_fs * max(1, math.ceil(decorrelation_fs / sparse_fs - 1e-9))
    span_fs = 1000.0 * (duration_ps - burn_in_ps)
    return 1 + math.floor(span_fs / apart_fs + 1e-9)


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


def learn_plans(given: SamplerInput, rule: AuditFrames) -> tuple[LabelPlan, ...]:
    """The audited frames as data: the bank has their labels, so they cost nothing."""
    if not rule.learn:
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

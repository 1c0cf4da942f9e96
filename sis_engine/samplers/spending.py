"""Label requests that fit into what may still be spent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sis_engine.records import LabelPlan


def cost(plan: LabelPlan) -> int:
    """Evaluations that a plan needs when all goes well, the search included."""
    searched = 0 if plan.bisect is None else plan.bisect.max_evaluations
    if plan.segment is not None:
        return plan.segment.n_steps + searched
    return min(len(plan.starts), searched) if plan.bisect is not None else len(plan.starts)


def affordable(
    plans: Iterable[LabelPlan],
    evaluations_left: int | None,
    *,
    min_steps: int,
    divisible: bool = False,
) -> tuple[LabelPlan, ...]:
    """Plans that fit into what is left, in order; a segment may be shortened to fit.

    min_steps: no shorter segment is begun
    divisible: of single points the first ones may be asked for; otherwise all or none
    """
    if evaluations_left is None:
        return tuple(plans)
    left = evaluations_left
    kept = []
    for plan in plans:
        fitted = _fitted(plan, left, min_steps, divisible=divisible)
        if fitted is not None:
            kept.append(fitted)
            left -= cost(fitted)
    return tuple(kept)


def _fitted(plan: LabelPlan, left: int, min_steps: int, *, divisible: bool) -> LabelPlan | None:
    excess = cost(plan) - left
    if excess <= 0:
        return plan
    if plan.segment is None:
        whole = not divisible or left < 1 or plan.bisect is not None
        return None if whole else replace(plan, starts=plan.starts[:left])
    n_steps = plan.segment.n_steps - excess
    if n_steps < min_steps:
        return None
    return replace(plan, segment=replace(plan.segment, n_steps=n_steps))

"""Label requests that fit into what may still be spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from sis_engine.interfaces import SamplerInput
from sis_engine.labelling.costs import costs_of
from sis_engine.records import Allowance, LabelPlan, Purpose


def cost(plan: LabelPlan, given: SamplerInput) -> Counter[Purpose]:
    """Evaluations by purpose that a plan needs when all goes well, the whole search included."""
    costs = costs_of(plan, given.is_labelled)
    found = Counter(costs.least)
    if plan.bisect is not None:
        found[Purpose.BISECT] = costs.most[Purpose.BISECT]
    return found


def total_cost(plans: Iterable[LabelPlan], given: SamplerInput) -> int:
    """The same of several plans, whatever the purpose."""
    return sum(cost(plan, given).total() for plan in plans)


def affordable(
    plans: Iterable[LabelPlan],
    given: SamplerInput,
    *,
    min_steps: int,
    divisible: bool = False,
) -> tuple[LabelPlan, ...]:
    """Plans that fit into what is left, in order; a segment may be shortened to fit.

    min_steps: no shorter segment is begun
    divisible: of single points the first ones may be asked for; otherwise all or none
    """
    left = given.allowance
    kept = []
    for plan in plans:
        fitted = _fitted(plan, given, left, min_steps, divisible=divisible)
        if fitted is not None:
            kept.append(fitted)
            left = left.without(cost(fitted, given))
    return tuple(kept)


def _fitted(
    plan: LabelPlan, given: SamplerInput, left: Allowance, min_steps: int, *, divisible: bool
) -> LabelPlan | None:
    wanted = cost(plan, given)
    if left.holds(wanted):
        return plan
    excess = _excess(wanted, left, plan.purpose)
    if excess is None:
        return None
    if plan.segment is None:
        n_starts = len(plan.starts) - excess
        whole = not divisible or n_starts < 1 or plan.bisect is not None
        return None if whole else replace(plan, starts=plan.starts[:n_starts])
    n_steps = plan.segment.n_steps - excess
    if n_steps < min_steps:
        return None
    return replace(plan, segment=replace(plan.segment, n_steps=n_steps))


def _excess(wanted: Counter[Purpose], left: Allowance, purpose: Purpose) -> int | None:
    """How much less of ``purpose`` would fit; ``None`` where another purpose is what does not."""
    others = Counter({p: n for p, n in wanted.items() if p is not purpose})
    if not left.holds(others):
        return None
    limit = left.without(others).of(purpose)
    return 0 if limit is None else wanted[purpose] - limit

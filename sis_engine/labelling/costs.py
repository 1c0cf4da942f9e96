"""What label plans cost: evaluations by purpose, those that the bank knows left out.

One count for all who ask: samplers, the budget, quotes, and LABEL itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sis_engine.records import Allowance, Frame, LabelPlan, Purpose

IsKnown = Callable[[str, Frame], bool]
"""Whether the label of a system's frame is in the bank already, and costs nothing."""


def nothing_is_known(system: str, frame: Frame) -> bool:
    """No bank: every label is paid for."""
    del system, frame
    return False


@dataclass(frozen=True)
class Costs:
    """Evaluations by purpose. least: when all goes well;  most: with every search and step"""

    least: Counter[Purpose]
    most: Counter[Purpose]


def takes_first_start(plan: LabelPlan) -> bool:
    """Audit and test plans take their first start as it is, whatever bounds say."""
    return plan.purpose in {Purpose.AUDIT, Purpose.TEST}


def probe_purpose(plan: LabelPlan) -> Purpose:
    """What single points on starts, on trial, are counted as."""
    return plan.purpose if plan.bisect is None and plan.bounds is None else Purpose.BISECT


def costs_of(plan: LabelPlan, is_known: IsKnown = nothing_is_known) -> Costs:
    """What a plan costs at least and at most; a segment that may end early counts whole."""
    new = [not is_known(plan.system, start.frame) for start in plan.starts]
    if plan.segment is None and plan.bisect is None:
        return Costs(Counter({plan.purpose: sum(new)}), Counter({plan.purpose: sum(new)}))
    # The first frame of a segment is a start, whose label the bank has by then.
    later = 0 if plan.segment is None else plan.segment.n_steps - 1
    least = Counter({probe_purpose(plan): int(any(new[:1]))})
    least[plan.purpose] += later
    if takes_first_start(plan):
        return Costs(least, least)
    most = Counter({probe_purpose(plan): min(_probes(plan), sum(new))})
    most[plan.purpose] += later
    searches = plan.bisect is not None or plan.bounds is not None
    if plan.segment is not None and plan.optimise is not None and searches:
        most[Purpose.OPTIMISE] += plan.optimise.max_steps - 1
    return Costs(least, most)


def _probes(plan: LabelPlan) -> int:
    """Starts that may be looked at on trial."""
    if plan.bisect is None:
        return len(plan.starts)
    return min(len(plan.starts), max(plan.bisect.max_evaluations, 1))


def evaluations_of(plan: LabelPlan, is_known: IsKnown = nothing_is_known) -> tuple[int, int]:
    """(when all goes well, at most) evaluations that a plan can cost."""
    costs = costs_of(plan, is_known)
    return costs.least.total(), costs.most.total()


def least_of(plans: Sequence[LabelPlan], is_known: IsKnown = nothing_is_known) -> Counter[Purpose]:
    """What several plans cost together when all goes well."""
    return sum((costs_of(plan, is_known).least for plan in plans), Counter[Purpose]())


def shared_out(costs: Sequence[Costs], left: Allowance) -> tuple[Allowance, ...]:
    """What each plan may spend: its least cost is its own, what is beyond goes to the first.

    Settled before anything is bought, so that plans which run side by side come to the same end
    in whatever order they run.
    """
    spare = left.without(sum((item.least for item in costs), Counter[Purpose]()))
    found = []
    for item in costs:
        wish = Counter(item.most)
        wish.subtract(item.least)
        granted = Counter({p: _within(n, spare.of(p)) for p, n in wish.items()})
        if spare.total is not None:
            granted = _cut(granted, spare.total)
        spare = spare.without(granted)
        mine = Counter(item.least)
        mine.update(granted)
        found.append(
            Allowance(
                None if left.total is None else mine.total(),
                tuple((purpose, mine[purpose]) for purpose, _ in left.by_purpose),
            )
        )
    return tuple(found)


def _within(wanted: int, limit: int | None) -> int:
    wanted = max(0, wanted)
    return wanted if limit is None else min(wanted, limit)


def _cut(granted: Counter[Purpose], total: int) -> Counter[Purpose]:
    """No more than ``total`` of it, the first purposes first."""
    kept: Counter[Purpose] = Counter()
    for purpose, n in granted.items():
        kept[purpose] = min(n, total - kept.total())
    return kept


class Purse:
    """What one plan may still spend while it is walked."""

    def __init__(self, allowance: Allowance) -> None:
        self._left = allowance

    def spend(self, purpose: Purpose, n: int) -> None:
        """So many evaluations have been bought."""
        self._left = self._left.without({purpose: n})

    def most(self, purpose: Purpose, wanted: int, *, keep: int = 0) -> int:
        """How many of ``wanted`` evaluations may be bought, if ``keep`` others must still be."""
        limit = self._left.of(purpose)
        total = None if self._left.total is None else self._left.total - keep
        limits = [value for value in (limit, total) if value is not None]
        return max(0, min([wanted, *limits]))

"""What a campaign may still spend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sis_engine.config.campaign import BudgetConfig
from sis_engine.labelling.costs import IsKnown, least_of, nothing_is_known
from sis_engine.records import Allowance, LabelPlan, Purpose
from sis_engine.storage.ledger import Ledger

Limit = Literal["generations", "wall_hours", "evaluations", "evaluations_by_purpose"]
"""Keys of ``budget`` that can end a campaign."""


@dataclass(frozen=True)
class Over:
    """Why the budget ends a campaign. limit: the key that does"""

    limit: Limit
    reason: str


def spent_through(
    ledger: Ledger, generation: int, *, leaving_out: Sequence[Purpose] = ()
) -> Counter[Purpose]:
    """Evaluations paid for by purpose, up to a generation.

    Those of later ones (half done before a kill, or taken back) must not sway what is decided
    now: a campaign that was interrupted decides as one that was not. For the same reason a stage
    that buys labels leaves out what it has bought itself of this generation, and counts it again.

    leaving_out: purposes of this generation that come now or later
    """
    spent = Counter({item.purpose: item.paid for item in ledger.counts(through=generation)})
    for item in ledger.counts(generation) if leaving_out else ():
        if item.purpose in leaving_out:
            spent[item.purpose] -= item.paid
    return spent


def budget_left(budget: BudgetConfig, spent: Mapping[Purpose, int]) -> Allowance:
    """Evaluations that may still be bought. ``spent`` by purpose."""
    limits = {Purpose(name): limit for name, limit in budget.evaluations_by_purpose.items()}
    return Allowance(budget.evaluations, tuple(limits.items())).without(spent)


def over_budget(
    budget: BudgetConfig,
    *,
    generation: int,
    plans: Sequence[LabelPlan],
    is_known: IsKnown = nothing_is_known,
    spent: Mapping[Purpose, int],
    hours: float,
) -> Over | None:
    """Why the next generation may not start, or ``None``.

    A plan is held to its least cost: one that may cost more by a search or an optimisation is
    begun when its segment fits, and LABEL ends the search where the budget does.
    """
    if budget.generations is not None and generation >= budget.generations:
        return Over("generations", f"budget.generations = {budget.generations} are done")
    if budget.wall_hours is not None and hours >= budget.wall_hours:
        told = f"budget.wall_hours = {budget.wall_hours:g} are spent ({hours:.2f} h)"
        return Over("wall_hours", told)
    return unaffordable(budget, least_of(plans, is_known), spent, what="the next round")


def unaffordable(
    budget: BudgetConfig, wanted: Mapping[Purpose, int], spent: Mapping[Purpose, int], *, what: str
) -> Over | None:
    """Why ``wanted`` evaluations may not be bought, or ``None``."""
    total, left = sum(wanted.values()), budget_left(budget, spent).total
    if left is not None and total > left:
        return Over(
            "evaluations",
            f"{what} needs at least {total} evaluations, {left} of "
            f"budget.evaluations = {budget.evaluations} are left",
        )
    for name, limit in budget.evaluations_by_purpose.items():
        needed, paid = wanted.get(Purpose(name), 0), spent.get(Purpose(name), 0)
        if paid + needed > limit:
            return Over(
                "evaluations_by_purpose",
                f"{what} needs {needed} {name} evaluations; {paid} of "
                f"budget.evaluations_by_purpose.{name} = {limit} are spent",
            )
    return None

"""What a campaign may still spend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sis_engine.config import BudgetConfig
from sis_engine.labelling import evaluations_of
from sis_engine.records import LabelPlan, Purpose
from sis_engine.storage.ledger import Ledger


def spent_through(ledger: Ledger, generation: int) -> dict[str, int]:
    """Evaluations paid for by purpose, up to a generation.

    Those of later ones (half done before a kill, or taken back) must not sway what is decided
    now: a campaign that was interrupted decides as one that was not.
    """
    return {item.purpose.value: item.paid for item in ledger.counts(through=generation)}


def spent_before_audit(ledger: Ledger, generation: int) -> dict[str, int]:
    """Evaluations paid for by purpose when DECIDE of a generation begins.

    The audit of this generation, of which a killed run may have paid a part, is left out: DECIDE
    itself counts it.
    """
    spent = spent_through(ledger, generation)
    for item in ledger.counts(generation):
        if item.purpose is Purpose.AUDIT:
            spent[item.purpose.value] -= item.paid
    return spent


def budget_left(budget: BudgetConfig, spent: Mapping[str, int]) -> int | None:
    """Evaluations left in all; ``None``: no limit. ``spent`` by purpose."""
    if budget.evaluations is None:
        return None
    return max(0, budget.evaluations - sum(spent.values()))


def over_budget(
    budget: BudgetConfig,
    *,
    generation: int,
    plans: Sequence[LabelPlan],
    spent: Mapping[str, int],
    hours: float,
) -> str | None:
    """Why the next generation may not start, or ``None``.

    A plan is held to its least cost: one that may cost more by a search or an optimisation is
    begun when its segment fits.
    """
    if budget.generations is not None and generation >= budget.generations:
        return f"budget.generations = {budget.generations} are done"
    if budget.wall_hours is not None and hours >= budget.wall_hours:
        return f"budget.wall_hours = {budget.wall_hours:g} are spent ({hours:.2f} h)"
    wanted = sum(evaluations_of(plan)[0] for plan in plans)
    left = budget_left(budget, spent)
    if left is not None and wanted > left:
        return (
            f"the next round needs at least {wanted} evaluations, "
            f"{left} of budget.evaluations = {budget.evaluations} are left"
        )
    for purpose, limit in budget.evaluations_by_purpose.items():
        needed = sum(evaluations_of(plan)[0] for plan in plans if plan.purpose.value == purpose)
        if spent.get(purpose, 0) + needed > limit:
            return (
                f"the next round needs {needed} {purpose} evaluations; {spent.get(purpose, 0)} of "
                f"budget.evaluations_by_purpose.{purpose} = {limit} are spent"
            )
    return None

"""How long a campaign may still take: what is known of it, and no more.

When replicas will live to the end and pass their audit is what a campaign is there to find out, so
its end has no ETA. Known are the pace of the stage in hand, what each stage took in earlier
generations, and what the budget leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sis_engine.bookkeeping.budget import budget_left
from sis_engine.config.campaign import BudgetConfig
from sis_engine.records import Purpose

StageSeconds = tuple[tuple[str, float], ...]
"""Seconds by stage of one generation, in the order of first use."""

NO_ETA = "not known: it ends when the replicas live and their audit passes"


@dataclass(frozen=True)
class Outlook:
    """What is known of the rest.

    earlier: what each stage took, of every committed generation
    generations_left: that budget.generations allows, with the one in hand
    evaluations_left, wall_left_s: of the budget, when the generation in hand began
    in_hand_s: what the generation in hand takes: gone and, as far as it is known, left
    Each but the last is ``None`` where the budget has no such limit.
    """

    earlier: tuple[StageSeconds, ...] = ()
    generations_left: int | None = None
    evaluations_left: int | None = None
    wall_left_s: float | None = None
    in_hand_s: float = 0.0

    @property
    def longest_generation_s(self) -> float | None:
        """With the one in hand; ``None`` before the first is committed."""
        longest = max((sum(s for _, s in stages) for stages in self.earlier), default=None)
        return None if longest is None else max(longest, self.in_hand_s)

    @property
    def rest_at_longest_s(self) -> float | None:
        """All generations that the budget allows, each as long as the longest so far."""
        longest = self.longest_generation_s
        if longest is None or self.generations_left is None:
            return None
        return self.generations_left * longest

    def generation_left_s(
        self, stage: str, stage_left_s: float | None, spent_s: float
    ) -> float | None:
        """To the end of the generation in hand, as the last one that had this stage went on.

        stage_left_s: by the pace of the stage in hand; ``None``: it is taken to last as it did then
        spent_s: on the stage so far
        """
        for stages in reversed(self.earlier):
            names = [name for name, _ in stages]
            if stage in names:
                here = names.index(stage)
                left = max(0.0, stages[here][1] - spent_s) if stage_left_s is None else stage_left_s
                return left + sum(seconds for _, seconds in stages[here + 1 :])
        return None

    def lines(self, gone_s: float = 0.0, paid: int = 0) -> tuple[str, ...]:
        """For a person: of the end, and what bounds it.

        gone_s, paid: seconds and evaluations since the generation in hand began
        """
        bounds = []
        if self.generations_left is not None:
            bounds.append(_generations(self.generations_left, self))
        if self.wall_left_s is not None:
            left = max(0.0, self.wall_left_s - gone_s)
            bounds.append(f"no generation begins after {duration(left)} (budget.wall_hours)")
        if self.evaluations_left is not None:
            left_now = max(0, self.evaluations_left - paid)
            bounds.append(f"{left_now} evaluations left (budget.evaluations)")
        return (NO_ETA, *(bounds or ["no budget bounds it"]))

    def as_json(self) -> dict[str, object]:
        """For ``sis status --json``; ``eta_s`` is there to say that it is not known."""
        return {
            "eta_s": None,
            "reason": NO_ETA,
            "generations_left": self.generations_left,
            "evaluations_left": self.evaluations_left,
            "wall_left_s": self.wall_left_s,
            "longest_generation_s": self.longest_generation_s,
            "rest_at_longest_s": self.rest_at_longest_s,
            "stage_seconds": [dict(stages) for stages in self.earlier],
        }


def look_ahead(
    budget: BudgetConfig,
    *,
    earlier: Sequence[StageSeconds],
    spent: Mapping[Purpose, int],
    wall_s: float,
    in_hand_s: float = 0.0,
) -> Outlook:
    """The outlook of a campaign.

    spent: evaluations by purpose;  wall_s: that its runs took;  in_hand_s: as in :class:`Outlook`
    """
    hours = budget.wall_hours
    return Outlook(
        earlier=tuple(earlier),
        generations_left=(
            None if budget.generations is None else max(0, budget.generations - len(earlier))
        ),
        evaluations_left=budget_left(budget, spent).total,
        wall_left_s=None if hours is None else max(0.0, hours * 3600.0 - wall_s),
        in_hand_s=in_hand_s,
    )


def _generations(left: int, outlook: Outlook) -> str:
    told = f"at most {left} generation{'' if left == 1 else 's'} (budget.generations)"
    longest, rest = outlook.longest_generation_s, outlook.rest_at_longest_s
    if longest is None or rest is None:
        return f"{told}, of a length not known yet"
    return f"{told}: {duration(rest)} if each takes as long as the longest ({duration(longest)})"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours:d}:{minutes:02d}:{whole % 60:02d}"

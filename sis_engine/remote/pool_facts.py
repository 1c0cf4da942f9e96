"""What a pool was asked over a campaign, how long work waited, and what was wasted."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

POOL_META = "pool_"
"""Ledger keys of what is known of each pool begin so."""


@dataclass(frozen=True)
class PoolFacts:
    """Of one pool, over all engines that have worked on the campaign.

    tasks: handed out;  ended, lost: of these;  open: the rest
    waited_s: in the queue, all tasks together, those that have begun;  begun: how many these are
    worker_s: from a task's beginning to its end, all together;  label_s: within labels of it
    wasted_s: in labels that were in hand when their task was lost
    losses: (why, how often)
    """

    pool: str
    tasks: int = 0
    ended: int = 0
    lost: int = 0
    labels: int = 0
    begun: int = 0
    waited_s: float = 0.0
    worker_s: float = 0.0
    label_s: float = 0.0
    wasted_s: float = 0.0
    losses: tuple[tuple[str, int], ...] = ()

    @property
    def open(self) -> int:
        return self.tasks - self.ended - self.lost

    @property
    def efficiency(self) -> float | None:
        """The part of the workers' time that went into labels; ``None`` before any."""
        return self.label_s / self.worker_s if self.worker_s > 0.0 and self.labels else None

    @property
    def mean_wait_s(self) -> float | None:
        return self.waited_s / self.begun if self.begun else None

    def after(self, earlier: PoolFacts) -> PoolFacts:
        """With what earlier engines' tasks came to; those they left open are not its own."""
        losses = Counter(dict(earlier.losses)) + Counter(dict(self.losses))
        summed = {
            field.name: getattr(earlier, field.name) + getattr(self, field.name)
            for field in fields(self)
            if field.name not in {"pool", "tasks", "losses"}
        }
        tasks = earlier.ended + earlier.lost + self.tasks
        return PoolFacts(self.pool, tasks=tasks, losses=tuple(sorted(losses.items())), **summed)

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "losses": dict(self.losses),
            "open": self.open,
            "efficiency": self.efficiency,
            "mean_wait_s": self.mean_wait_s,
        }

    def as_json(self) -> str:
        return json.dumps(self.as_dict())

    @classmethod
    def from_json(cls, text: str) -> Self:
        said = json.loads(text)
        known = {field.name: said[field.name] for field in fields(cls) if field.name in said}
        return cls(**{**known, "losses": tuple(sorted(said.get("losses", {}).items()))})

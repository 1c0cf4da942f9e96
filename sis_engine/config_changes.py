"""A campaign file that was edited between two runs: each changed key is judged on its own."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from sis_engine.config import CampaignConfig


class When(enum.Enum):
    """When a changed key may take effect."""

    NOW = "now"
    """changes no result: budgets, cores, approvals"""
    NEXT_GENERATION = "from the next generation"
    """changes what later generations do; those committed stay what they are"""
    FORK = "only in a fork"
    """would make committed generations mean something else"""


RULES: tuple[tuple[str, When], ...] = (
    ("budget", When.NOW),
    ("execution", When.NOW),
    ("pause_before", When.NOW),
    ("labeler.threads", When.NOW),
    ("labeler.timeout_s", When.NOW),
    ("trainer.timeout_s", When.NOW),
    ("trainer.python", When.NOW),
    ("explorer.program", When.NOW),
    ("explorer.timeout_s", When.NOW),
    ("explore", When.NEXT_GENERATION),
    ("monitors", When.NEXT_GENERATION),
    ("sampler", When.NEXT_GENERATION),
    ("training", When.NEXT_GENERATION),
    ("gate", When.NEXT_GENERATION),
    ("splits", When.NEXT_GENERATION),
    ("admission", When.NEXT_GENERATION),
    ("audit", When.NEXT_GENERATION),
    ("triage", When.NEXT_GENERATION),
    ("explorer", When.NEXT_GENERATION),
    ("trainer.compress", When.NEXT_GENERATION),
)
"""First match by dotted prefix wins; a key that no rule names needs a fork (systems, labeler,
trainer, seed, initial data …: they are what the committed generations are made of)."""


@dataclass(frozen=True)
class Change:
    """One changed key: its old and new value, and when it may take effect."""

    key: str
    old: Any
    new: Any
    when: When

    def __str__(self) -> str:
        return f"{self.key}: {self.old!r} → {self.new!r} ({self.when.value})"


def judge_key(key: str) -> When:
    """When a change of this dotted key may take effect."""
    for prefix, when in RULES:
        if key == prefix or key.startswith(prefix + "."):
            return when
    return When.FORK


def changes_between(old: CampaignConfig, new: CampaignConfig) -> tuple[Change, ...]:
    """Every key whose resolved value differs, in file order."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    return tuple(
        Change(key, before.get(key), after.get(key), judge_key(key))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by dotted key; lists count as one value."""
    if isinstance(value, dict) and value:
        flat: dict[str, Any] = {}
        for key, item in value.items():
            flat.update(_flat(item, f"{prefix}.{key}" if prefix else str(key)))
        return flat
    return {prefix: value}

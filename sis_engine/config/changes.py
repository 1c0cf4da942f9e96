"""A campaign file that was edited between two runs: each changed key is judged on its own."""

from __future__ import annotations

import enum
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sis_engine.config.campaign import CampaignConfig
from sis_engine.config.file import parse_yaml, plain


class When(enum.Enum):
    """When a changed key may take effect."""

    NOW = "now"
    """changes no result: budgets, cores, approvals"""
    NEXT_GENERATION = "from the next generation"
    """changes what later generations do; those committed stay what they are"""
    FORK = "only in a fork"
    """would make committed generations mean something else"""


LABELER_LAUNCH = (
    *("threads", "ranks", "threads_per_rank", "mpirun", "mpirun_arguments", "side_by_side"),
    *("silent_timeout_s", "wall_timeout_s", "frame_timeout_s", "start_timeout_s", "timeout_s"),
    *("soft_stop_s", "pools"),
)
"""How a labeler's program is run, not what it calculates. Its path is not among them: another
program may be another level of theory, and only a fork compares the two."""

RULES: tuple[tuple[str, When], ...] = (
    ("budget", When.NOW),
    ("execution", When.NOW),
    ("pause_before", When.NOW),
    ("known_labels", When.NOW),
    *(
        (f"labeler.{part}{name}", When.NOW)
        for part in ("", "base.", "charges.", "potential.", "base.potential.")
        for name in LABELER_LAUNCH
    ),
    ("trainer.timeout_s", When.NOW),
    ("trainer.start_timeout_s", When.NOW),
    ("trainer.silence_timeout_s", When.NOW),
    ("trainer.python", When.NOW),
    ("explorer.program", When.NOW),
    ("explorer.silent_timeout_s", When.NOW),
    ("explorer.wall_timeout_s", When.NOW),
    ("explorer.replicas_at_once", When.NOW),
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

    @property
    def what(self) -> str:
        return f"{self.key}: {self.old!r} → {self.new!r}"

    def __str__(self) -> str:
        return f"{self.what} ({self.when.value})"

    def told(self, generation: int) -> str:
        """For the person who edited; ``generation``: the first that what waits will hold for."""
        later = self.when is When.NEXT_GENERATION
        return f"{self.what} (from generation {generation} on)" if later else str(self)


def judge_key(key: str) -> When:
    """When a change of this dotted key may take effect."""
    return _rule(key)[1]


def _rule(key: str) -> tuple[str, When]:
    """The first rule that names ``key``: its prefix, and when; the key itself where none does."""
    for prefix, when in RULES:
        if key == prefix or key.startswith(prefix + "."):
            return prefix, when
    return key, When.FORK


def changes_between(old: CampaignConfig, new: CampaignConfig) -> tuple[Change, ...]:
    """Every key whose resolved value differs, in file order.

    The settings of a part that is replaced by another take effect when the part does.
    """
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    keys = [key for key in dict.fromkeys((*before, *after)) if before.get(key) != after.get(key)]
    replaced = {key.removesuffix("type") for key in keys if key.endswith(".type")}
    return tuple(
        Change(
            key,
            before.get(key),
            after.get(key),
            judge_key(next((f"{part}type" for part in replaced if key.startswith(part)), key)),
        )
        for key in keys
    )


def text_for_now(
    old: CampaignConfig, old_text: str, new_text: str, changes: Sequence[Change], file: Path
) -> str:
    """The old campaign file with those of the changes that may take effect now.

    Comments stay; what waits for the next generation is as it was.
    """
    tree, edited = parse_yaml(old_text, file), parse_yaml(new_text, file)
    resolved = old.model_dump(mode="json")
    now = dict.fromkeys(_rule(change.key)[0] for change in changes if change.when is When.NOW)
    for prefix in now:
        *section, last = prefix.split(".")
        source: Any = edited
        target: Any = tree
        for part in section:  # a section that is not in the file holds its defaults
            source = source.get(part, {})
            target = target.setdefault(part, resolved[part])
        if last in source:
            target[last] = plain(source[last])
        else:
            target.pop(last, None)
    stream = io.StringIO()
    YAML(typ="rt", pure=True).dump(tree, stream)
    return stream.getvalue()


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of nested mappings by dotted key; lists count as one value."""
    if isinstance(value, dict) and value:
        flat: dict[str, Any] = {}
        for key, item in value.items():
            flat.update(_flat(item, f"{prefix}.{key}" if prefix else str(key)))
        return flat
    return {prefix: value}

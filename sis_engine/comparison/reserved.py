"""Keys of a campaign that a comparison sets itself: given in an arm they would be overwritten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sis_engine.comparison.config import Changes, ComparisonConfig
from sis_engine.errors import ConfigurationError

EVERYWHERE = {
    "name": "leave it out: runs are called after their case, arm and seed",
    "seed": "list it in `seeds` of the comparison: every arm is run with every seed",
    "label_bank": "leave it out: all arms share the comparison's own bank",
    "known_labels": "leave it out: all arms share the comparison's own bank",
    "pause_before": "leave it out: no run of a comparison waits for approval",
    "execution.cores": "say `execution: {cores: …}` of the comparison: it holds for every run",
}
"""What to do instead, by key."""

OF_THE_EXAMINER = {
    "budget": "leave it out: the examiner has no budget, frames and replicas are given",
    "sampler": "leave it out: the examiner samples nothing",
    "test": "leave it out: examiner.reference is what models are tested on",
    "triage.rerun": "leave it out: the examiner runs nothing again",
    "explore.replicas": "say examiner.replicas",
    "explore.max_suspects": "say examiner.max_suspects",
    "explore.starts": "leave it out: the examiner starts from its reference trajectory",
    "explore.round_ps": "leave it out: every replica of the examiner runs to its end",
}


def refuse_reserved(config: ComparisonConfig, file: Path) -> None:
    """Raises ConfigurationError for the first key that would silently be another."""
    in_force = {"pause_before": [], "execution.cores": config.execution.cores}
    for place, changes in _of_arms(config):
        _look(place, changes, EVERYWHERE, in_force, file)
    examiner = EVERYWHERE | OF_THE_EXAMINER
    if config.examiner.duration_ps is not None:
        examiner |= {"explore.condition.duration_ps": "it is given as examiner.duration_ps"}
    for place, changes in _of_examiner(config):
        _look(place, changes, examiner, in_force, file)


def _of_arms(config: ComparisonConfig) -> Iterator[tuple[str, Changes]]:
    """Every change of a campaign with its place in the file."""
    yield "changes", config.changes
    for arm, changes in config.arms.items():
        yield from _phases(f"arms.{arm}", changes)
    for case in config.cases:
        own = config.of_case(case)
        yield f"cases.{case}", own.campaign
        for arm, changes in own.arms.items():
            yield from _phases(f"cases.{case}.arms.{arm}", changes)


def _phases(place: str, changes: Changes) -> Iterator[tuple[str, Changes]]:
    yield place, changes
    later = changes.get("then")
    for number, item in enumerate(later if isinstance(later, list) else ()):
        if isinstance(item, dict):
            yield f"{place}.then.{number}", item


def _of_examiner(config: ComparisonConfig) -> Iterator[tuple[str, Changes]]:
    yield "examiner.changes", config.examiner.changes
    for case in config.cases:
        yield f"cases.{case}.examiner", config.of_case(case).examiner


def _look(
    place: str,
    changes: Changes,
    reserved: Mapping[str, str],
    in_force: Mapping[str, Any],
    file: Path,
) -> None:
    """in_force: values that may be said, for they hold anyway"""
    for key, instead in reserved.items():
        *section, last = key.split(".")
        found: Any = changes
        for part in section:
            found = found.get(part) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping) or last not in found:
            continue
        if key in in_force and found[last] == in_force[key]:
            continue
        raise ConfigurationError(
            f"{found[last]!r} would not hold: the comparison sets this key itself",
            file=file,
            key=f"{place}.{key}",
            hint=instead,
        )

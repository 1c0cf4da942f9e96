"""Wall time by stage, as it is told everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord


def seconds_by_stage(record: GenerationRecord) -> dict[str, float]:
    """Of one generation."""
    found: dict[str, float] = {}
    for stage, spent in record.stage_seconds:
        add_stage(found, stage, spent)
    return audits_apart(found, (record,))


def add_stage(seconds: dict[str, float], stage: str, spent: float) -> None:
    """train-1 and train-2 are both *train*."""
    name = stage.rstrip("-0123456789")
    seconds[name] = seconds.get(name, 0.0) + spent


def audits_apart(
    seconds: Mapping[str, float], records: Iterable[GenerationRecord]
) -> dict[str, float]:
    """*audit*: its labels, which are made in the stage *decide* and not counted there."""
    spent = sum(item.seconds or 0.0 for record in records for item in record.audits)
    if not spent:
        return dict(seconds)
    decide = seconds.get("decide", 0.0)
    audit = min(spent, decide)
    return {**seconds, "decide": decide - audit, "audit": audit}

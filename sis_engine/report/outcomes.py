"""All label requests of a generation that were carried out: data, audits and test trajectory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sis_engine.records import PlanOutcome

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord


def all_outcomes(record: GenerationRecord) -> tuple[PlanOutcome, ...]:
    """In the order they happened: labels for training, test trajectory, audits."""
    audits = [outcome for item in record.audits for outcome in item.outcomes]
    return (*record.outcomes, *record.test_outcomes, *audits)

"""What an arm was charged: evaluations, and seconds of labels, training and MD, model by model.

From its ledger and the small figures of its generation files. Test trajectories are not charged:
the examiner has its own. Labels come at what they cost where they were made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sis_engine.comparison.results import ModelResult
from sis_engine.records import Exhausted, Model, Purpose, Requests, Stable
from sis_engine.storage.generation import GenerationRecord, GenerationStore
from sis_engine.storage.ledger import EvaluationRow, Ledger, Outcome

AFTER_TRAINING = frozenset({Purpose.SUSPECT, Purpose.AUDIT})
"""Paid for once a generation's model is there: MD and its audit ask for them."""

NEEDED = ("model", "lives", "decision", "stage_seconds", "reference_ps", "versions")


@dataclass(frozen=True, eq=False)
class Charges:
    """evaluations: in all, by purpose;  models: with the costs at which each was to be had"""

    by_purpose: dict[str, int]
    label_s: float
    train_s: float
    md_s: float
    reference_md_ps: float
    generations: int
    models: tuple[ModelResult, ...]
    versions: dict[str, str]

    @property
    def evaluations(self) -> int:
        return sum(self.by_purpose.values())


def charges_of(ledger: Ledger) -> Charges:
    """The charges of a campaign, as far as it is committed (evaluations: as far as it is paid)."""
    store = GenerationStore(ledger.folder, ledger)
    records = list(store.load_all(only=frozenset(NEEDED), lazy_parts=True))
    rows = [row for row in ledger.evaluations() if is_charged(row)]
    counted = Counter(row.purpose.value for row in rows)
    return Charges(
        by_purpose={item.value: counted[item.value] for item in Purpose if counted[item.value]},
        label_s=sum(row.seconds for row in rows),
        train_s=sum(stage_s(record, "train") for record in records),
        md_s=sum(stage_s(record, "explore") for record in records),
        reference_md_ps=sum(record.reference_ps or 0.0 for record in records),
        generations=len(records),
        models=tuple(_models(records, rows)),
        versions=dict(records[-1].versions) if records else {},
    )


def examined_generations(models: Sequence[ModelResult], costs: Sequence[int]) -> set[int]:
    """Generations whose models the examiner sees: those had at each of ``costs``, and the last."""
    chosen = {item.generation for item in models[-1:]}
    for cost in costs:
        had = [item.generation for item in models if item.evaluations <= cost]
        chosen |= set(had[-1:])
    return chosen


def is_charged(row: EvaluationRow) -> bool:
    """Every calculation, thrown away or not, but for what was paid for before and for tests."""
    return row.outcome is not Outcome.CACHED and row.purpose is not Purpose.TEST


def stage_s(record: GenerationRecord, name: str) -> float:
    """Seconds of all stages of one kind (``train-1``, ``train-2``, …), every attempt."""
    return sum(seconds for stage, seconds in record.stage_seconds if stage.startswith(name))


def model_of(folder: Path, ledger: Ledger, generation: int) -> Model:
    """The model of a generation, its files put below ``work/models`` where they are not yet."""
    from sis_engine.storage.generation import extract_from

    store = GenerationStore(folder, ledger)
    row = next(row for row in store.committed() if row.number == generation)
    record = store.load(row, only=frozenset({"model", "model_images"}), lazy_parts=True)
    if record.model is None:
        raise ValueError(f"generation {generation} of {folder} has no model")
    return extract_from(
        record.model, record.model_images, folder / "work" / "models" / record.model.id
    )


def _models(records: list[GenerationRecord], rows: list[EvaluationRow]) -> list[ModelResult]:
    """Each model once, at the generation that made it."""
    found: dict[str, ModelResult] = {}
    train_s = md_s = 0.0
    for record in records:
        train_s += stage_s(record, "train")
        paid = [row for row in rows if _before_model(row, record.number)]
        if record.model is not None and record.model.id not in found:
            found[record.model.id] = ModelResult(
                generation=record.number,
                evaluations=len(paid),
                label_s=sum(row.seconds for row in paid),
                train_s=train_s,
                md_s=md_s,
                lives_ps=tuple(life.time_ps for life in record.lives),
                censored=tuple(life.censored for life in record.lives),
                decision=_word(record),
            )
        md_s += stage_s(record, "explore")
    return list(found.values())


def _before_model(row: EvaluationRow, generation: int) -> bool:
    if row.generation == generation:
        return row.purpose not in AFTER_TRAINING
    return row.generation < generation


def _word(record: GenerationRecord) -> str:
    kinds = {Stable: "stable", Exhausted: "exhausted", Requests: "requests"}
    return kinds.get(type(record.decision), "none")

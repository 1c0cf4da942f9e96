"""Tables on how models were made and admitted: challengers, comparisons, forgetting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sis_engine.numerals import NOTHING, figure
from sis_engine.records import BlockErrors, Challenger, Errors
from sis_engine.report.blocks import Table, columns
from sis_engine.report.paper import has_rate, optimizer_of
from sis_engine.report.wording import count, duration, milli, percent, yes_no

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord


def challenger_table(records: Sequence[GenerationRecord]) -> Table:
    """Every attempt at a model, and what became of it."""
    rows = [
        _challenger(record.generation, item, optimizer_of(record))
        for record in reversed(records)
        for item in record.challengers
    ]
    return Table(
        "challenger-table",
        "Trainings",
        "Every attempt at a model. “Claimed” is the trainer’s figure for its own checkpoint; the "
        "admission compares it with what the deployed file gives.",
        columns(
            "generation",
            "challenger",
            "#steps",
            "#learning rate",
            "#batch",
            "#claimed force / eV/Å",
            "#claimed energy / meV/atom",
            "#time",
            "admitted",
            "why not",
        ),
        tuple(rows),
        note="No model has been trained yet.",
        newest_first=True,
    )


def _challenger(generation: int, item: Challenger, optimizer: str | None) -> tuple[str, ...]:
    training, admission, plan = item.training, item.admission, item.schedule
    reasons = "; ".join((*(admission.reasons if admission else ()),))
    problem = "; ".join(part for part in (item.problem, reasons) if part)
    passed = None if admission is None else admission.passed
    return (
        str(generation),
        item.kind,
        count(plan.steps),
        f"{plan.start_lr:.3g} → {plan.stop_lr:.3g}" if has_rate(optimizer) else NOTHING,
        count(plan.batch_size),
        figure(training.claimed_force_rmse if training else None),
        milli(training.claimed_energy_rmse_per_atom if training else None),
        duration(training.seconds if training else None),
        yes_no(passed) if passed is not None or not item.problem else "no",
        problem if passed is not True and problem else NOTHING,
    )


def comparison_table(records: Sequence[GenerationRecord]) -> Table:
    """Trained is not deployed: every form of every model against the one before it."""
    rows = [
        (
            str(record.generation),
            item.kind,
            f"{pair.reference} ↔ {pair.candidate}",
            count(pair.n_frames),
            figure(pair.max_force),
            figure(pair.force_limit),
            figure(pair.max_energy_per_atom),
            figure(pair.energy_limit),
            yes_no(pair.passed),
        )
        for record in reversed(records)
        for item in record.challengers
        if item.admission is not None
        for pair in item.admission.comparisons
    ]
    return Table(
        "comparison-table",
        "Trained against deployed",
        "Largest difference between two forms of one model on the same frames, beside its limit.",
        columns(
            "generation",
            "challenger",
            "forms",
            "#frames",
            "#force / eV/Å",
            "#limit",
            "#energy / eV/atom",
            "#limit",
            "within",
        ),
        tuple(rows),
        note="No model has come to admission yet.",
        newest_first=True,
    )


def forgetting_table(records: Sequence[GenerationRecord]) -> Table:
    """Errors on each validation block before and after a training."""
    rows = [
        _block(record.generation, item.kind, block)
        for record in reversed(records)
        for item in record.challengers
        if item.admission is not None
        for block in item.admission.blocks
    ]
    return Table(
        "forgetting-table",
        "Forgetting guard",
        "Force RMSE (eV/Å) and energy RMSE (meV/atom) on every validation block with the model "
        "before this training and after it. A block that is new has no “before”.",
        columns(
            "generation",
            "challenger",
            "block",
            "#block’s gen.",
            "#frames",
            "#force before",
            "#force after",
            "#change",
            "#energy before",
            "#energy after",
        ),
        tuple(rows),
        note="No validation block has been judged yet.",
        newest_first=True,
    )


def _block(generation: int, kind: str, block: BlockErrors) -> tuple[str, ...]:
    before, after = block.before, block.after
    change = (
        None
        if before is None or before.force_rmse == 0.0
        else after.force_rmse / before.force_rmse - 1.0
    )
    sign = "+" if change is not None and change > 0 else ""
    return (
        str(generation),
        kind,
        block.part,
        str(block.generation),
        count(after.n_frames),
        figure(_force(before)),
        figure(after.force_rmse),
        NOTHING if change is None else f"{sign}{percent(change, 2)}",
        milli(None if before is None else before.energy_rmse_per_atom),
        milli(after.energy_rmse_per_atom),
    )


def _force(errors: Errors | None) -> float | None:
    return None if errors is None else errors.force_rmse

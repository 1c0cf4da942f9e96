"""MERGE: the quality gate, then splits; nothing that was labelled disappears in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sis_engine.analysis.support import with_labels
from sis_engine.errors import NothingKept
from sis_engine.numerals import beside
from sis_engine.records import (
    Dataset,
    DatasetPart,
    Labelled,
    LabelPlan,
    MergeResult,
    PlanOutcome,
    Purpose,
    RejectedFrame,
)
from sis_engine.stages.context import StageContext
from sis_engine.storage.gate import pass_gate
from sis_engine.storage.importing import Imported, Source, import_data
from sis_engine.storage.splits import split_outcome, support_of


def merge(
    stage: StageContext,
    plans: Sequence[LabelPlan],
    outcomes: Sequence[PlanOutcome],
    carried: Sequence[PlanOutcome],
    earlier: Sequence[DatasetPart],
    agreed: Sequence[Labelled],
) -> MergeResult:
    """New data parts from this generation's labels and those carried over from the last.

    carried: single points labelled for suspects and failed audits of the last generation
    earlier: all parts committed so far
    agreed: suspects of earlier generations that labels agreed with: they widen what the labels
        support (single points do not: no physical MD visits those of a search)
    Raises NothingKept where there would be nothing to train the first model on.
    """
    strides = {plan.id: plan.segment.stride for plan in plans if plan.segment is not None}
    parts: list[DatasetPart] = []
    rejected: list[RejectedFrame] = []
    for outcome in (*outcomes, *carried):
        kept = thinned(outcome, strides.get(outcome.plan_id, 1))
        passed = pass_gate(kept.labelled, stage.parts.config.gate, (*earlier, *parts))
        rejected.extend(passed.rejected)
        system = stage.parts.system(outcome.system)
        parts.extend(
            split_outcome(
                replace(kept, labelled=passed.accepted),
                system,
                stage.generation,
                stage.parts.config.splits,
                seed=stage.seed("split", outcome.plan_id),
            )
        )
    imported = merge_imported(stage)
    if imported is not None:
        parts.extend(imported.parts)
        rejected.extend(imported.rejected)
        stage.console.event(f"imported {imported.n_read} frames")
    everything = Dataset((*earlier, *parts))
    if rejected and not everything.parts and stage.parts.config.initial.model is None:
        raise _nothing_kept(rejected)
    support = tuple(
        with_labels(found, (item for item in agreed if item.origin.system == system.name))
        for system in stage.parts.systems
        if (found := support_of(everything, system.name)) is not None
    )
    return MergeResult(tuple(parts), tuple(rejected), support)


def _nothing_kept(rejected: Sequence[RejectedFrame]) -> NothingKept:
    firsts = {item.reason: item for item in reversed(rejected)}
    told = []
    for reason, n in Counter(item.reason for item in rejected).most_common():
        value, limit = beside(firsts[reason].value, firsts[reason].limit)
        told.append(f"{reason} ({n} times; the first is {value}, the limit {limit})")
    return NothingKept(
        f"the gate kept out all {len(rejected)} labels: {'; '.join(told)}",
        hint="mend `gate` in the campaign file, then `sis run` again: labels are kept, none is "
        "paid for twice. If they are wrong, start anew with the labeler mended",
    )


def merge_imported(stage: StageContext) -> Imported | None:
    """Data that generation 0 starts from (``initial.data``), through the same gate.

    They are taken to be at the labeler's level of theory, as the person who gave them says.
    """
    paths = stage.parts.config.initial.data
    if stage.generation != 0 or not paths:
        return None
    level = stage.parts.labeler.level_of_theory(stage.parts.systems[0])
    return import_data(
        [stage.parts.path(path) for path in paths],
        stage.parts.systems,
        Source(level),
        stage.parts.config.gate,
        stage.parts.config.splits,
        seed=stage.seed("import"),
    )


def thinned(outcome: PlanOutcome, stride: int) -> PlanOutcome:
    """Every ``stride``-th frame of a segment; single points are all kept."""
    if stride == 1:
        return outcome
    segment = {Purpose.INITIAL, Purpose.SEGMENT, Purpose.TEST}
    kept = tuple(
        item
        for item in outcome.labelled
        if item.origin.purpose not in segment or item.origin.index % stride == 0
    )
    return replace(outcome, labelled=kept)

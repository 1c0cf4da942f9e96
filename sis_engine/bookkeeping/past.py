"""What the committed generations of a campaign left behind: all that the next one needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sis_engine.records import (
    AuditResult,
    Committee,
    DatasetPart,
    Decision,
    GenerationSummary,
    LabelFailure,
    Labelled,
    LabelPlan,
    Member,
    Model,
    PlanOutcome,
    Purpose,
    ReferenceEnd,
    Requests,
    Rung,
    Start,
    SuspectOutcome,
)
from sis_engine.storage.generation import GenerationRecord, GenerationStore, extract_from

NEEDED = frozenset(
    {
        "parts",
        "lives",
        "audits",
        "suspects",
        "test_outcomes",
        "outcomes",
        "decision",
        "stage_seconds",
        "model",
        "foreseen",
    }
)

REFERENCE_MD = frozenset({Purpose.INITIAL, Purpose.SEGMENT})
"""Frames of reference MD that is data (the independent test trajectory is not)."""


@dataclass(frozen=True, eq=False)
class Past:
    """The committed generations, as far as the next one needs them.

    committee: the models in use
    carried: labels paid for after MERGE of the last generation; they become data in the next
    agreed: suspects of any generation that their labels agreed with
    reference_ends: where the newest reference MD of each system stands
    sha256: of the last generation file
    """

    parts: tuple[DatasetPart, ...] = ()
    history: tuple[GenerationSummary, ...] = ()
    committee: Committee | None = None
    decision: Decision | None = None
    carried: tuple[PlanOutcome, ...] = ()
    agreed: tuple[Labelled, ...] = ()
    test: tuple[PlanOutcome, ...] = ()
    reference_ends: tuple[ReferenceEnd, ...] = ()
    sha256: str | None = None

    @property
    def model(self) -> Model | None:
        """The one that drives MD."""
        return None if self.committee is None else self.committee.driver

    @property
    def next_generation(self) -> int:
        return len(self.history)

    @property
    def plans(self) -> tuple[LabelPlan, ...]:
        """What the last decision asks for."""
        return self.decision.plans if isinstance(self.decision, Requests) else ()

    @property
    def compositions(self) -> frozenset[tuple[str, ...]]:
        """Sorted symbols of every system seen so far."""
        return frozenset(tuple(sorted(part.frames.species)) for part in self.parts)

    def after(self, record: GenerationRecord, committee: Committee | None, sha256: str) -> Past:
        """The past once ``record`` is part of it."""
        return Past(
            parts=(*self.parts, *record.parts),
            history=(*self.history, summary_of(record)),
            committee=committee or self.committee,
            decision=record.decision,
            carried=carried_over(record),
            agreed=(*self.agreed, *agreed_with(record.suspects)),
            test=self.test or record.test_outcomes,
            reference_ends=ends_after(self.reference_ends, record.outcomes),
            sha256=sha256,
        )


STANDSTILL = 4
"""Generations in a row with one model; three answers were in vain then, each with other seeds."""


def standing_still(history: Sequence[GenerationSummary]) -> str | None:
    """Why going on is in vain: the same model failed again and again, and no answer taught it.

    Labels that were asked for and gave no data (each failed, or was known) leave the model as it
    is; without a limit in ``budget`` that would go on for ever.
    """
    last = history[-STANDSTILL:]
    if len(last) < STANDSTILL or len({item.model_id for item in last}) > 1:
        return None
    if not all(item.asked and any(life.verdict for life in item.lives) for item in last):
        return None
    return (
        f"generations {last[0].generation} to {last[-1].generation} failed with the same model: "
        "the labels that they asked for gave no new data (`sis why` says what became of them)"
    )


def load_past(folder: Path, store: GenerationStore, *, with_model: bool = True) -> Past:
    """Read all committed generations; the last one's model is put into ``work/models``."""
    past = Past()
    rows = store.committed()
    for row in rows:
        last = with_model and row is rows[-1]
        needed = NEEDED | {"model_images", "members"} if last else NEEDED
        record = store.load(row, only=needed, lazy_parts=True)
        committee = _extracted(record, folder / "work" / "models") if last else None
        past = past.after(record, committee, row.sha256)
    return past


def _extracted(record: GenerationRecord, place: Path) -> Committee | None:
    """The models of a generation, their files in folders named by their ids."""
    if record.model is None:
        return None
    driver = extract_from(record.model, record.model_images, place / record.model.id)
    return Committee(
        driver,
        tuple(
            Member(item.seat, extract_from(item.model, item.images, place / item.model.id))
            for item in record.members
        ),
    )


def ends_after(
    before: Sequence[ReferenceEnd], outcomes: Sequence[PlanOutcome]
) -> tuple[ReferenceEnd, ...]:
    """Where reference MD stands once ``outcomes`` are part of it, by system."""
    ends = {item.system: item for item in before}
    for outcome in outcomes:
        frames = [item for item in outcome.labelled if item.origin.purpose in REFERENCE_MD]
        if frames:
            last = max(frames, key=lambda item: item.origin.index)
            # Going on just as before would meet what it broke off by once more.
            velocities = None if outcome.failures else last.velocities
            start = Start(last.frame, last.origin.time_fs, velocities)
            ends[outcome.system] = ReferenceEnd(outcome.system, outcome.plan_id, start)
    return tuple(ends[name] for name in sorted(ends))


def summary_of(record: GenerationRecord) -> GenerationSummary:
    """What a sampler may know of a committed generation."""
    return GenerationSummary(
        generation=record.number,
        lives=record.lives,
        model_id=record.model_id,
        n_evaluations=sum(outcome.n_evaluations for outcome in record.outcomes),
        audit=last_audit(record),
        stage_seconds=record.stage_seconds,
        asked=len(record.decision.plans) if isinstance(record.decision, Requests) else 0,
        foreseen=record.foreseen,
    )


def last_audit(record: GenerationRecord) -> AuditResult | None:
    """The result of the last audit of a generation, if there was one."""
    return record.audits[-1].result if record.audits else None


def carried_over(record: GenerationRecord) -> tuple[PlanOutcome, ...]:
    """Suspects as plan outcomes: single points that the next MERGE takes in.

    Audited frames come back by the sampler's own request, from the bank.
    """
    return suspect_outcomes(record.suspects)


def agreed_with(suspects: Sequence[SuspectOutcome]) -> tuple[Labelled, ...]:
    """Frames that were suspicious and turned out to be right."""
    found = (item.outcome for item in suspects if item.agreed)
    return tuple(item for item in found if isinstance(item, Labelled))


def suspect_outcomes(suspects: Sequence[SuspectOutcome]) -> tuple[PlanOutcome, ...]:
    """One plan outcome per replica whose suspects were labelled."""
    by_plan: dict[str, list[SuspectOutcome]] = {}
    for item in suspects:
        by_plan.setdefault(item.outcome.origin.plan, []).append(item)
    outcomes = []
    for plan, items in by_plan.items():
        results = [item.outcome for item in items]
        outcomes.append(
            PlanOutcome(
                plan_id=plan,
                system=results[0].origin.system,
                purpose=Purpose.SUSPECT,
                rung=Rung.SINGLE_POINTS,
                start_index=None,
                labelled=tuple(r for r in results if not isinstance(r, LabelFailure)),
                failures=tuple(r for r in results if isinstance(r, LabelFailure)),
                n_evaluations=len(results),
            )
        )
    return tuple(outcomes)

"""What the next round will cost, said before anything starts."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sis_engine import campaign_folder
from sis_engine.assembly import Parts, assemble
from sis_engine.labelling import evaluations_of
from sis_engine.past import load_past
from sis_engine.records import LabelPlan
from sis_engine.stages.label import plans_at_start
from sis_engine.status import open_ledger
from sis_engine.storage.generation import GenerationStore
from sis_engine.storage.ledger import Ledger, Outcome
from sis_engine.wallclock import PEAK_MEMORY_MIB

BYTES_PER_ATOM_AND_FRAME = 24 * 3
"""Positions, forces and velocities in float64, before compression."""


@dataclass(frozen=True)
class PlanQuote:
    """One label request. seconds: at the least cost; ``None`` where no label was timed yet."""

    plan: str
    purpose: str
    least: int
    most: int
    seconds: float | None


@dataclass(frozen=True)
class Quote:
    """The next round.

    evaluations_left: by the budget, ``None`` without one
    train_seconds, explore_seconds: as the last generation took; ``None`` before the first
    memory_mib: the largest that a process of this campaign was so far; ``None`` before the first
    disk_mib: that frames and labels will take, uncompressed;  free_disk_gib: at the folder
    """

    generation: int
    reason: str
    plans: tuple[PlanQuote, ...]
    cores: int
    evaluations_left: int | None
    train_seconds: float | None
    explore_seconds: float | None
    memory_mib: float | None
    disk_mib: float
    free_disk_gib: float

    def lines(self) -> list[tuple[str, str]]:
        """Figures beside the plans, for the terminal."""
        least, most = sum(p.least for p in self.plans), sum(p.most for p in self.plans)
        unknown = "unknown before the first generation"
        return [
            ("evaluations", str(least) if least == most else f"{least} to {most}"),
            (
                "left in the budget",
                "no limit" if self.evaluations_left is None else str(self.evaluations_left),
            ),
            ("cores", str(self.cores)),
            (
                "training",
                unknown
                if self.train_seconds is None
                else f"about {self.train_seconds:.0f} s, as the last",
            ),
            (
                "exploration",
                unknown
                if self.explore_seconds is None
                else f"about {self.explore_seconds:.0f} s, as the last",
            ),
            (
                "memory",
                unknown
                if self.memory_mib is None
                else f"up to {self.memory_mib:.0f} MiB a process, as so far",
            ),
            ("disk", f"{self.disk_mib:.1f} MiB of frames; {self.free_disk_gib:.0f} GiB are free"),
        ]


def quote(campaign: Path) -> Quote:
    """The quote for a campaign file (its first round) or a campaign folder (its next)."""
    if campaign.is_dir():
        with open_ledger(campaign) as ledger:
            return _next_round(campaign, ledger)
    parts = assemble(campaign)
    plans = plans_at_start(parts)
    return _quote(parts, 0, plans, "the first round", campaign.parent, None)


def _next_round(folder: Path, ledger: Ledger) -> Quote:
    parts = campaign_folder.parts_of(folder, ledger)
    past = load_past(folder, GenerationStore(folder, ledger), with_model=False)
    if not past.history:
        return _quote(parts, 0, plans_at_start(parts), "the first round", folder, ledger)
    reason = "nothing: no decision yet" if past.decision is None else past.decision.reason
    return _quote(parts, past.next_generation, past.plans, reason, folder, ledger)


def _quote(
    parts: Parts,
    generation: int,
    plans: Sequence[LabelPlan],
    reason: str,
    folder: Path,
    ledger: Ledger | None,
) -> Quote:
    per_label = None if ledger is None else _seconds_per_label(ledger)
    budget = parts.config.budget.evaluations
    spent = 0 if ledger is None else sum(item.paid for item in ledger.counts())
    quotes = [_plan_quote(plan, per_label) for plan in plans]
    atoms = {system.name: system.frame.n_atoms for system in parts.systems}
    frames = sum(evaluations_of(plan)[1] * atoms[plan.system] for plan in plans)
    place = folder if folder.is_dir() else Path.cwd()
    return Quote(
        generation=generation,
        reason=reason,
        plans=tuple(quotes),
        cores=parts.cores,
        evaluations_left=None if budget is None else max(0, budget - spent),
        train_seconds=_last_seconds(ledger, "train"),
        explore_seconds=_last_seconds(ledger, "explore"),
        memory_mib=None if ledger is None else _peak_memory_mib(ledger),
        disk_mib=frames * BYTES_PER_ATOM_AND_FRAME / 2**20,
        free_disk_gib=shutil.disk_usage(place).free / 2**30,
    )


def _plan_quote(plan: LabelPlan, per_label: float | None) -> PlanQuote:
    least, most = evaluations_of(plan)
    seconds = None if per_label is None else least * per_label
    return PlanQuote(plan.id, plan.purpose.value, least, most, seconds)


def _seconds_per_label(ledger: Ledger) -> float | None:
    """Median time of the labels paid for so far."""
    times = [row.seconds for row in ledger.evaluations() if row.outcome is Outcome.GOOD]
    return statistics.median(times) if times else None


def _peak_memory_mib(ledger: Ledger) -> float | None:
    found = ledger.meta(PEAK_MEMORY_MIB)
    return None if found is None else float(found)


def _last_seconds(ledger: Ledger | None, stage: str) -> float | None:
    """Seconds of the last finished stage whose name begins so."""
    rows = [] if ledger is None else [r for r in ledger.stages() if r.stage.startswith(stage)]
    return next((row.seconds for row in reversed(rows) if row.seconds is not None), None)

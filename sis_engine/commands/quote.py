"""What the next round will cost, said before anything starts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.bookkeeping.budget import budget_left, spent_through
from sis_engine.bookkeeping.past import Past, load_past
from sis_engine.bookkeeping.price import PlanQuote, priced, seconds_per_label
from sis_engine.bookkeeping.wallclock import PEAK_MEMORY_MIB, peak_memory_mib
from sis_engine.commands.estimates import (
    BYTES_PER_ATOM_AND_FRAME,
    MODEL_MIB,
    label_seconds,
    md_mib,
)
from sis_engine.commands.status import open_ledger
from sis_engine.commands.validation import validate
from sis_engine.labelling.banked import BankedLabeler
from sis_engine.labelling.costs import evaluations_of, nothing_is_known
from sis_engine.records import Exhausted, Frame, LabelPlan, Stable
from sis_engine.setup.assembly import Parts, assemble
from sis_engine.stages.approval import waiting_for
from sis_engine.stages.label import plans_at_start
from sis_engine.storage.generation import GenerationStore
from sis_engine.storage.ledger import Ledger

UNKNOWN = "unknown until the first has run"


@dataclass(frozen=True)
class Quote:
    """The next round.

    evaluations_left: by the budget, ``None`` without one
    train_seconds, explore_seconds: as the last generation took; ``None`` before the first
    ended: the last decision was the end, ``reason`` is why, and there is no next round
    memory_mib: the largest that a process of this campaign was so far; before the first, this one
    disk_mib: that labels, MD and model will take, uncompressed;  free_disk_gib: at the folder
    times_estimated: no label was timed yet: seconds are from a trial label or the shared bank
    memory_measured: or else it is the least that it will be
    """

    generation: int
    reason: str
    plans: tuple[PlanQuote, ...]
    cores: int
    evaluations_left: int | None
    train_seconds: float | None
    explore_seconds: float | None
    memory_mib: float
    disk_mib: float
    free_disk_gib: float
    ended: bool = False
    times_estimated: bool = False
    memory_measured: bool = True

    def lines(self) -> list[tuple[str, str]]:
        """Figures beside the plans, for the terminal."""
        least, most = sum(p.least for p in self.plans), sum(p.most for p in self.plans)
        return [
            ("evaluations", str(least) if least == most else f"{least} to {most}"),
            (
                "left in the budget",
                "no limit" if self.evaluations_left is None else str(self.evaluations_left),
            ),
            ("cores", str(self.cores)),
            (
                "training",
                UNKNOWN
                if self.train_seconds is None
                else f"about {self.train_seconds:.0f} s, as the last",
            ),
            (
                "exploration",
                UNKNOWN
                if self.explore_seconds is None
                else f"about {self.explore_seconds:.0f} s, as the last",
            ),
            (
                "memory",
                f"up to {self.memory_mib:.0f} MiB a process, as so far"
                if self.memory_measured
                else f"at least {self.memory_mib:.0f} MiB (estimate: engine and labeler alone)",
            ),
            (
                "disk",
                f"about {self.disk_mib:.1f} MiB (estimate: labels, MD and model, uncompressed); "
                f"{self.free_disk_gib:.0f} GiB are free",
            ),
        ]


def quote(campaign: Path) -> Quote:
    """The quote for a campaign file (its first round) or a campaign folder (its next).

    Raises ConfigurationError for what ``sis validate`` refuses.
    """
    folder = campaign_folder.folder_of(campaign)
    if folder is not None:
        with open_ledger(folder) as ledger:
            return _next_round(folder, ledger)
    parts = assemble(campaign)
    validate(parts)
    plans = plans_at_start(parts)
    quotes = priced(plans, nothing_is_known, label_seconds(parts))
    found = _quote(parts, 0, plans, quotes, "the first round", campaign.parent, None)
    return replace(found, times_estimated=True)


def _next_round(folder: Path, ledger: Ledger) -> Quote:
    """What waits for approval, or what the last decision asks for."""
    parts = campaign_folder.reopen(folder, ledger, None, half_done=False).parts
    validate(parts, given=False)
    past = load_past(folder, GenerationStore(folder, ledger), with_model=False)
    plans = past.plans if past.history else plans_at_start(parts)
    reason = "nothing: no decision yet" if past.decision is None else past.decision.reason
    if not past.history:
        reason = "the first round"
    waiting = waiting_for(ledger)
    if waiting is not None and waiting.quotes:
        told = f"waits for approval before {waiting.what}"
        return _quote(parts, waiting.generation, plans, waiting.quotes, told, folder, ledger)
    with campaign_folder.bank_of(folder, parts, ledger, read_only=True) as bank:
        known = BankedLabeler(parts.labeler, bank).is_known

        def is_known(system: str, frame: Frame) -> bool:
            return known(parts.system(system), frame, past.next_generation)

        timed = seconds_per_label(ledger)
        quotes = priced(plans, is_known, label_seconds(parts) if timed is None else timed)
    found = _quote(parts, past.next_generation, plans, quotes, reason, folder, ledger)
    return replace(_as_the_last(found, past), times_estimated=timed is None)


def _as_the_last(found: Quote, past: Past) -> Quote:
    """Times of the last generation's file where the ledger has none: a fork's is new."""
    took = past.history[-1].stage_seconds if past.history else ()
    train, explore = found.train_seconds, found.explore_seconds
    return replace(
        found,
        train_seconds=_last_of(took, "train") if train is None else train,
        explore_seconds=_last_of(took, "explore") if explore is None else explore,
        ended=isinstance(past.decision, Stable | Exhausted),
    )


def _quote(
    parts: Parts,
    generation: int,
    plans: Sequence[LabelPlan],
    quotes: tuple[PlanQuote, ...],
    reason: str,
    folder: Path,
    ledger: Ledger | None,
) -> Quote:
    spent = {} if ledger is None else spent_through(ledger, generation)
    atoms = {system.name: system.frame.n_atoms for system in parts.systems}
    frames = sum(evaluations_of(plan)[1] * atoms[plan.system] for plan in plans)
    place = folder if folder.is_dir() else Path.cwd()
    measured = None if ledger is None else _peak_memory_mib(ledger)
    return Quote(
        generation=generation,
        reason=reason,
        plans=quotes,
        cores=parts.cores,
        evaluations_left=budget_left(parts.config.budget, spent).total,
        train_seconds=_last_seconds(ledger, "train"),
        explore_seconds=_last_seconds(ledger, "explore"),
        memory_mib=peak_memory_mib() if measured is None else measured,
        disk_mib=frames * BYTES_PER_ATOM_AND_FRAME / 2**20 + md_mib(parts) + MODEL_MIB,
        free_disk_gib=shutil.disk_usage(place).free / 2**30,
        memory_measured=measured is not None,
    )


def _peak_memory_mib(ledger: Ledger) -> float | None:
    found = ledger.meta(PEAK_MEMORY_MIB)
    return None if found is None else float(found)


def _last_seconds(ledger: Ledger | None, stage: str) -> float | None:
    """Seconds of the last finished stage whose name begins so."""
    rows = () if ledger is None else ledger.stages()
    return _last_of([(r.stage, r.seconds) for r in rows if r.seconds is not None], stage)


def _last_of(took: Sequence[tuple[str, float]], stage: str) -> float | None:
    return next((seconds for name, seconds in reversed(took) if name.startswith(stage)), None)

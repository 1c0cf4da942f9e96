"""A campaign: generations until a stop rule, resumable at any instant."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.bookkeeping.budget import Limit, over_budget, spent_through
from sis_engine.bookkeeping.folder import Accepted
from sis_engine.bookkeeping.outlook import Outlook, look_ahead
from sis_engine.bookkeeping.past import Past, load_past, standing_still
from sis_engine.bookkeeping.states import State
from sis_engine.bookkeeping.wallclock import WallClock
from sis_engine.campaign.console import CampaignConsole
from sis_engine.campaign.generation import run_generation
from sis_engine.config.changes import When
from sis_engine.errors import ModelRefused, NothingKept
from sis_engine.execution.turns import turns_of
from sis_engine.labelling.side_by_side import SideBySide
from sis_engine.records import Exhausted, Stable
from sis_engine.setup.assembly import Parts
from sis_engine.stages.context import StageContext
from sis_engine.stages.label import plans_at_start
from sis_engine.storage.atomic import move_aside
from sis_engine.storage.generation import GenerationStore, commit_generation
from sis_engine.storage.ledger import Ledger

REFUSED = "refused_model_in"
"""Ledger key: the generation that has no admitted model."""


def is_half_done(ledger: Ledger) -> bool:
    """Is a generation half done that a changed configuration has to wait for?

    One whose labels or models were all refused does not count: an edit is what it waits for.
    """
    return bool(ledger.stages(len(ledger.generations()))) and not _is_refused(ledger)


def _is_refused(ledger: Ledger) -> bool:
    return ledger.meta(REFUSED) == str(len(ledger.generations()))


@dataclass(frozen=True)
class Outcome:
    """How a run of the loop ended. limit: the key of ``budget`` that ended it, if one did"""

    state: State
    reason: str
    limit: Limit | None = None


class Campaign:
    """The loop over one campaign folder, which the caller holds."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        labeler: SideBySide,
        console: CampaignConsole,
        stop: Callable[[], bool],
        clock: WallClock,
        in_pools: Callable[[Parts], Parts] = lambda parts: parts,
    ) -> None:
        self.folder = folder
        self.ledger = ledger
        self.labeler = labeler
        self.console = console
        self.stop = stop
        self.clock = clock
        self._in_pools = in_pools
        self._pooled_parts: tuple[Parts, Parts] | None = None
        self.accepted: Accepted | None = None
        """What holds now: a retry after a fault goes on with this."""
        self._store = GenerationStore(folder, ledger)
        self._turns = turns_of(os.environ, self.note)

    def note(self, kind: str, text: str, *, level: str = "info") -> None:
        """An event, in the ledger and for the person watching."""
        self.ledger.event(kind, text, level=level)
        self.console.event(text, kind, level)

    def run(self, accepted: Accepted) -> Outcome:
        """Generations until the campaign ends, pauses, or a stop is asked for."""
        self.accepted = accepted
        self._mend()
        changes = {change.when for change in accepted.changes}
        if When.NEXT_GENERATION in changes and _is_refused(self.ledger):
            self._train_again()
        past = load_past(self.folder, self._store)
        self._show(past)
        parts = accepted.parts
        if accepted.waits:
            changes = set()  # what may change a decision holds from the next generation on
        changes |= campaign_folder.fork_changes(self.ledger)
        while True:
            ended = self._end(past, parts, changes)
            if ended is not None:
                return ended
            self.ledger.set_meta("state", State.RUNNING.value)
            self.console.expect(self._outlook(past, parts))
            past = self._generation(past, parts)
            changes = set()
            if parts is not accepted.next_parts:
                parts = accepted.next_parts
                changes = {change.when for change in accepted.changes}
                campaign_folder.holds_now(self.ledger, parts)
                self.accepted = Accepted(parts, parts)

    def _train_again(self) -> None:
        """The edit may change data, training or admission: labels stay, the rest is done again."""
        generation = len(self.ledger.generations())
        self.ledger.forget_stages(generation, keep=("label", "test"))
        self.ledger.set_meta(REFUSED, "")
        self.note("retrain", f"generation {generation} is trained again: the configuration changed")

    def _show(self, past: Past) -> None:
        """What earlier runs saw, for the person watching this one."""
        lives = [life.time_ps for item in past.history for life in item.lives]
        if lives:
            self.console.lived(max(lives))

    def _outlook(self, past: Past, parts: Parts) -> Outlook:
        """Before a generation begins, or goes on."""
        return look_ahead(
            parts.config.budget,
            earlier=[item.stage_seconds for item in past.history],
            spent=spent_through(self.ledger, past.next_generation),
            wall_s=self.clock.total_s,
        )

    def _generation(self, past: Past, parts: Parts) -> Past:
        """Run and commit the next generation."""
        stage = StageContext(
            parts=self._pooled(parts),
            labeler=self.labeler,
            ledger=self.ledger,
            folder=self.folder,
            generation=past.next_generation,
            console=self.console,
            stop=self.stop,
            turns=self._turns,
        )
        try:
            record, committee = run_generation(stage, past)
        except (ModelRefused, NothingKept):
            self.ledger.set_meta(REFUSED, str(stage.generation))
            raise
        self.console.stage(record.number, "commit")
        row = commit_generation(record, self.ledger, exact=parts.config.exact)
        self.clock.save()
        self.note("committed", f"generation {record.number} committed: {row.file}")
        return past.after(record, committee, row.sha256)

    def _pooled(self, parts: Parts) -> Parts:
        """The same object for the same parts: programs that they keep alive are started once."""
        if self._pooled_parts is None or self._pooled_parts[0] is not parts:
            self._pooled_parts = parts, self._in_pools(parts)
        return self._pooled_parts[1]

    # ---------------------------------------------------------------- between generations

    def _end(self, past: Past, parts: Parts, changes: set[When]) -> Outcome | None:
        """The outcome if the last decision or the budget ends this run.

        changes: what an edit touched: a stable campaign is looked at again when its physics
            changed, an exhausted one also when its budget did
        """
        decision = past.decision
        # Begun again by an earlier edit: what is half done is finished before anything is said.
        begun = is_half_done(self.ledger)
        if isinstance(decision, Stable) and When.NEXT_GENERATION not in changes and not begun:
            return Outcome(State.STABLE, decision.reason)
        if isinstance(decision, Exhausted) and not changes and not begun:
            return Outcome(State.EXHAUSTED, decision.reason)
        stuck = standing_still(past.history)
        if stuck is not None and not changes and not begun:
            return Outcome(State.EXHAUSTED, stuck)
        over = over_budget(
            parts.config.budget,
            generation=past.next_generation,
            plans=past.plans if past.history else plans_at_start(parts),
            is_known=lambda system, frame: self.labeler.known(
                parts.system(system), frame, past.next_generation
            ),
            spent=spent_through(self.ledger, past.next_generation - 1),
            hours=self.clock.hours,
        )
        if over is not None:
            return Outcome(State.EXHAUSTED, over.reason, over.limit)
        return None

    def _mend(self) -> None:
        """Look at every generation file; from the first torn one on they are done again.

        Torn and unknown files are moved aside. All labels are in the bank, so doing a generation
        again costs training and MD but no evaluation.
        """
        check = self._store.check(thorough=True)
        if not check.torn and not check.unknown:
            return
        check = self._store.mend(check)
        for item in check.torn:
            self.console.event(f"generation {item.row.number}: {item.message}")
        if not check.torn:
            return
        first = min(item.row.number for item in check.torn)
        taken = self.ledger.abandon(first, "torn generation file")
        for row in taken:
            scratch = self.folder / "work" / f"{row.number:04d}"
            for path in (self.folder / row.file, scratch):
                if path.exists():
                    move_aside(path)
        last = f"generation {first - 1} is the last whole one" if first else "none before is whole"
        self.note(
            "rewind",
            f"{last}: {len(taken)} generation(s) are done again, labels from the bank",
            level="warning",
        )

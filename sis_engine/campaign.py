"""A campaign: generations until a stop rule, resumable at any instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sis_engine import campaign_folder
from sis_engine.assembly import Parts
from sis_engine.banked import BankedLabeler
from sis_engine.budget import over_budget
from sis_engine.campaign_folder import Accepted
from sis_engine.console import CampaignConsole
from sis_engine.generation import run_generation
from sis_engine.past import Past, load_past
from sis_engine.records import Exhausted, Stable
from sis_engine.stages.context import StageContext
from sis_engine.states import State
from sis_engine.storage.atomic import move_aside
from sis_engine.storage.generation import GenerationStore, commit_generation
from sis_engine.storage.ledger import Ledger


@dataclass(frozen=True)
class Outcome:
    """How a run of the loop ended, with lines for the person who started it."""

    state: State
    reason: str
    lines: tuple[str, ...] = ()


class Campaign:
    """The loop over one campaign folder, which the caller holds."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        labeler: BankedLabeler,
        console: CampaignConsole,
        stop: Callable[[], bool],
    ) -> None:
        self.folder = folder
        self.ledger = ledger
        self.labeler = labeler
        self.console = console
        self.stop = stop
        self._store = GenerationStore(folder, ledger)

    def note(self, kind: str, text: str, *, level: str = "info") -> None:
        """An event, in the ledger and for the person watching."""
        self.ledger.event(kind, text, level=level)
        self.console.event(text)

    def in_generation(self) -> bool:
        """Is a generation half done?"""
        return bool(self.ledger.stages(len(self.ledger.generations())))

    def run(self, accepted: Accepted) -> Outcome:
        """Generations until the campaign ends, pauses, or a stop is asked for."""
        self._mend()
        past = load_past(self.folder, self._store)
        parts, changed = accepted.parts, bool(accepted.changes)
        while True:
            ended = self._end(past, parts, changed=changed)
            if ended is not None:
                return ended
            self.ledger.set_meta("state", State.RUNNING.value)
            past = self._generation(past, parts)
            changed = False
            if parts is not accepted.next_parts:
                parts, changed = accepted.next_parts, True
                campaign_folder.accept(self.folder, self.ledger, parts)

    def _generation(self, past: Past, parts: Parts) -> Past:
        """Run and commit the next generation."""
        stage = StageContext(
            parts=parts,
            labeler=self.labeler,
            ledger=self.ledger,
            folder=self.folder,
            generation=past.next_generation,
            console=self.console,
            stop=self.stop,
        )
        record, model = run_generation(stage, past)
        self.console.stage(record.number, "commit")
        row = commit_generation(record, self.ledger, exact=parts.config.exact)
        self.note("committed", f"generation {record.number} committed: {row.file}")
        return past.after(record, model, row.sha256)

    # ---------------------------------------------------------------- between generations

    def _end(self, past: Past, parts: Parts, *, changed: bool) -> Outcome | None:
        """The outcome if the last decision, the budget, or a wait for approval ends this run.

        changed: the configuration was edited: what was stable or exhausted is looked at again
        """
        decision = past.decision
        if isinstance(decision, Stable) and not changed:
            return Outcome(State.STABLE, decision.reason)
        if isinstance(decision, Exhausted) and not changed:
            return Outcome(State.EXHAUSTED, decision.reason)
        over = over_budget(
            parts.config.budget,
            generation=past.next_generation,
            plans=past.plans,
            spent={item.purpose.value: item.paid for item in self.ledger.counts()},
            hours=float(self.ledger.meta("wall_s") or 0.0) / 3600.0,
        )
        if over is not None:
            return Outcome(State.EXHAUSTED, over)
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
            if (self.folder / row.file).exists():
                move_aside(self.folder / row.file)
        last = f"generation {first - 1} is the last whole one" if first else "none before is whole"
        self.note(
            "rewind",
            f"{last}: {len(taken)} generation(s) are done again, labels from the bank",
            level="warning",
        )

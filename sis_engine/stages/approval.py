"""``pause_before``: a stage that waits until a person has seen the quote and said yes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sis_engine.bookkeeping.price import PlanQuote, in_words, priced, seconds_per_label
from sis_engine.errors import StopRequested
from sis_engine.records import LabelPlan
from sis_engine.stages.context import StageContext
from sis_engine.storage.ledger import Ledger

WAITING, APPROVED = "waiting_for_approval", "approved"
WAITING_QUOTE = "waiting_quote"


@dataclass(frozen=True)
class Waiting:
    """What a campaign waits with: stage and generation, and what it would buy there."""

    generation: int
    what: str
    quotes: tuple[PlanQuote, ...]


def require_approval(
    stage: StageContext, name: str, *, what: str = "", quotes: Sequence[PlanQuote] = ()
) -> None:
    """Stop (resumable) before ``name`` if the campaign asks for approval and has none yet.

    what: tells purchases apart that one generation makes one after the other
    quotes: of the labels that would be bought
    """
    if name not in stage.parts.config.pause_before:
        return
    said = f"{name} ({what})" if what else name
    key = f"{stage.generation}/{said}"
    if stage.ledger.meta(f"{APPROVED}/{key}") is not None:
        return
    stage.ledger.set_meta(WAITING_QUOTE, json.dumps([asdict(item) for item in quotes]))
    stage.ledger.set_meta(WAITING, key)
    price = f": {in_words(quotes)}" if quotes else ""
    raise StopRequested(
        f"generation {stage.generation} waits for approval before {said}{price}",
        hint=f"the whole quote: sis plan {stage.folder}; approve: sis run {stage.folder} --approve",
    )


def approve_labels(stage: StageContext, plans: Sequence[LabelPlan], *, what: str = "") -> None:
    """The same for labels; those that are in the bank need no approval."""
    if "label" not in stage.parts.config.pause_before:
        return
    quotes = priced(plans, stage.is_known, seconds_per_label(stage.ledger))
    if any(item.most for item in quotes):
        require_approval(stage, "label", what=what, quotes=quotes)


def waiting_for(ledger: Ledger) -> Waiting | None:
    """What the campaign waits with, or ``None``."""
    key = ledger.meta(WAITING)
    if not key:
        return None
    generation, _, what = key.partition("/")
    quotes = json.loads(ledger.meta(WAITING_QUOTE) or "[]")
    return Waiting(int(generation), what, tuple(PlanQuote(**item) for item in quotes))


def approve_waiting(ledger: Ledger) -> None:
    """A person said yes to what the campaign waits for."""
    waiting = ledger.meta(WAITING)
    if not waiting:
        ledger.event("approved", "--approve was given, but nothing waits for approval")
        return
    ledger.set_meta(f"{APPROVED}/{waiting}", "yes")
    ledger.set_meta(WAITING, "")
    ledger.event("approved", f"approved: {waiting}")

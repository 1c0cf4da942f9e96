"""``pause_before``: a stage that waits until a person has seen the quote and said yes."""

from __future__ import annotations

from sis_engine.errors import StopRequested
from sis_engine.stages.context import StageContext
from sis_engine.storage.ledger import Ledger

WAITING, APPROVED = "waiting_for_approval", "approved"


def require_approval(stage: StageContext, name: str) -> None:
    """Stop (resumable) before ``name`` if the campaign asks for approval and has none yet."""
    if name not in stage.parts.config.pause_before:
        return
    key = f"{stage.generation}/{name}"
    if stage.ledger.meta(f"{APPROVED}/{key}") is not None:
        return
    stage.ledger.set_meta(WAITING, key)
    raise StopRequested(
        f"generation {stage.generation} waits for approval before {name}",
        hint=f"see the quote: sis plan {stage.folder}; approve: sis run {stage.folder} --approve",
    )


def approve_waiting(ledger: Ledger) -> None:
    """A person said yes to what the campaign waits for."""
    waiting = ledger.meta(WAITING)
    if not waiting:
        ledger.event("approved", "--approve was given, but nothing waits for approval")
        return
    ledger.set_meta(f"{APPROVED}/{waiting}", "yes")
    ledger.set_meta(WAITING, "")
    ledger.event("approved", f"approved: {waiting}")

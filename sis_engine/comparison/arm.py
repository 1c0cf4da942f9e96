"""One run: the campaign of one arm and seed, through all its phases, to its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.bookkeeping.budget import Limit
from sis_engine.bookkeeping.states import State
from sis_engine.campaign.loop import REFUSED
from sis_engine.campaign.runner import Ended, run_in_folder
from sis_engine.comparison.places import Places
from sis_engine.comparison.plan import Comparison, RunName
from sis_engine.comparison.results import End
from sis_engine.comparison.settings import Settings, differing, digest
from sis_engine.comparison.starts import SETTINGS_FILE, create_campaign, is_ready, start_digest
from sis_engine.errors import SisError, StopRequested
from sis_engine.storage.atomic import move_aside, write_text
from sis_engine.storage.ledger import Ledger


@dataclass(frozen=True)
class ArmEnd:
    """How the campaign of an arm ended. limit: the key of its budget that ended it, if one did"""

    end: End
    reason: str
    limit: Limit | None = None


def campaign_part(settings: Settings) -> Settings:
    """Those of a run's settings that its campaign depends on; the others are the examiner's."""
    return {k: v for k, v in settings.items() if not k.startswith(("examiner.", "examination."))}


def settle(places: Places, run: RunName, settings: Settings) -> str | None:
    """Move a campaign aside that was made with other settings; what is said of it, or ``None``."""
    folder = places.run(run)
    if not folder.exists():
        return None
    wanted = campaign_part(settings)
    path = folder / SETTINGS_FILE
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if digest(known) == digest(wanted):
        return None
    told = [f"{key}: {values}" for key, values in differing(known, wanted).items()]
    changed = "; ".join(told[:3]) if known else "they are not recorded"
    moved = move_aside(folder)
    return f"{run}: its campaign was made with other settings ({changed}); moved to {moved}"


def run_arm(
    comparison: Comparison,
    places: Places,
    run: RunName,
    settings: Settings,
    *,
    stop: Callable[[], bool],
) -> ArmEnd:
    """Start or continue the campaign of a run.

    Raises StopRequested when stopped (resumable), SisError when something lets it down.
    """
    phases = comparison.phases(run, places.known_labels)
    folder = places.run(run)
    if not folder.exists():
        parts = comparison.parts(run, phases[0])
        start = places.start(run.case, run.seed, start_digest(parts, run.seed))
        made = start if is_ready(start) else None
        create_campaign(folder, parts, made, campaign_part(settings))
    for number in range(_phase_in_force(folder, phases), len(phases)):
        write_text(folder / campaign_folder.CONFIG_FILE, phases[number])
        last = number == len(phases) - 1
        ended = run_in_folder(folder, None, stop=stop, quiet=True, report=last)
        if ended.state is not State.EXHAUSTED or last:
            return _end_of(folder, ended)
    raise AssertionError("unreachable")


def _phase_in_force(folder: Path, phases: tuple[str, ...]) -> int:
    """The phase whose settings were accepted last."""
    with Ledger(folder, read_only=True) as ledger:
        text = ledger.meta("config_text")
    return phases.index(text) if text in phases else 0


def _end_of(folder: Path, ended: Ended) -> ArmEnd:
    state, reason = ended.state, ended.reason
    if state is State.STABLE:
        return ArmEnd("stable", reason)
    if state is State.EXHAUSTED:
        return ArmEnd("exhausted" if ended.limit is None else "out_of_budget", reason, ended.limit)
    with Ledger(folder, read_only=True) as ledger:
        refused = ledger.meta(REFUSED) == str(len(ledger.generations()))
    if refused:
        return ArmEnd("refused", reason)
    if state is State.PAUSED:
        raise StopRequested(reason)
    raise SisError(f"{folder}: {reason}", hint=f"see `sis status {folder} --events`")

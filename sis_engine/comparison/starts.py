"""The same start for every arm: first labels and first model are made once and copied.

A start is a campaign that waits for approval before it explores. An arm's campaign begins with
copies of its finished stages, of its labels and of what they cost: it is charged for them in full,
and its first model is the same file as every other arm's.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.campaign.runner import Ended, run_in_folder
from sis_engine.comparison.settings import Settings, digest, start_settings
from sis_engine.setup.assembly import Parts
from sis_engine.stages.approval import waiting_for
from sis_engine.storage.atomic import sync_folder, write_text
from sis_engine.storage.bank import LabelBank
from sis_engine.storage.ledger import Ledger, StageState
from sis_engine.storage.ownership import LOCK_FILE, acquire

SETTINGS_FILE = "settings.json"


def start_digest(parts: Parts, seed: int) -> str:
    """Arms with the same one share their start."""
    return digest(start_settings(parts, seed))


def make_start(folder: Path, parts: Parts, *, stop: Callable[[], bool]) -> Ended:
    """Label, merge, train and admit generation 0 in ``folder``; found again where it is done.

    parts: of a campaign with ``pause_before: [explore]``
    """
    if not campaign_folder.exists(folder):
        create_campaign(folder, parts)
    return run_in_folder(folder, None, stop=stop, quiet=True, report=False)


def is_ready(folder: Path) -> bool:
    """Is the start finished, with a model that was admitted?"""
    if not campaign_folder.exists(folder):
        return False
    with Ledger(folder, read_only=True) as ledger:
        waiting = waiting_for(ledger)
    return waiting is not None and waiting.what == "explore"


def create_campaign(
    folder: Path, parts: Parts, start: Path | None = None, settings: Settings | None = None
) -> None:
    """A campaign folder that ``sis run`` would go on with; whole under its name, or not there.

    start: a finished start whose stages, labels and costs become this campaign's own
    settings: what its numbers depend on, kept beside it
    """
    making = folder.with_name(f".{folder.name}.making-{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    with acquire(making), Ledger(making) as ledger:
        campaign_folder.create(making, parts, ledger)
        if start is not None:
            _take_labels(start, making, ledger.meta("campaign_id") or "")
            _take_stages(start, making, ledger)
    if settings is not None:
        write_text(making / SETTINGS_FILE, json.dumps(settings, indent=1))
    (making / LOCK_FILE).unlink()
    making.rename(folder)
    sync_folder(folder.parent)


def _take_stages(start: Path, folder: Path, ledger: Ledger) -> None:
    with Ledger(start, read_only=True) as made:
        rows = [row for row in made.stages(0) if row.state is StageState.DONE]
        for row in rows:
            place = Path("work") / "0000" / row.stage
            if not (folder / place).exists():
                shutil.copytree(start / place, folder / place)
            while ledger.start_stage(0, row.stage) < row.attempt:
                pass  # the files are numbered by attempt: a killed one before it left a gap
            ledger.finish_stage(
                0,
                row.stage,
                row.attempt,
                result_path=None if row.result_path is None else folder / row.result_path,
                sha256=row.sha256,
                seconds=row.seconds or 0.0,
                message=row.message,
            )
        for paid in made.evaluations(0):
            ledger.count(paid)


def _take_labels(start: Path, folder: Path, campaign: str) -> None:
    """Into the campaign's own bank, as its own: it pays for them, once."""
    with (
        LabelBank(start / "labels") as made,
        LabelBank(folder / "labels", campaign=campaign) as own,
    ):
        for key in sorted(made.keys(good=None)):
            entry = made.lookup(key)
            if entry is not None:
                own.put(entry.item)

"""Puts a new campaign into the root folder, complete, before the daemon hears of it."""

from __future__ import annotations

from pathlib import Path

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.commands.validation import validate
from sis_engine.errors import ConfigurationError
from sis_engine.service.places import Places
from sis_engine.setup.assembly import assemble
from sis_engine.storage.ledger import Ledger
from sis_engine.storage.ownership import acquire


def set_up(places: Places, config: Path, name: str | None) -> tuple[str, int | None]:
    """Validate and create it; its name, and how many cores it says it uses (``None``: all).

    name: ``None``: the campaign's own
    """
    parts = assemble(config)
    chosen = name or parts.config.name
    folder = places.campaign(chosen)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(
            f"{folder} is there already",
            allowed="a name that is free",
            hint=f"--name another, or take that one up: sis submit {folder}",
        )
    validate(parts)
    places.make()
    folder.mkdir(exist_ok=True)
    with acquire(folder), Ledger(folder) as ledger:
        campaign_folder.create(folder, parts, ledger)
    return chosen, parts.config.execution.cores


def cores_of(places: Places, name: str) -> int | None:
    """How many cores a campaign that is there says it uses; ``None``: all."""
    folder = places.campaign(name)
    with Ledger(folder, read_only=True) as ledger:
        return campaign_folder.parts_of(folder, ledger).config.execution.cores

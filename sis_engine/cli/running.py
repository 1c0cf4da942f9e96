"""``sis run``: the console and the campaign loop; the exit code says how it ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import typer

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.campaign.runner import Ended, run_in_folder
from sis_engine.cli.output import print_json
from sis_engine.config.file import read_campaign
from sis_engine.errors import ConfigurationError


def run_campaign(
    campaign: Path,
    folder: Path | None,
    *,
    stop: Callable[[], bool],
    approve: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run until the campaign ends, pauses or is stopped; its exit code.

    as_json: what a person would watch is left out; the end is one JSON object
    """
    config, place = where(campaign, folder)
    ended = run_in_folder(place, config, stop=stop, approve=approve, quiet=quiet or as_json)
    if as_json:
        end = {"state": ended.state, "reason": ended.reason, "exit_code": ended.state.exit_code}
        print_json({**end, "folder": place, "report": ended.report, "lines": ended.lines})
    else:
        _say(ended, place)
    return ended.state.exit_code


def where(campaign: Path, folder: Path | None) -> tuple[Path | None, Path]:
    """The campaign file (``None``: the folder's own) and the folder.

    A ``campaign.yaml`` that lies in a campaign's folder is that campaign, whatever its name says.
    """
    begun = campaign_folder.folder_of(campaign)
    if begun is not None and folder is None:
        return None, begun
    if campaign.is_dir():
        raise ConfigurationError(
            f"{campaign} is a campaign folder already; a second folder is one too many"
        )
    if folder is None:
        folder = Path("runs") / read_campaign(campaign).name
    return campaign, folder


def _say(ended: Ended, folder: Path) -> None:
    typer.echo(f"{ended.state.value}: {ended.reason}")
    for line in ended.lines:
        typer.echo(f"  {line}")
    if ended.report is not None:
        typer.echo(f"  report: {ended.report}")
    if ended.state.exit_code == 3:
        typer.echo(f"  continue: sis run {folder}")

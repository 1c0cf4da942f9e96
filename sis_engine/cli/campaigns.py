"""Running campaigns: run, fork, gc."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sis_engine.cli.output import AsJson, print_json
from sis_engine.cli.signals import stop_on_signals


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(run)
    app.command()(fork)
    app.command()(gc)


def run(
    campaign: Annotated[
        Path, typer.Argument(help="A campaign file, or the folder of one that was begun.")
    ],
    folder: Annotated[
        Path | None, typer.Argument(help="Where it lives; default: runs/<name>.")
    ] = None,
    approve: Annotated[
        bool, typer.Option("--approve", help="Go on past the stage it waits for.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the end.")] = False,
    as_json: AsJson = False,
) -> int:
    """Start a campaign or continue it, whatever happened before."""
    with stop_on_signals() as stop:  # before what takes a second to load
        from sis_engine.cli.running import run_campaign

        return run_campaign(
            campaign, folder, stop=stop, approve=approve, quiet=quiet, as_json=as_json
        )


def fork(
    campaign: Annotated[Path, typer.Argument(help="The campaign folder to fork.")],
    folder: Annotated[Path, typer.Argument(help="The new campaign's folder.")],
    at: Annotated[
        int | None, typer.Option(help="Keep generations up to this one; default: all.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, e.g. audit.min_frames=60")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """A new campaign that shares the bank and everything up to a generation."""
    from dataclasses import asdict

    from sis_engine.commands.fork import fork_campaign

    made = fork_campaign(campaign, folder, at=at, changes=tuple(changes or ()))
    if as_json:
        print_json({"folder": folder, **asdict(made)})
        return 0
    typer.echo(f"{folder}: {_kept(made.last_generation)} of {campaign}, same label bank")
    for change in made.changes:
        typer.echo(f"  {change}")
    typer.echo(f"next: sis run {folder}")
    return 0


def _kept(last: int) -> str:
    if last < 1:
        return "no generation" if last < 0 else "generation 0"
    return f"generations 0 … {last}"


def gc(
    folder: Annotated[Path, typer.Argument(help="The campaign folder.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
) -> int:
    """Remove scratch of committed generations (all of it is in the generation files)."""
    from sis_engine.commands.garbage import collect

    found = collect(folder, dry_run=dry_run)
    if as_json:
        print_json({"removed": not dry_run, "bytes": found.bytes, "paths": found.folders})
        return 0
    verb = "would free" if dry_run else "freed"
    typer.echo(f"{verb} {found.bytes / 2**20:.1f} MiB in {len(found.folders)} folders")
    return 0

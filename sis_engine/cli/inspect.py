"""Looking at a campaign: status, report, why, digest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(help="The campaign folder.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(status)
    app.command()(report)
    app.command()(why)
    app.command()(digest)


def status(
    folder: Folder,
    as_json: AsJson = False,
    events: Annotated[bool, typer.Option("--events", help="The event log as well.")] = False,
) -> int:
    """What it does, what it cost, how long its replicas live."""
    from sis_engine.cli.status_view import show_status
    from sis_engine.report.summary import summary_json
    from sis_engine.status import event_log
    from sis_engine.status import status as look

    summary, now = look(folder)
    if as_json:
        typer.echo(json.dumps({**summary_json(summary), "now": now}, indent=2))
    else:
        show_status(summary, now)
    if events:
        for line in event_log(folder):
            typer.echo(line)
    return 0


def report(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; default: the campaign folder.")
    ] = None,
) -> int:
    """Write report.html (one file, offline) and report.json."""
    from sis_engine.reporting import write_report

    page, numbers = write_report(folder, out or folder)
    typer.echo(f"wrote {page} and {numbers}")
    return 0


def why(
    folder: Folder,
    what: Annotated[
        str,
        typer.Argument(help="A generation's number, or (the start of) a frame's or label's key."),
    ],
    as_json: AsJson = False,
) -> int:
    """Where a generation, its model, or a frame came from."""
    from dataclasses import asdict

    from sis_engine.lineage import lineage

    found = lineage(folder, what)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return 0
    typer.echo(found.title)
    for step in found.steps:
        typer.echo(f"  {step}")
    return 0


def digest(folder: Folder, as_json: AsJson = False) -> int:
    """One hash over all committed frames, labels, decisions (and, when exact, models)."""
    from sis_engine.status import open_ledger

    with open_ledger(folder) as ledger:
        rows = ledger.generations()
    if as_json:
        found = {"digest": rows[-1].digest if rows else None, "generations": len(rows)}
        typer.echo(json.dumps(found, indent=2))
    else:
        typer.echo(rows[-1].digest if rows else "no generation is committed yet")
    return 0 if rows else 1

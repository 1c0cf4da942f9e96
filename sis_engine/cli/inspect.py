"""Looking at a campaign: status, report, why, digest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sis_engine.cli.output import AsJson, print_json

Folder = Annotated[Path, typer.Argument(help="The campaign folder.", show_default=False)]


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
    from sis_engine.commands.status import event_log
    from sis_engine.commands.status import status as look
    from sis_engine.report.summary import summary_json

    found = look(folder)
    told = event_log(folder) if events else ()
    if as_json:
        log: dict[str, object] = {"events": told} if events else {}
        if found.pools:
            log["pools"] = found.pools
        outlook = None if found.outlook is None else found.outlook.as_json()
        print_json({**summary_json(found.summary), "now": found.now, "outlook": outlook, **log})
        return 0
    show_status(found)
    for event in told:
        typer.echo(f"{event.time}  {event.level}  {event.kind}: {event.text}")
    return 0


def report(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; default: the campaign folder.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Write report.html (one file, offline) and report.json."""
    from sis_engine.commands.reporting import write_report

    page, numbers = write_report(folder, out or folder)
    if as_json:
        print_json({"page": page, "numbers": numbers})
    else:
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

    from sis_engine.commands.lineage import lineage

    found = lineage(folder, what)
    if as_json:
        print_json(asdict(found))
        return 0
    typer.echo(found.title)
    for step in found.steps:
        typer.echo(f"  {step}")
    return 0


def digest(folder: Folder, as_json: AsJson = False) -> int:
    """One hash over all committed frames, labels, decisions (and, when exact, models).

    A generation file that is not as committed has none: the digest in the ledger is not of it.
    """
    from sis_engine.commands.digesting import rows_as_committed

    rows = rows_as_committed(folder)
    if as_json:
        print_json({"digest": rows[-1].digest if rows else None, "generations": len(rows)})
    else:
        typer.echo(rows[-1].digest if rows else "no generation is committed yet")
    return 0 if rows else 1

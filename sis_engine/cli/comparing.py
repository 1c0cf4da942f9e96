"""``sis compare``: several samplers, one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sis_engine.cli.output import AsJson
from sis_engine.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(compare)


def compare(
    comparison: Annotated[
        Path, typer.Argument(help="A comparison file, or the folder of one that was begun.")
    ],
    folder: Annotated[
        Path | None, typer.Argument(help="Where it lives; default: runs/<name>.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            help="Where finished runs and the report are kept; default: as the file says."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check it and say what is left; starts nothing.")
    ] = False,
    only_report: Annotated[
        bool,
        typer.Option("--report", help="Write the report of what is finished; computes nothing."),
    ] = False,
    replay: Annotated[
        Path | None,
        typer.Option(help="A campaign folder: what would each arm's sampler have asked of it?"),
    ] = None,
    case: Annotated[
        str | None,
        typer.Option(
            help="With --replay: the case whose samplers are asked; default: the one that has the "
            "campaign's systems."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the end.")] = False,
    as_json: AsJson = False,
) -> int:
    """Compare samplers: same start, same budget, several seeds, an examiner outside. Resumable."""
    from sis_engine.cli import comparison_runs

    if case is not None and replay is None:
        raise ConfigurationError("--case says whose samplers are asked by --replay", key="--case")
    given = comparison_runs.given(comparison, folder, results)
    if replay is not None:
        return comparison_runs.replay_samplers(given, replay, case, as_json=as_json)
    if dry_run:
        return comparison_runs.show_quote(given, as_json=as_json)
    if only_report:
        return comparison_runs.write_report(given, as_json=as_json)
    return comparison_runs.run(given, quiet=quiet, as_json=as_json)

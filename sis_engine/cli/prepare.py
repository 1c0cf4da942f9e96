"""Before a campaign runs: doctor, init, validate, plan, schema."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sis_engine.cli.output import AsJson, print_json

Campaign = Annotated[
    Path, typer.Argument(help="A campaign file or a campaign folder.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(doctor)
    app.command()(init)
    app.command()(validate)
    app.command()(plan)
    app.command()(schema)


def doctor(
    config: Annotated[
        Path | None,
        typer.Argument(help="Ask about the parts of this campaign (its file or folder) only."),
    ] = None,
    bench: Annotated[
        bool,
        typer.Option(
            "--bench", help="Time replicas of this campaign folder's newest model side by side."
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Programs, versions, GPU, threads, MPI mix-ups and disk, each with its mend."""
    if bench:
        return _bench(config or Path(), as_json=as_json)
    from sis_engine.bookkeeping.folder import accepted_of
    from sis_engine.cli.tables import show_reports
    from sis_engine.commands.doctor import examine, problems

    parts = None if config is None else accepted_of(config).parts
    reports = examine(Path.cwd(), parts)
    if as_json:
        print_json({"ok": not problems(reports), "reports": reports})
    else:
        show_reports(reports)
    return 1 if problems(reports) else 0


def _bench(folder: Path, *, as_json: bool) -> int:
    from sis_engine.cli.tables import show_bench
    from sis_engine.commands.bench import measure

    found = measure(folder, tell=lambda item: None if as_json else typer.echo(item.told()))
    if as_json:
        print_json({**asdict(found), "settings": found.settings})
    else:
        show_bench(found)
    return 0


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write campaign.yaml.")] = Path(),
    structure: Annotated[
        Path | None, typer.Option(help="Your structure; default: the quickstart's cluster.")
    ] = None,
    labeler: Annotated[str, typer.Option(help="Labeler: xtb, teacher, …")] = "xtb",
    trainer: Annotated[str, typer.Option(help="Trainer: deepmd, …")] = "deepmd",
    explorer: Annotated[
        str | None,
        typer.Option(help="Explorer: lammps, ase; default: lammps where the models run in it."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Write a commented campaign.yaml for a chosen system, labeler, trainer and explorer."""
    from sis_engine.templates import write_template

    written = write_template(
        folder, structure=structure, labeler=labeler, trainer=trainer, explorer=explorer
    )
    if as_json:
        print_json({"campaign": written})
    else:
        typer.echo(f"wrote {written}\nnext: sis validate {written} && sis plan {written}")
    return 0


def validate(config: Campaign, as_json: AsJson = False) -> int:
    """Check a campaign file and everything it names, or an edit in a campaign's folder."""
    from sis_engine.bookkeeping.folder import accepted_of
    from sis_engine.commands.validation import validate as check

    accepted = accepted_of(config)
    notes = (*map(str, accepted.changes), *check(accepted.parts, given=not accepted.begun))
    if as_json:
        print_json({"valid": True, "notes": notes})
        return 0
    for note in notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{config}: valid")
    return 0


def plan(campaign: Campaign, as_json: AsJson = False) -> int:
    """The next round's evaluations, cores, memory, disk and time, before anything starts."""
    from sis_engine.cli.tables import show_quote
    from sis_engine.commands.quote import quote

    found = quote(campaign)
    if as_json:
        print_json(asdict(found))
    else:
        show_quote(found)
    return 0


def schema(
    comparison: Annotated[
        bool, typer.Option("--comparison", help="Of a file for `sis compare` instead.")
    ] = False,
) -> int:
    """JSON Schema of campaign.yaml, for editors: parts that plug in are included."""
    from sis_engine.cli import json_schema as schemas

    made = schemas.comparison_schema() if comparison else schemas.campaign_schema()
    typer.echo(json.dumps(made, indent=2))
    return 0

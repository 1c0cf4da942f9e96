"""Data in and out: export, import."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from sis_engine.cli.output import AsJson, print_json


class Format(enum.StrEnum):
    """What ``sis export`` writes."""

    DEEPMD = "deepmd"
    EXTXYZ = "extxyz"
    H5MD = "h5md"
    KIT = "kit"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(export)
    app.command(name="import")(import_)


def export(
    folder: Annotated[Path, typer.Argument(help="The campaign folder.")],
    out: Annotated[Path, typer.Argument(help="File or folder to write.")],
    form: Annotated[
        Format, typer.Option("--format", help="Data, or the kit: model, LAMMPS input, validity.")
    ] = Format.KIT,
    as_json: AsJson = False,
) -> int:
    """The data set, or the kit that a user of the potential needs."""
    from dataclasses import asdict

    from sis_engine.commands.exporting import export_campaign

    found = export_campaign(folder, out, form.value)
    if as_json:
        print_json(asdict(found))
    elif form is Format.KIT:
        others = ", ".join(name for name in found.files if name != found.model)
        typer.echo(f"{found.model} ({', '.join(found.elements)}), {others} → {out}")
        passed = "passed its audit" if found.audited else "has NOT passed an audit of a stable end"
        typer.echo(f"the model of generation {found.generation} {passed}")
    else:
        typer.echo(f"{found.frames} frames in {found.parts} parts → {found.path} ({form.value})")
    return 0


def import_(
    source: Annotated[
        Path, typer.Argument(help="deepmd/npy, extxyz, H5MD, a campaign, or a DP model.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder for the campaign that starts from it.")],
    template: Annotated[
        Path | None, typer.Option(help="Campaign file to start from; default: `sis init`'s.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """A campaign file whose generation 0 starts from existing data or an existing model."""
    from dataclasses import asdict

    from sis_engine.templates import write_import

    made = write_import(source, out, template)
    if as_json:
        print_json(asdict(made))
        return 0
    if made.model is not None:
        typer.echo(f"generation 0 fine-tunes the model {made.model}")
    else:
        typer.echo(f"generation 0 trains on the data in {made.data}")
    typer.echo(f"wrote {made.campaign}")
    typer.echo(f"next: look at its systems, then sis validate {made.campaign}")
    return 0

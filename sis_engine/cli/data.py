"""Data in and out: export, import."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer


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
) -> int:
    """The data set, or the kit that a user of the potential needs."""
    from sis_engine.exporting import export_campaign

    for line in export_campaign(folder, out, form.value):
        typer.echo(line)
    return 0


def import_(
    source: Annotated[
        Path, typer.Argument(help="deepmd/npy, extxyz, H5MD, a campaign, or a DP model.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder for the campaign that starts from it.")],
    template: Annotated[
        Path | None, typer.Option(help="Campaign file to start from; default: `sis init`'s.")
    ] = None,
) -> int:
    """A campaign file whose generation 0 starts from existing data or an existing model."""
    from sis_engine.templates import write_import

    for line in write_import(source, out, template):
        typer.echo(line)
    return 0

"""Labels outside a campaign: label, relabel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sis_engine.cli.output import AsJson

With = Annotated[
    str | None, typer.Option("--with", help="Labeler: xtb, cp2k, espresso, teacher, …")
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A setting of the labeler, key=value.")
]
Config = Annotated[
    Path | None,
    typer.Option("--config", help="YAML with the labeler's settings, or a campaign file."),
]
Gate = Annotated[
    list[str] | None,
    typer.Option("--gate", help="A setting of the quality gate, e.g. max_force=100."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Result: .extxyz, .h5 or a deepmd/npy folder; default: SOURCE.LABELER.extxyz in this "
        "folder."
    ),
]
OutAgain = Annotated[
    Path | None,
    typer.Option(
        help="Result: .extxyz, .h5 or a deepmd/npy folder; default: SOURCE.to-LABELER.extxyz in "
        "this folder."
    ),
]
Form = Annotated[
    str | None, typer.Option("--format", help="extxyz, deepmd or h5md; default: by the name.")
]
Bank = Annotated[
    Path | None, typer.Option(help="A label bank to share; default: the work folder's own.")
]
Cores = Annotated[int | None, typer.Option(min=1, help="Most cores to use; default: all.")]
Charge = Annotated[int | None, typer.Option(help="Of every structure; default: the file's, or 0.")]
Multiplicity = Annotated[
    int | None, typer.Option(min=1, help="Of every structure; default: the file's, or 1.")
]
InputFormat = Annotated[
    str | None, typer.Option(help="A format of ASE or dpdata; default: by name and content.")
]
Every = Annotated[int, typer.Option(min=1, help="Only every n-th structure.")]
Most = Annotated[int | None, typer.Option("--max", min=1, help="At most so many, spread evenly.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would cost.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print only the end.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(label)
    app.command()(relabel)


def label(
    file: Annotated[
        Path, typer.Argument(help="Structures: extxyz, CIF, deepmd/npy, H5MD, what ASE reads.")
    ],
    labeler: With = None,
    settings: Settings = None,
    config: Config = None,
    out: Out = None,
    form: Form = None,
    bank: Bank = None,
    charge: Charge = None,
    multiplicity: Multiplicity = None,
    cores: Cores = None,
    gate: Gate = None,
    every: Every = 1,
    most: Most = None,
    input_format: InputFormat = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Label the structures of a file; run it again after any interruption."""
    from sis_engine.cli.running_labels import Asked, run_label

    asked = Asked(
        labeler, settings or (), config, out, form, bank, charge, multiplicity, cores, gate or (),
        every, most, dry_run, quiet, as_json,
    )  # fmt: skip
    return run_label(file, input_format, asked)


def relabel(
    source: Annotated[
        Path, typer.Argument(help="A campaign folder, or labelled data in any of the formats.")
    ],
    labeler: With = None,
    settings: Settings = None,
    config: Config = None,
    out: OutAgain = None,
    form: Form = None,
    bank: Bank = None,
    charge: Charge = None,
    multiplicity: Multiplicity = None,
    cores: Cores = None,
    gate: Gate = None,
    every: Every = 1,
    most: Most = None,
    purpose: Annotated[
        list[str] | None,
        typer.Option(help="Of a campaign: only frames labelled for this, e.g. segment, audit."),
    ] = None,
    input_format: InputFormat = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> int:
    """Move a data set to another level of theory, and show by how much the two differ."""
    from sis_engine.cli.running_labels import Asked, run_relabel

    asked = Asked(
        labeler, settings or (), config, out, form, bank, charge, multiplicity, cores, gate or (),
        every, most, dry_run, quiet, as_json,
    )  # fmt: skip
    return run_relabel(source, input_format, tuple(purpose or ()), asked)

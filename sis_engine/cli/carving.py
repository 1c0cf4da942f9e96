"""Clusters out of periodic frames: carve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sis_engine.cli.labelling import Every, InputFormat, Most
from sis_engine.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from sis_engine.commands.carve_job import Carved


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(carve)


def carve(
    source: Annotated[
        Path, typer.Argument(help="MD frames in any format, or a campaign folder: its data set.")
    ],
    out: Annotated[Path, typer.Argument(help="The clusters: an .extxyz file for `sis label`.")],
    around: Annotated[
        list[str] | None, typer.Option(help="Centres: every atom of this element.")
    ] = None,
    atom: Annotated[list[int] | None, typer.Option(help="Centres: the atom of this index.")] = None,
    radius: Annotated[
        float, typer.Option(min=0.5, help="Molecules with an atom so near, Å, are in.")
    ] = 3.0,
    charge: Annotated[
        list[str] | None,
        typer.Option(help="Of a molecule by formula, e.g. Li=1, F2NO4S2=-1; others: 0."),
    ] = None,
    ions: Annotated[
        str, typer.Option(help="Elements that coordinate, not bond.")
    ] = "Li,Na,K,Mg,Ca,Zn",
    max_atoms: Annotated[int, typer.Option(min=1, help="Larger clusters are refused.")] = 200,
    per_frame: Annotated[
        int | None, typer.Option(min=1, help="At most so many centres of a frame.")
    ] = None,
    every: Every = 1,
    most: Most = None,
    input_format: InputFormat = None,
    as_json: AsJson = False,
) -> int:
    """Cut clusters of whole molecules out of periodic frames, for codes without periodicity."""
    from sis_engine.analysis.carving import Chemistry
    from sis_engine.commands.carve_job import Around, carve_all, read_source, write_carved
    from sis_engine.commands.label_jobs import selected
    from sis_engine.errors import ConfigurationError

    if not around and not atom:
        raise ConfigurationError("around which atoms?", key="--around", allowed="--around, --atom")
    chemistry = Chemistry(
        tuple(symbol.strip() for symbol in ions.split(",") if symbol.strip()),
        _charges(charge or ()),
    )
    given = selected(read_source(source, input_format), every=every, most=most)
    found = carve_all(
        given,
        Around(tuple(around or ()), tuple(atom or ())),
        radius,
        chemistry,
        max_atoms,
        per_frame,
    )
    place = write_carved(found, out, radius, chemistry)
    if as_json:
        print_json(
            {
                "out": str(out),
                "provenance": str(place),
                "frames": len(given),
                "clusters": len(found.clusters),
                "refused": dict(found.refused),
            }
        )
        return 0
    _tell(found, len(given), out)
    return 0


def _tell(found: Carved, n_frames: int, out: Path) -> None:
    sizes = sorted(one.frame.n_atoms for _, one in found.clusters)
    typer.echo(
        f"{len(sizes)} clusters of {sizes[0]} to {sizes[-1]} atoms from {n_frames} frames → {out}"
    )
    for reason, n in found.refused.most_common():
        typer.echo(f"  {n} refused: {reason}")
    typer.echo(f"next: sis label {out} --with pyscf")


def _charges(given: Sequence[str]) -> dict[str, int]:
    """``formula=charge`` pairs; formulas in Hill order."""
    from ase.formula import Formula

    from sis_engine.errors import ConfigurationError

    found = {}
    for pair in given:
        formula, _, number = pair.partition("=")
        try:
            found[f"{Formula(formula):hill}"] = int(number)
        except ValueError as error:
            raise ConfigurationError(
                f"not a formula and its charge: {pair!r}", key="--charge", allowed="F2NO4S2=-1"
            ) from error
    return found

"""``sis rehearse``: is a campaign on this machine the one that can be killed, starved, damaged?"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from sis_engine.cli.output import AsJson

DEFAULT = Path("runs/rehearsal")


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(rehearse)


def rehearse(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Where trials are noted and the table is written; the same folder goes on where "
            "it was. Default: runs/rehearsal, with --quick a temporary one."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="20 kills and a sample of the faults, in a minute.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="operations, damage, surroundings, programs, models or kills; may be given again."
        ),
    ] = None,
    kills: Annotated[
        int | None, typer.Option(min=0, help="SIGKILLs at random times; default: 300, quick 20.")
    ] = None,
    stride: Annotated[int, typer.Option(min=1, help="Every how manieth operation fails.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the times of kills and of samples.")] = 1,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Campaigns at a time; default: one a core.")
    ] = None,
    real: Annotated[
        Path | None,
        typer.Option(
            help="Kill this campaign file's own run 20 times and stop it in every stage instead."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only the end.")] = False,
    as_json: AsJson = False,
) -> int:
    """Kill, starve and damage a small campaign, and see whether it comes to the same end."""
    from sis_engine.rehearsal import order

    if real is not None:
        return _real(real, folder or DEFAULT, kills or order.QUICK_KILLS, seed, quiet, as_json)
    with tempfile.TemporaryDirectory(prefix="sis-rehearse-") as passing:
        place = folder or (Path(passing) if quick else DEFAULT)
        done = order.carry_out(
            order.Order(
                folder=str(place.absolute()),
                parts=order.parts_of(only),
                seed=seed,
                kills=(order.QUICK_KILLS if quick else order.LONG_KILLS)
                if kills is None
                else kills,
                jobs=jobs or len(os.sched_getaffinity(0)),
                stride=stride,
                sample=order.QUICK_SAMPLE if quick else None,
                quiet=quiet or as_json,
            )
        )
        return _tell(place, quick=quick, with_library=done, as_json=as_json)


def _real(config: Path, folder: Path, kills: int, seed: int, quiet: bool, as_json: bool) -> int:  # noqa: FBT001 - as given
    from sis_engine.rehearsal.real import Real
    from sis_engine.rehearsal.rehearse import Journal

    def tell(line: str) -> None:
        if not (quiet or as_json):
            typer.echo(line, err=True)

    place = folder.absolute()
    journal = Journal.of(place)
    for trial in Real(config.absolute(), place, kills, seed, tell).rehearse():
        journal.add(trial)
    return _tell(place, quick=False, with_library=True, as_json=as_json)


def _tell(folder: Path, *, quick: bool, with_library: bool, as_json: bool) -> int:
    """The table and the tally; exit code 1 where one thing was not as it should be."""
    from sis_engine.rehearsal.rehearse import Journal, write_table
    from sis_engine.rehearsal.trial import table, tally

    trials = Journal.of(folder).trials
    write_table(folder, trials)
    found = tally(trials)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found)))
        return 0 if found.is_clean else 1
    typer.echo(table(trials))
    if quick:
        typer.echo("a sample of the faults; without --quick every operation fails in turn")
    if not with_library:
        typer.echo("no C compiler: no operation was made to fail")
    for trial in trials:
        for what in (*trial.differences, *trial.orphans):
            typer.echo(f"{trial.name}: {what}")
    typer.echo(", ".join(f"{name.replace('_', ' ')}: {n}" for name, n in vars(found).items()))
    return 0 if found.is_clean else 1

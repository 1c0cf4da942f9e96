"""Tables on what went wrong in MD: verdicts, triage, suspects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sis_engine.numerals import NOTHING, beside, figure
from sis_engine.records import LabelFailure, Verdict
from sis_engine.report.blocks import Table, columns
from sis_engine.report.traces import next_starts
from sis_engine.report.wording import percent, picoseconds, plural, yes_no

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord

MOST_ATOMS = 8


def verdict_table(records: Sequence[GenerationRecord]) -> Table:
    """One row for each replica: how it ended, and where labels start next."""
    starts = {(item.generation, item.replica): item for item in next_starts(records)}
    rows = []
    for record in reversed(records):
        species = {run.replica.id: run.replica.system.frame.species for run in record.explorations}
        for life in record.lives:
            start = starts.get((record.generation, life.replica))
            rows.append(
                (
                    str(record.generation),
                    life.replica,
                    picoseconds(life.time_ps),
                    "lived to the end" if life.verdict is None else life.verdict.monitor,
                    NOTHING if life.verdict is None else life.verdict.criterion,
                    *_value_and_limit(life.verdict),
                    _atoms(life.verdict, species.get(life.replica, ())),
                    NOTHING if start is None else picoseconds(start.time_fs / 1000.0),
                    NOTHING
                    if start is None or start.rung is None
                    else start.rung.replace("_", " "),
                )
            )
    return Table(
        "verdict-table",
        "How every replica ended",
        "t_cp is the life of a replica that died. t_next is the frame from which the next labels "
        "start; the rung says which step of the request held.",
        columns(
            "generation",
            "replica",
            "#life",
            "ended by",
            "criterion",
            "#value",
            "#limit",
            "atoms",
            "#t_next",
            "rung",
        ),
        tuple(rows),
        note="No MD has been judged yet.",
        newest_first=True,
    )


def _value_and_limit(verdict: Verdict | None) -> tuple[str, str]:
    return (NOTHING, NOTHING) if verdict is None else beside(verdict.value, verdict.limit)


def _atoms(verdict: Verdict | None, species: Sequence[str]) -> str:
    if verdict is None or not verdict.atoms:
        return NOTHING
    named = [
        f"{species[index]}{index}" if index < len(species) else str(index)
        for index in verdict.atoms[:MOST_ATOMS]
    ]
    more = len(verdict.atoms) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def triage_table(records: Sequence[GenerationRecord]) -> Table:
    """Where each examined catastrophe came from."""
    rows = [
        (
            str(record.generation),
            item.replica,
            item.cause.value,
            "; ".join(item.evidence) or NOTHING,
            item.mend or NOTHING,
        )
        for record in reversed(records)
        for item in record.triages
    ]
    return Table(
        "triage-table",
        "Triage",
        "Before labels are bought: did the catastrophe come from the data, the settings, the "
        "numerics or the start? Only “data” buys labels.",
        columns("generation", "replica", "cause", "evidence", "mend"),
        tuple(rows),
        note="No catastrophe has been triaged.",
        newest_first=True,
    )


def suspect_table(records: Sequence[GenerationRecord]) -> Table:
    """Energies outside the labelled range that one evaluation decided about."""
    rows = []
    for record in reversed(records):
        for item in record.suspects:
            failed = isinstance(item.outcome, LabelFailure)
            rows.append(
                (
                    str(record.generation),
                    item.verdict.replica,
                    item.verdict.criterion,
                    picoseconds(item.verdict.time_fs / 1000.0),
                    *beside(item.verdict.value, item.verdict.limit),
                    percent(item.relative_error),
                    figure(item.energy_error_per_atom),
                    "evaluation failed" if failed else yes_no(item.agreed),
                )
            )
    return Table(
        "suspect-table",
        "Suspects",
        f"{plural(len(rows), 'suspect')}: MD outside what the labels cover, decided by one "
        "reference calculation each. Where the reference agrees, the range is extended and MD goes "
        "on; where it does not, this is the verdict.",
        columns(
            "generation",
            "replica",
            "criterion",
            "#time",
            "#value",
            "#limit",
            "#force error",
            "#energy error / eV/atom",
            "reference agrees",
        ),
        tuple(rows),
        note="There were no suspects.",
        newest_first=True,
    )

"""Write what a comparison came to: the page, figures, tables, raw numbers, methods."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sis_engine.comparison.outcomes import CaseOutcome, case_outcome
from sis_engine.comparison.places import Places
from sis_engine.comparison.plan import Comparison
from sis_engine.comparison.report.figures import plates
from sis_engine.comparison.report.methods import citations, methods_text, settings_tables
from sis_engine.comparison.report.numbers import numbers
from sis_engine.comparison.report.page import render
from sis_engine.comparison.report.paper_figures import write_figures
from sis_engine.comparison.report.tables import as_csv, as_latex, tables
from sis_engine.comparison.results import RunResult
from sis_engine.report.jsonable import json_text
from sis_engine.storage.atomic import write_text


@dataclass(frozen=True)
class Written:
    """page: the report;  numbers: the JSON;  figures, tables: their files"""

    page: Path
    numbers: Path
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]


def outcomes(comparison: Comparison, results: Sequence[RunResult]) -> tuple[CaseOutcome, ...]:
    """Of every case that has a finished run."""
    config = comparison.config
    found = [
        case_outcome(case, results, tuple(config.arms), config.baseline_arm, config.costs)
        for case in config.case_names
    ]
    return tuple(case for case in found if case is not None)


def write_comparison(
    comparison: Comparison, results: Sequence[RunResult], places: Places
) -> Written:
    """``<results>/<name>.json``, and below ``<results>/<name>/`` everything else."""
    cases = outcomes(comparison, results)
    folder = places.results / comparison.config.name
    command = command_of(comparison)
    raw = places.results / f"{comparison.config.name}.json"
    write_text(raw, json_text(numbers(comparison, results, cases)))
    write_text(folder / "report.html", render(comparison, results, cases, command))
    write_text(folder / "comparison.yaml", comparison.text)
    cited = "\n\n".join(item.bibtex for item in citations(comparison, results))
    write_text(folder / "citations.bib", cited + "\n")
    told = f"{methods_text(comparison, results, cases)}\n\nTo do it again: {command}\n"
    write_text(folder / "methods.txt", told)
    drawings = [item for case in cases for plate in plates(case) for item in plate.drawings]
    return Written(
        folder / "report.html",
        raw,
        write_figures(drawings, folder / "figures"),
        _write_tables(results, cases, folder / "tables"),
    )


def command_of(comparison: Comparison) -> str:
    """The one command that does all of it again."""
    here = Path.cwd()
    file = comparison.file
    shown = file.relative_to(here) if file.is_relative_to(here) else Path(file.name)
    return f"sis compare {shlex.quote(str(shown))}"


def _write_tables(
    results: Sequence[RunResult], cases: Sequence[CaseOutcome], folder: Path
) -> tuple[Path, ...]:
    written = []
    every = [table for case in cases for table in tables(case)]
    for table in (*every, *settings_tables(results)):
        for form, text in (("csv", as_csv(table)), ("tex", as_latex(table))):
            path = folder / f"{table.id}.{form}"
            write_text(path, text)
            written.append(path)
    return tuple(written)

"""The page of a comparison: one HTML file that needs nothing else, in the report's own form."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from sis_engine.comparison.outcomes import CaseOutcome
from sis_engine.comparison.plan import Comparison
from sis_engine.comparison.report.drawing import Plate, on_screen
from sis_engine.comparison.report.figures import plates
from sis_engine.comparison.report.lead import lead
from sis_engine.comparison.report.methods import (
    citations,
    methods_text,
    settings_tables,
    versions_of,
    warnings,
)
from sis_engine.comparison.report.tables import tables
from sis_engine.comparison.results import RunResult
from sis_engine.numerals import NOTHING
from sis_engine.report.blocks import Figure
from sis_engine.report.page import Section, asset, content_policy, environment


def render(
    comparison: Comparison,
    results: Sequence[RunResult],
    cases: Sequence[CaseOutcome],
    command: str,
) -> str:
    """The page; ``results`` may be of a comparison that is not complete yet."""
    script, style = asset("report.js"), asset("report.css")
    total = len(list(comparison.runs()))
    return (
        environment("sis_engine.comparison.report", "sis_engine.report")
        .get_template("comparison.html.j2")
        .render(
            name=comparison.config.name,
            complete=len(results) == total,
            n_finished=len(results),
            n_runs=total,
            lead=tuple(
                sentence for case in cases for sentence in lead(case, len(comparison.config.arms))
            ),
            warnings=warnings(comparison, results),
            sections=tuple(section for case in cases for section in _sections(case)),
            settings=settings_tables(results),
            text=comparison.text,
            methods=methods_text(comparison, results, cases),
            citations=citations(comparison, results),
            versions=versions_of(results),
            command=command,
            script=Markup(script),  # noqa: S704 - our own file
            style=Markup(style),  # noqa: S704 - our own file
            policy=content_policy(script),
        )
    )


def _sections(case: CaseOutcome) -> tuple[Section, ...]:
    """Of one case: the answer, then what it rests on."""
    prefix = f"{case.case}: " if case.case else ""
    stem = f"{case.case}-" if case.case else ""
    reach, by_cost, lives, pairs, seconds, own_lives = map(figure_of, plates(case))
    arms, versus, final, pair_errors, costs, runs, models = tables(case)
    return (
        Section(
            f"{stem}answer",
            f"{prefix}What does it cost to be stable and right?",
            "Cost is evaluations: every reference calculation that an arm asked for.",
            figures=(reach,),
            tables=(arms, versus),
        ),
        Section(
            f"{stem}curves",
            f"{prefix}How good is the model for so many evaluations?",
            "",
            figures=(by_cost,),
            tables=(costs,),
        ),
        Section(
            f"{stem}ends",
            f"{prefix}The last models",
            "",
            figures=(lives, pairs),
            tables=(final, pair_errors),
        ),
        Section(f"{stem}all", f"{prefix}Every run", "", figures=(seconds,), tables=(runs,)),
        Section(
            f"{stem}models",
            f"{prefix}Every model: when its MD fails, and how",
            "Seeds apart: two runs that differ in nothing but their seed may fail at other times "
            "and in other ways.",
            figures=(own_lives,),
            tables=(models,),
        ),
    )


def figure_of(plate: Plate) -> Figure:
    """A plate as the page shows it."""
    return Figure(
        f"fig-{plate.id}",
        plate.title,
        plate.caption,
        tuple(on_screen(drawing) for drawing in plate.drawings),
        note=plate.note or NOTHING,
        layout="grid",
    )

"""The whole page: sections of figures, tables and words, through one template."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from sis_engine.report.accuracy import accuracy_figure, element_figure, error_table
from sis_engine.report.blocks import Figure, Table
from sis_engine.report.catastrophes import suspect_table, triage_table, verdict_table
from sis_engine.report.contents import ReportNumbers
from sis_engine.report.cost import cost_figure, evaluation_table, pool_table, time_table
from sis_engine.report.details import collect
from sis_engine.report.facts import CampaignFacts
from sis_engine.report.headline import STATE_WORDS, tiles, validity
from sis_engine.report.jsonable import json_text, jsonable
from sis_engine.report.labels import failure_table, plan_table, rejected_table
from sis_engine.report.learning import learning_figure
from sis_engine.report.lives import lives_figure, survival_figure, survival_table
from sis_engine.report.methods import methods_text
from sis_engine.report.models import challenger_table, comparison_table, forgetting_table
from sis_engine.report.paper import Records, paper_table
from sis_engine.report.scenes import scenes
from sis_engine.report.structure import structure_figure
from sis_engine.report.summary import CampaignSummary
from sis_engine.report.traces import trace_figures
from sis_engine.report.wording import duration, minute


@dataclass(frozen=True)
class Section:
    """A heading with a sentence on what it answers, and what stands below it.

    special: a part of the template of its own ("viewer", "why", "methods", "settings", "events")
    """

    id: str
    title: str
    intro: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    special: str = ""


def render_report(records: Records, facts: CampaignFacts) -> str:
    """The report as one HTML page that needs nothing else.

    records: committed generations, oldest first; may be empty
    """
    return render(records, facts, collect(records, facts))


def report_json(records: Records, facts: CampaignFacts) -> str:
    """The numbers of the report as JSON text."""
    return json_text(collect(records, facts))


def render_both(records: Records, facts: CampaignFacts) -> tuple[str, str]:
    """(HTML, JSON) with the numbers worked out once."""
    numbers = collect(records, facts)
    return render(records, facts, numbers), json_text(numbers)


def render(records: Records, facts: CampaignFacts, numbers: ReportNumbers) -> str:
    """The page from numbers already collected."""
    summary = numbers.summary
    script, style = f"{asset('viewer.js')}\n{asset('report.js')}", asset("report.css")
    shown = scenes(records)
    return (
        environment("sis_engine.report")
        .get_template("report.html.j2")
        .render(
            facts=facts,
            summary=summary,
            state_words=STATE_WORDS[summary.state],
            validity=validity(records, summary),
            tiles=tiles(summary),
            sections=sections(records, facts, numbers),
            chapters=numbers.log,
            scenes=shown,
            scene_json=embedded_json(shown),
            methods=methods_text(records, facts, summary),
            citations=numbers.citations,
            meta=_meta(facts, summary),
            script=Markup(script),  # noqa: S704 - our own file
            style=Markup(style),  # noqa: S704 - our own file
            policy=content_policy(script),
        )
    )


def content_policy(script: str) -> str:
    """Nothing from elsewhere; of scripts only ours, by its hash."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def embedded_json(value: Any) -> Markup:
    """JSON for a script element: ``<``, ``>`` and ``&`` are escaped, so that no text can end it."""
    text = json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped above


@cache
def asset(name: str) -> str:
    """A file of this package, without a trailing newline."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8").rstrip("\n")


def environment(*packages: str) -> jinja2.Environment:
    """Templates of these packages, first one found wins; what is missing in one is an error."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name, ".") for name in packages]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["svg"] = Markup
    made.filters["last_line"] = last_line
    return made


def last_line(text: str) -> str:
    """The last line that is not empty: what a traceback comes to."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else text


def _meta(facts: CampaignFacts, summary: CampaignSummary) -> tuple[tuple[str, str], ...]:
    rows = [
        ("started", minute(facts.started)),
        ("until", minute(facts.finished)),
        ("machine", facts.machine),
        ("generation", str(summary.generation)),
        ("stage", summary.stage or ""),
        ("wall time", duration(summary.cost_total_s) if summary.cost_total_s is not None else ""),
    ]
    return tuple((name, value) for name, value in rows if value)


def sections(records: Records, facts: CampaignFacts, numbers: ReportNumbers) -> tuple[Section, ...]:
    """All sections, in the order of the page."""
    return (
        *_results(records, facts, numbers),
        *_making(records, facts),
        Section(
            "why",
            "Why: the log of decisions",
            "What was seen and decided in each generation, in order.",
            special="why",
        ),
        Section(
            "paper",
            "For the paper",
            "A table, a methods paragraph to start from, and what to cite.",
            tables=(paper_table(records, facts, numbers.summary),),
            special="methods",
        ),
        Section("events", "Warnings and events", "", special="events"),
        Section("settings", "Settings", "campaign.yaml, as given.", special="settings"),
    )


def _results(records: Records, facts: CampaignFacts, numbers: ReportNumbers) -> tuple[Section, ...]:
    return (
        Section(
            "survival-section",
            "How long does MD live?",
            "A potential is stable when its MD stays physical. Each replica has its own seed.",
            figures=(lives_figure(records), survival_figure(records)),
            tables=(survival_table(records),),
        ),
        Section(
            "errors-section",
            "Is it right?",
            "Stable is not right: a model can run for long in the wrong place. The audit labels "
            "frames of surviving MD.",
            figures=(accuracy_figure(records), element_figure(records)),
            tables=(error_table(records),),
        ),
        Section(
            "structure-section",
            "Is the structure right?",
            "",
            figures=(structure_figure(numbers.structure),),
        ),
        Section(
            "md-section",
            "The MD of each generation",
            "",
            figures=trace_figures(records, facts.windows)
            or (Figure("traces", "MD", "", note="No MD has run yet."),),
        ),
        Section(
            "deaths",
            "How it died",
            "The last frames before each catastrophe, and what triage said of it.",
            tables=(verdict_table(records), triage_table(records), suspect_table(records)),
            special="viewer",
        ),
    )


def _making(records: Records, facts: CampaignFacts) -> tuple[Section, ...]:
    return (
        Section(
            "cost-section",
            "What did it cost?",
            "",
            figures=(cost_figure(records, facts),),
            tables=(
                evaluation_table(records, facts),
                time_table(facts),
                *((pool_table(facts),) if facts.pools else ()),
            ),
        ),
        Section(
            "training-section",
            "Training",
            "",
            figures=(learning_figure(records),),
            tables=(challenger_table(records),),
        ),
        Section(
            "admission-section",
            "Admission",
            "Trained is not deployed: a model is used only after the deployed file, through the "
            "engine that runs it, reproduces the trained one and has not forgotten old data.",
            tables=(comparison_table(records), forgetting_table(records)),
        ),
        Section(
            "labels-section",
            "Labels",
            "",
            tables=(plan_table(records), failure_table(records), rejected_table(records)),
        ),
    )


__all__ = ["Section", "render_both", "render_report", "report_json"]

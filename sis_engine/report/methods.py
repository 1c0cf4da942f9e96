"""A methods paragraph, written from the records: only what is known is said."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from sis_engine.errors import ConfigurationError
from sis_engine.numerals import figure
from sis_engine.plugins import Kind, load
from sis_engine.records import Condition, LabelPlan, Purpose, SegmentSpec, Stable
from sis_engine.report.citations import Citation, citations_for
from sis_engine.report.facts import CampaignFacts
from sis_engine.report.limits import limits_sentence
from sis_engine.report.paper import (
    Records,
    charge_counts,
    condition_text,
    conditions_of,
    final_model,
    formula,
    level_text,
    levels_of,
    optimizer_of,
    rate_text,
    segments_of,
    systems_of,
    thermostat_name,
)
from sis_engine.report.summary import CampaignSummary
from sis_engine.report.traces import window_text
from sis_engine.report.wording import count, milli, ordinal, percent, picoseconds, plural

Versions = Sequence[tuple[str, str]]

PROGRAMS = {"lmp": "lammps"}
"""Programs that are not called what they are cited as."""

CITED_FIELDS = frozenset(
    {
        "number",
        "outcomes",
        "test_outcomes",
        "audits",
        "explorations",
        "challengers",
        "plans",
        "config_json",
    }
)
"""What :func:`citations` reads of a generation."""


def methods_text(records: Records, facts: CampaignFacts, summary: CampaignSummary) -> str:
    """A paragraph to start from; what was not recorded is not mentioned."""
    sentences = [
        _opening(records),
        _theory(records),
        _reference_md(records),
        _training(records),
        _md(records, facts),
        _cost(summary),
        _audit(summary),
        _end(records, summary),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _opening(records: Records) -> str:
    systems = systems_of(records)
    if not systems:
        return ""
    named = "; ".join(
        f"{system.name} ({formula(system.frame.species)}, {system.frame.n_atoms} atoms)"
        for system in systems
    )
    return (
        "A machine-learning interatomic potential was trained by stability-indicated sampling "
        f"(Xu et al. 2023) for {named}: molecular dynamics with the current potential was run "
        "until a monitor found it unphysical, reference data were added from shortly before that "
        f"point, and the potential was fine-tuned, over {plural(len(records), 'generation')}."
    )


def _theory(records: Records) -> str:
    levels = levels_of(records)
    if not levels:
        return ""
    named = "; ".join(f"{level_text(level)} (version {version})" for level, version in levels)
    return f"Reference energies and forces were computed with {named}.{_charges(records)}"


def _charges(records: Records) -> str:
    """Partial charges, of whichever code; labels that lack them are counted, never filled."""
    return "".join(
        f" Partial charges are those of {level_text(level)}, known for {count(have)} of "
        f"{plural(have + lack, 'label')}."
        for level, have, lack in charge_counts(records)
    )


def _reference_md(records: Records) -> str:
    """Initial segments and those that answered the model's failures, by length and settings."""
    parts = [
        f"{word} {told}"
        for word, purpose in (("initially", Purpose.INITIAL), ("later", Purpose.SEGMENT))
        if (told := _segments(segments_of(records, purpose)))
    ]
    return f"Reference MD was run {'; '.join(parts)}." if parts else ""


def _segments(plans: Sequence[LabelPlan]) -> str:
    """In 1 segment of 250 fs (0.5 fs timestep, …); empty without one."""
    kinds = Counter(
        (replace(plan.segment, seed=0), plan.until is not None)
        for plan in plans
        if plan.segment is not None
    )
    told = [
        f"in {plural(number, 'segment')} of {'at most ' if may_end else ''}{_segment(spec)}"
        for (spec, may_end), number in kinds.items()
    ]
    return " and ".join(told)


def _segment(spec: SegmentSpec) -> str:
    length = picoseconds(spec.n_steps * spec.timestep_fs / 1000.0)
    kept = "every frame" if spec.stride == 1 else f"every {ordinal(spec.stride)} frame"
    return (
        f"{length} ({spec.timestep_fs:g} fs timestep, {spec.temperature_k:g} K, "
        f"{thermostat_name(spec.thermostat)} thermostat; {kept} was used)"
    )


def _training(records: Records) -> str:
    final = final_model(records)
    if final is None:
        return ""
    model, plan, record = final
    cutoff = f" with a cutoff of {model.cutoff_angstrom:g} Å" if model.cutoff_angstrom else ""
    return (
        f"The potential was trained with {model.trainer}{cutoff}; the last training took "
        f"{count(plan.steps)} steps ({rate_text(plan, optimizer_of(record))}). Every model had to "
        "reproduce, in the form and engine that ran MD, "
        "the errors that training claimed before it was used."
    )


def _md(records: Records, facts: CampaignFacts) -> str:
    conditions = conditions_of(records)
    if not conditions:
        return ""
    text = "; ".join(map(_condition, conditions))
    window = facts.windows[-1] if facts.windows else None
    limits = "" if window is None else f" The last temperature window was {window_text(window)}."
    return f"MD with the potential was {text}.{limits}{limits_sentence(records)}"


def _condition(item: Condition) -> str:
    return f"{'minimised first, then ' if item.minimise else ''}{condition_text(item)}"


def _cost(summary: CampaignSummary) -> str:
    if summary.evaluations_total is None:
        return ""
    parts = ", ".join(f"{name} {count(n)}" for name, n in summary.evaluations.items())
    reference = (
        "" if summary.reference_ps is None else f", {picoseconds(summary.reference_ps)} of MD"
    )
    return f"In all {count(summary.evaluations_total)} evaluations were made ({parts}){reference}."


def _audit(summary: CampaignSummary) -> str:
    audit = summary.audit
    if audit is None:
        return "The MD has not been audited."
    return (
        f"{plural(audit.n_frames, 'frame')} of surviving MD were labelled as an audit: force RMSE "
        f"{figure(audit.force_rmse)} eV/Å ({percent(audit.relative_force_rmse)} of the RMS "
        f"reference force; one-sided 95 % bootstrap limit {percent(audit.relative_upper)}, bound "
        f"{percent(audit.relative_limit)}), energy RMSE {milli(audit.energy_rmse_per_atom)} "
        f"meV/atom, which {'passed' if audit.passed else 'failed'}."
    )


def _end(records: Records, summary: CampaignSummary) -> str:
    if not records or not isinstance(records[-1].decision, Stable):
        return f"The campaign’s state is {summary.state}; it has not been shown to be stable."
    return f"The campaign ended stable: {records[-1].decision.reason}"


def citations(records: Records, versions: Versions) -> tuple[Citation, ...]:
    """What this campaign has to cite. versions: (name, version) of engine, programs, packages"""
    words = [PROGRAMS.get(name, name) for name, _ in versions]
    words += [f"{level.program} {level.method}" for level, _ in levels_of(records)]
    words += [f"{level.program} {level.method}" for level, _, _ in charge_counts(records)]
    words += [item.thermostat for item in conditions_of(records)]
    final = final_model(records)
    segments = (plan.segment for record in records for plan in record.plans)
    words += [segment.thermostat for segment in segments if segment is not None]
    words += [final[0].trainer] if final else []
    for text in dict.fromkeys(record.config_json for record in records):
        words += _sampler_words(text)
    return citations_for(words)


def _sampler_words(config_json: str) -> list[str]:
    """'sampler.choice=mrmr' and so on, defaults too; of a plugin that is not here, what was set."""
    given = json.loads(config_json or "{}").get("sampler") or {}
    with contextlib.suppress(ConfigurationError, ValidationError):
        given = load(Kind.SAMPLER, str(given.get("type"))).Config.model_validate(given).model_dump()
    return [f"sampler.{key}={value}" for key, value in given.items()]


__all__ = ["CITED_FIELDS", "citations", "methods_text"]

"""The table and the paragraph that a paper needs, from the records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sis_engine.numerals import NOTHING, figure
from sis_engine.records import (
    Condition,
    Labelled,
    LabelPlan,
    LevelOfTheory,
    Model,
    Purpose,
    Rung,
    Split,
    System,
    TrainingSchedule,
)
from sis_engine.report.accuracy import all_errors
from sis_engine.report.blocks import Table, columns
from sis_engine.report.facts import CampaignFacts
from sis_engine.report.limits import limit_rows
from sis_engine.report.outcomes import all_outcomes
from sis_engine.report.summary import AuditSummary, CampaignSummary
from sis_engine.report.traces import window_text
from sis_engine.report.wording import count, milli, percent, picoseconds, plural

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord

Records = Sequence["GenerationRecord"]


def systems_of(records: Records) -> tuple[System, ...]:
    """Every system that was explored, once, by name."""
    found = {run.replica.system.name: run.replica.system for r in records for run in r.explorations}
    return tuple(found[name] for name in sorted(found))


def formula(species: Sequence[str]) -> str:
    """Symbols with counts in Hill's order (carbon, hydrogen, then by the alphabet): C3H6O2."""
    first = "CH" if "C" in species else ""
    amounts = sorted(Counter(species).items(), key=lambda item: (item[0] not in first, item[0]))
    return "".join(f"{element}{number if number > 1 else ''}" for element, number in amounts)


def levels_of(records: Records) -> tuple[tuple[LevelOfTheory, str], ...]:
    """(level, exact program version) of all labels, once each."""
    found: dict[tuple[str, str], tuple[LevelOfTheory, str]] = {}
    for item in labels_of(records):
        key = (item.level.fingerprint, item.program_version)
        found.setdefault(key, (item.level, item.program_version))
    return tuple(found[key] for key in sorted(found))


def charge_counts(records: Records) -> tuple[tuple[LevelOfTheory, int, int], ...]:
    """(level of theory, labels with charges, labels that were to have some and have none)."""
    have: Counter[LevelOfTheory] = Counter()
    lack: Counter[LevelOfTheory] = Counter()
    for item in labels_of(records):
        if item.label.charges is not None:
            have[item.charges_level or item.level] += 1
        elif item.charges_level is not None:
            lack[item.charges_level] += 1
    levels = sorted({*have, *lack}, key=lambda level: level.fingerprint)
    return tuple((level, have[level], lack[level]) for level in levels)


def labels_of(records: Records) -> list[Labelled]:
    """Every label of every plan, audits included."""
    return [
        item for record in records for outcome in all_outcomes(record) for item in outcome.labelled
    ]


def final_model(records: Records) -> tuple[Model, TrainingSchedule, GenerationRecord] | None:
    """The last admitted model, its schedule and its generation's record."""
    for record in reversed(records):
        for item in reversed(record.challengers):
            if item.admission is not None and item.admission.passed and item.training is not None:
                return item.training.model, item.schedule, record
    return None


WITHOUT_RATE = ("lkf",)
"""Optimizers that have no learning rate, whatever ``training.start_lr`` says."""


def has_rate(optimizer: str | None) -> bool:
    return optimizer not in WITHOUT_RATE


def optimizer_of(record: GenerationRecord) -> str | None:
    """The trainer's, as the generation's settings name it; ``None``: they do not."""
    trainer = json.loads(record.config_json or "{}").get("trainer") or {}
    named = (trainer.get("optimizer") or {}).get("type")
    return None if named is None else str(named)


def rate_text(plan: TrainingSchedule, optimizer: str | None) -> str:
    """'learning rate 0.001 to 1e-05', or the optimizer that has none."""
    if has_rate(optimizer):
        return f"learning rate {plan.start_lr:.3g} to {plan.stop_lr:.3g}"
    return f"optimizer {optimizer}"


def conditions_of(records: Records) -> tuple[Condition, ...]:
    """Conditions of the last generation that ran MD, once each by name."""
    for record in reversed(records):
        found = {run.replica.condition.name: run.replica.condition for run in record.explorations}
        if found:
            return tuple(found[name] for name in sorted(found))
    return ()


def segments_of(records: Records, purpose: Purpose) -> tuple[LabelPlan, ...]:
    """Every plan of this purpose whose reference MD was run."""
    return tuple(
        plan
        for record in records
        for plan in record.plans
        if plan.segment is not None and plan.purpose is purpose and _was_run(record, plan)
    )


def _was_run(record: GenerationRecord, plan: LabelPlan) -> bool:
    return any(
        outcome.plan_id == plan.id and outcome.rung not in {Rung.NONE, Rung.SINGLE_POINTS}
        for outcome in record.outcomes
    )


def paper_table(records: Records, facts: CampaignFacts, summary: CampaignSummary) -> Table:
    """Everything a referee asks for, one row each."""
    rows = [
        *_system_rows(records),
        *_theory_rows(records),
        *_charge_rows(records),
        *_label_rows(records, summary),
        *_training_rows(records),
        *_md_rows(records, facts, summary),
        *_error_rows(records, summary),
        ("Acceleration ratio", figure(summary.acceleration_ratio)),
        ("Acceleration ratio, paper’s form", figure(summary.acceleration_ratio_paper)),
        ("Versions", "; ".join(f"{name} {version}" for name, version in facts.versions) or NOTHING),
        ("Machine", facts.machine or NOTHING),
    ]
    return Table(
        "paper-table",
        "The table a paper needs",
        "All of it is read from the campaign’s records.",
        columns("what", "value"),
        tuple(rows),
    )


def _system_rows(records: Records) -> list[tuple[str, str]]:
    rows = []
    for system in systems_of(records):
        frame = system.frame
        if any(frame.pbc):
            axes = "".join(name for name, on in zip("abc", frame.pbc, strict=True) if on)
            shape = f"periodic along {axes}"
        else:
            shape = "cluster, not periodic"
        frozen = f", {plural(len(system.frozen), 'frozen atom')}" if system.frozen else ""
        text = (
            f"{formula(frame.species)}, {plural(frame.n_atoms, 'atom')}, {shape}, charge "
            f"{system.charge}, multiplicity {system.multiplicity}{frozen}"
        )
        rows.append((f"System {system.name}", text))
    return rows or [("Systems", NOTHING)]


def level_text(level: LevelOfTheory) -> str:
    """Program, method and every setting that changes a label."""
    settings = ", ".join(f"{name}={value}" for name, value in level.settings)
    text = f"{level.program} {level.version_class}, {level.method}"
    return f"{text} ({settings})" if settings else text


def _theory_rows(records: Records) -> list[tuple[str, str]]:
    found = levels_of(records)
    if not found:
        return [("Level of theory", NOTHING)]
    return [
        ("Level of theory", f"{level_text(level)}; exact version {version}")
        for level, version in found
    ]


def _charge_rows(records: Records) -> list[tuple[str, str]]:
    return [
        (
            "Partial charges",
            f"{level_text(level)}; on {count(have)} labels, {count(lack)} lack them",
        )
        for level, have, lack in charge_counts(records)
    ]


def _label_rows(records: Records, summary: CampaignSummary) -> list[tuple[str, str]]:
    purposes = ", ".join(f"{name} {count(n)}" for name, n in summary.evaluations.items())
    training = frames_in(records, Split.TRAINING)
    validation = frames_in(records, Split.VALIDATION)
    return [
        ("Evaluations", f"{count(summary.evaluations_total)} ({purposes or NOTHING})"),
        ("Failed evaluations", count(summary.evaluations_failed)),
        ("Training frames", count(training)),
        ("Validation frames", count(validation)),
        ("Rejected labels", count(sum(len(r.rejected) for r in records)) if records else NOTHING),
        ("Reference MD", picoseconds(summary.reference_ps)),
    ]


def frames_in(records: Records, split: Split) -> int | None:
    """Frames of one split over all generations; ``None`` before the first."""
    if not records:
        return None
    parts = [part for record in records for part in record.parts if part.split is split]
    return sum(part.frames.n_frames for part in parts)


def _training_rows(records: Records) -> list[tuple[str, str]]:
    final = final_model(records)
    if final is None:
        return [("Model", NOTHING), ("Training", NOTHING)]
    model, plan, record = final
    cutoff = figure(model.cutoff_angstrom, 3, "Å") if model.cutoff_angstrom else NOTHING
    sel = NOTHING if model.sel is None else ", ".join(map(str, model.sel))
    trained = [item for record in records for item in record.challengers if item.training]
    steps = sum(item.schedule.steps for item in trained)
    return [
        (
            "Model",
            f"{model.trainer}, generation {record.generation}, elements "
            f"{' '.join(model.elements)}, cutoff {cutoff}, sel {sel}",
        ),
        (
            "Training of the final model",
            f"{count(plan.steps)} steps, batch {plan.batch_size}, "
            f"{rate_text(plan, optimizer_of(record))}, force prefactor "
            f"{plan.force_prefactor[0]:g} to {plan.force_prefactor[1]:g}, energy prefactor "
            f"{plan.energy_prefactor[0]:g} to {plan.energy_prefactor[1]:g}",
        ),
        ("Training steps in all", f"{count(steps)} in {plural(len(trained), 'training')}"),
        ("SHA-256 of the deployed file", model.deployed_file.sha256),
    ]


def thermostat_name(thermostat: str) -> str:
    """As it is printed."""
    names = {"nose-hoover": "Nosé–Hoover", "csvr": "CSVR", "langevin": "Langevin"}
    return names.get(thermostat, thermostat)


def condition_text(item: Condition) -> str:
    """Ensemble, temperature, pressure, thermostat, timestep, length."""
    pressure = "" if item.pressure_gpa is None else f", {item.pressure_gpa:g} GPa"
    return (
        f"{item.ensemble.value.upper()}, {item.temperature_k:g} K{pressure}, "
        f"{thermostat_name(item.thermostat)} ({item.damping_fs:g} fs), timestep "
        f"{item.timestep_fs:g} fs, {item.duration_ps:g} ps"
    )


def _md_rows(
    records: Records, facts: CampaignFacts, summary: CampaignSummary
) -> list[tuple[str, str]]:
    rows = [(f"MD, condition {item.name}", condition_text(item)) for item in conditions_of(records)]
    windows = "; ".join(f"generation {w.generation}: {window_text(w)}" for w in facts.windows)
    return [
        *(rows or [("MD", NOTHING)]),
        ("Temperature window", windows or NOTHING),
        *limit_rows(records),
        ("MD with the models", picoseconds(summary.md_ps)),
        ("Longest life", picoseconds(summary.longest_life_ps)),
    ]


def _error_rows(records: Records, summary: CampaignSummary) -> list[tuple[str, str]]:
    rows = []
    last = max((item.generation for item in all_errors(records)), default=None)
    for item in all_errors(records):
        if item.generation == last:
            e = item.errors
            rows.append(
                (
                    f"Error, {item.name} (generation {item.generation})",
                    f"force RMSE {figure(e.force_rmse)} eV/Å ({percent(e.relative_force_rmse)} "
                    f"of the RMS force), energy RMSE {milli(e.energy_rmse_per_atom)} meV/atom, n = "
                    f"{count(e.n_frames)} frames",
                )
            )
    for name, judged in (("Audit", summary.audit), ("Test", summary.test)):
        if judged is not None and judged.passed is not None:
            rows.append((name, _judgement_text(judged)))
    return rows or [("Errors", NOTHING)]


def _judgement_text(judged: AuditSummary) -> str:
    return (
        f"{'passed' if judged.passed else 'failed'} in generation {judged.generation}: "
        f"upper 95 % limit {percent(judged.relative_upper)} (bound "
        f"{percent(judged.relative_limit)}), {count(judged.n_frames)} frames, "
        f"{count(judged.n_failed)} without a label"
    )

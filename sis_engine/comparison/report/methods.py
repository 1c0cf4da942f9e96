"""A methods paragraph for a comparison, all its settings, and what to cite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sis_engine.analysis.clustered import MOST_ARRANGEMENTS
from sis_engine.comparison.differences import Phase, end_note, grouped, phases_of
from sis_engine.comparison.examiner import frames_to_label
from sis_engine.comparison.outcomes import CaseOutcome
from sis_engine.comparison.plan import Comparison
from sis_engine.comparison.report.arm_sentences import (
    by_case,
    each,
    end_sentence,
    limits_text,
    shared_sentence,
    start_sentence,
)
from sis_engine.comparison.results import RunResult
from sis_engine.comparison.settings import Settings
from sis_engine.numerals import NOTHING
from sis_engine.report.blocks import Table, columns
from sis_engine.report.citations import Citation, citations_for
from sis_engine.report.paper import condition_text, formula, has_rate
from sis_engine.report.wording import count, picoseconds, plural

STATISTICS = ("statistics=kaplan-meier", "statistics=log-rank", "statistics=holm")
"""What every comparison rests on, as words that call for a citation."""

NOT_SETTINGS = ("code", "machine", "date")
"""Of what is recorded of a run's making: no program's version."""


def methods_text(
    comparison: Comparison, results: Sequence[RunResult], cases: Sequence[CaseOutcome]
) -> str:
    """A paragraph to start from; figures are those of the runs that are finished."""
    phases = [(case, phases_of(comparison, case)) for case in comparison.config.case_names]
    baseline = comparison.config.baseline_arm
    sentences = [
        _opening(comparison, results),
        by_case({case: start_sentence(own) for case, own in phases}),
        by_case({case: shared_sentence(own, baseline) for case, own in phases}),
        "Every setting in which arms differ stands in the table “What the arms differ in”, every "
        "other one in “What all arms share”.",
        *(_systems(case, own) for case, own in phases),
        _training([phase for _, own in phases for phase in own]),
        by_case({case: end_sentence(own) for case, own in phases}),
        _examiner(comparison),
        _statistics(cases),
        _made(results),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _opening(comparison: Comparison, results: Sequence[RunResult]) -> str:
    config = comparison.config
    seeds = ", ".join(map(str, config.seeds))
    shared = len(list(comparison.runs()))
    return (
        f"{plural(len(config.arms), 'arm')} ({', '.join(config.arms)}) "
        f"{'were compared' if len(config.arms) > 1 else 'was run'} over "
        f"{plural(len(config.seeds), 'seed')} ({seeds}), which set initial velocities, order of "
        f"data and initialisation of models; {len(results)} of {shared} runs are finished. "
        "Every reference calculation that an arm asked for was "
        "charged to it, thrown away or not, and also where another arm had made it before."
    )


def _systems(case: str, phases: Sequence[Phase]) -> str:
    head = f"Case {case}: systems" if case else "Systems"
    return f"{head} were {each(phases, _system_text)}."


def _system_text(phase: Phase) -> str:
    parts = phase.parts
    named = "; ".join(
        f"{item.name} ({formula(item.frame.species)}, {item.frame.n_atoms} atoms"
        f"{', periodic' if all(item.frame.pbc) else ''})"
        for item in parts.systems
    )
    labeler = parts.config.labeler
    return (
        f"{named}, labelled by {labeler['type']} ({_theory(labeler)}), MD with the potentials "
        f"{condition_text(parts.base_condition)}, {parts.config.explore.replicas} replicas"
    )


def _theory(labeler: Mapping[str, Any]) -> str:
    """Of a labeler: its method, or the style of its potential."""
    method, potential = labeler.get("method"), labeler.get("potential")
    if isinstance(method, Mapping):
        return ", ".join(f"{key} {value}" for key, value in method.items() if key != "type")
    style = potential.get("pair_style") if isinstance(potential, Mapping) else potential
    return str(method or style or labeler["type"])


def _training(phases: Sequence[Phase]) -> str:
    groups = grouped(phases, _training_text)
    if len(groups) == 1:
        return f"Potentials were trained for {groups[0][0]}."
    told = "; ".join(
        f"{', '.join(f'{phase.case} {phase.name}'.strip() for phase in own)}: {text}"
        for text, own in groups
    )
    return f"Potentials were trained as follows. {told}."


def _training_text(phase: Phase) -> str:
    training = phase.parts.config.training
    later = training.steps if isinstance(training.steps, tuple) else (training.steps,)
    steps = ", then ".join(count(number) for number in later)
    optimizer = phase.settings.get("trainer.optimizer.type")
    rate = (
        f"initial learning rate {training.start_lr:g} falling by {training.lr_decay:g} a generation"
    )
    return (
        f"{count(training.steps_first)} steps at first and {steps} in each later generation, batch "
        f"size {training.batch_size}, "
        + (rate if has_rate(optimizer) else f"optimizer {optimizer}")
    )


def _examiner(comparison: Comparison) -> str:
    config = comparison.config
    examiner = config.examiner
    costs = ", ".join(map(count, config.costs))
    at = f"at {costs} evaluations and at the end" if costs else "at the end"
    each_case = by_case({case: _examined(comparison, case) for case in config.case_names})
    return (
        f"Models were judged {at} by an examiner outside the arms, neither charged nor fed back: "
        f"{examiner.replicas} replicas from frames of an independent reference trajectory "
        f"({picoseconds(examiner.reference.length_ps)}, every {examiner.reference.every_steps} "
        f"steps) with seeds of their own, the same for all arms. {each_case} A model passed when "
        f"{examiner.min_survival:.0%} of the replicas of every system lived to the end and both "
        "the frames of its survivors and the reference trajectory kept these limits. RDF error is "
        "the mean over element pairs of the integrated absolute difference from the reference."
    )


def _examined(comparison: Comparison, case: str) -> str:
    """MD, frames and limits of the examiner of one case."""
    parts = comparison.examiner_parts(case, comparison.config.seeds[0])
    systems = ", ".join(system.name for system in parts.systems)
    return (
        f"MD of {systems} was {condition_text(parts.base_condition)}; "
        f"{frames_to_label(comparison.config.examiner, parts)} frames of the survivors of each "
        f"system were labelled; limits: {limits_text(parts.config.audit)}."
    )


def _statistics(cases: Sequence[CaseOutcome]) -> str:
    if not cases:
        return ""
    horizon = ", ".join(count(round(case.horizon)) for case in cases)
    return (
        "The seed was the unit of statistics. Intervals are 95 % bootstrap intervals over seeds, "
        "widened for their small number, and exact binomial ones for shares. Runs that ended "
        "without passing were censored: at their cost when their budget of evaluations or of wall "
        "time stopped them, otherwise (generations used up, falsely stable, given up, no model) at "
        f"the horizon of {horizon} evaluations. Arms were compared "
        "with the baseline by log-rank tests whose p values come from dealing out whole runs to "
        f"the two arms, in all ways where these are at most {count(MOST_ARRANGEMENTS)}, "
        "adjusted by Holm’s method for all arms but the baseline, those that could not be tested "
        "at p = 1."
    )


def _made(results: Sequence[RunResult]) -> str:
    if not results:
        return ""
    versions = ", ".join(f"{name} {version}" for name, version in versions_of(results))
    machines = "; ".join(dict.fromkeys(run.made.get("machine", "unknown") for run in results))
    return f"Versions: {versions}. Machine: {machines}."


def versions_of(results: Sequence[RunResult]) -> tuple[tuple[str, str], ...]:
    """Each program with its version, or all that were used."""
    found: dict[str, dict[str, None]] = {}
    for run in results:
        for name, version in run.made.items():
            if name not in NOT_SETTINGS:
                found.setdefault(name, {})[version] = None
    return tuple((name, " / ".join(versions)) for name, versions in found.items())


def warnings(comparison: Comparison, results: Sequence[RunResult]) -> tuple[str, ...]:
    """What a reader has to know before any number."""
    unlike = [end_note(phases_of(comparison, case)) for case in comparison.config.case_names]
    told = [f"{note[0].upper()}{note[1:]}." for note in unlike if note is not None]
    return (*told, *filter(None, [mixed_code(results)]))


def mixed_code(results: Sequence[RunResult]) -> str:
    """A warning where runs were made by different code of the engine, or nothing."""
    codes = list(dict.fromkeys(run.made.get("code", "unknown") for run in results))
    if len(codes) < 2:
        return ""
    told = "; ".join(
        f"{code}: {sum(run.made.get('code') == code for run in results)} runs" for code in codes
    )
    return (
        f"The runs were made by {len(codes)} versions of the engine’s own code ({told}). Their "
        "settings are the same, their code is not: look at what changed between them."
    )


def citations(comparison: Comparison, results: Sequence[RunResult]) -> tuple[Citation, ...]:
    """What a paper with this comparison has to cite: what is in use in any arm of any case."""
    words = [name for run in results for name in run.made]
    words += ["ase", comparison.config.examiner.reference.thermostat, *STATISTICS]
    for case in comparison.config.case_names:
        for phase in phases_of(comparison, case):
            words += [f"{key}={value}" for key, value in phase.settings.items()]
    return citations_for(words)


# --------------------------------------------------------------------------- settings


def settings_tables(results: Sequence[RunResult]) -> tuple[Table, ...]:
    """Settings that all runs share, and those in which arms differ."""
    if not results:
        return ()
    by_arm: dict[str, Settings] = {}
    for run in results:
        name = f"{run.case} {run.arm}".strip()
        by_arm.setdefault(name, {k: v for k, v in run.settings.items() if k != "seed"})
    keys = sorted({key for settings in by_arm.values() for key in settings})
    shared = [k for k in keys if len({_shown(s, k) for s in by_arm.values()}) == 1]
    own = [key for key in keys if key not in set(shared)]
    first = next(iter(by_arm.values()))
    return (
        Table(
            "settings-differing",
            "What the arms differ in",
            "Every setting whose value is not the same in all arms.",
            columns("setting", *by_arm),
            tuple((key, *(_shown(s, key) for s in by_arm.values())) for key in own),
            note="The arms differ in nothing.",
        ),
        Table(
            "settings-shared",
            "What all arms share",
            "Every other setting that a number of this comparison depends on, defaults included.",
            columns("setting", "value"),
            tuple((key, _shown(first, key)) for key in shared),
        ),
    )


def _shown(settings: Settings, key: str) -> str:
    if key not in settings or settings[key] is None:
        return NOTHING
    return str(settings[key])

"""A methods paragraph for a comparison, all its settings, and what to cite."""

from __future__ import annotations

from collections.abc import Sequence

from sis_engine.analysis.clustered import MOST_ARRANGEMENTS
from sis_engine.comparison.examiner import frames_to_label
from sis_engine.comparison.outcomes import CaseOutcome
from sis_engine.comparison.plan import Comparison, RunName
from sis_engine.comparison.results import RunResult
from sis_engine.comparison.settings import Settings
from sis_engine.report.blocks import NOTHING, Table, columns
from sis_engine.report.citations import Citation, citations_for
from sis_engine.report.paper import condition_text, formula
from sis_engine.report.wording import count, picoseconds, plural

NOT_SETTINGS = ("code", "machine", "date")
"""Of what is recorded of a run's making: no program's version."""


def methods_text(
    comparison: Comparison, results: Sequence[RunResult], cases: Sequence[CaseOutcome]
) -> str:
    """A paragraph to start from; figures are those of the runs that are finished."""
    sentences = [
        _opening(comparison, results),
        *(_systems(comparison, case) for case in comparison.config.case_names),
        _training(comparison),
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
        f"{plural(len(config.arms), 'sampler')} ({', '.join(config.arms)}) were compared over "
        f"{plural(len(config.seeds), 'seed')} ({seeds}), which set initial velocities, order of "
        f"data and initialisation of models; {len(results)} of {shared} runs are finished. For "
        "each seed all arms began with the same labels and the same first model, and had the same "
        "training, MD conditions and target. Every reference calculation that an arm asked for was "
        "charged to it, thrown away or not, and also where another arm had made it before."
    )


def _systems(comparison: Comparison, case: str) -> str:
    run = RunName(case, comparison.config.baseline_arm, comparison.config.seeds[0])
    parts = comparison.parts(run)
    named = "; ".join(
        f"{item.name} ({formula(item.frame.species)}, {item.frame.n_atoms} atoms"
        f"{', periodic' if all(item.frame.pbc) else ''})"
        for item in parts.systems
    )
    head = f"Case {case}: systems" if case else "Systems"
    labeler = parts.config.labeler
    theory = str(labeler.get("method") or labeler.get("potential") or labeler["type"])
    return (
        f"{head} were {named}, labelled by {labeler['type']} ({theory}); MD with the potentials "
        f"was {condition_text(parts.base_condition)}, {parts.config.explore.replicas} replicas."
    )


def _training(comparison: Comparison) -> str:
    run = RunName(
        comparison.config.case_names[0],
        comparison.config.baseline_arm,
        comparison.config.seeds[0],
    )
    training = comparison.parts(run).config.training
    later = training.steps if isinstance(training.steps, tuple) else (training.steps,)
    steps = ", then ".join(count(number) for number in later)
    return (
        f"Potentials were trained for {count(training.steps_first)} steps at first and "
        f"{steps} in each later generation, batch size {training.batch_size}, "
        f"initial learning rate {training.start_lr:g} falling by {training.lr_decay:g} a "
        "generation."
    )


def _examiner(comparison: Comparison) -> str:
    config = comparison.config
    examiner = config.examiner
    parts = comparison.examiner_parts(config.case_names[0], config.seeds[0])
    limits = parts.config.audit
    costs = ", ".join(map(count, config.costs))
    at = f"at {costs} evaluations and at the end" if costs else "at the end"
    return (
        f"Models were judged {at} by an examiner outside the arms, neither charged nor fed back: "
        f"{examiner.replicas} replicas of {picoseconds(parts.base_condition.duration_ps)} from "
        f"frames of an independent reference trajectory "
        f"({picoseconds(examiner.reference.length_ps)}, every {examiner.reference.every_steps} "
        f"steps) with seeds of their own, the same for all arms; "
        f"{frames_to_label(examiner, parts)} frames of the survivors were labelled. A model passed "
        f"when {examiner.min_survival:.0%} of its replicas lived to the end, the upper 95 % limit "
        f"of its force RMSE on their frames, overall and for each element, was at most "
        f"{limits.max_relative_force_rmse:g} of the RMS reference force and of its energy RMSE at "
        f"most {1000.0 * limits.max_energy_rmse_per_atom:g} meV/atom, and when the same held on "
        "the reference trajectory. RDF error is the mean over element pairs of the integrated "
        "absolute difference from the reference."
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
    """What a paper with this comparison has to cite."""
    words = [name for run in results for name in run.made]
    for case in comparison.config.case_names:
        run = RunName(case, comparison.config.baseline_arm, comparison.config.seeds[0])
        parts = comparison.parts(run)
        words += [str(parts.config.labeler), str(parts.config.trainer["type"]), "ase"]
        words += [parts.config.explorer["type"], comparison.config.examiner.reference.thermostat]
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

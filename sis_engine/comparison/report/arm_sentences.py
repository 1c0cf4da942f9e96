"""In words: what arms had in common, what they differed in, and how each of them ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sis_engine.comparison.differences import Phase, differences, grouped
from sis_engine.comparison.settings import digest
from sis_engine.comparison.starts import start_digest
from sis_engine.config.campaign import AuditConfig
from sis_engine.numerals import figure
from sis_engine.report.wording import count, listed, picoseconds, plural
from sis_engine.samplers.stopping_config import AuditFrames

FIRST_LABELS = ("systems", "labeler", "initial")
"""Keys that the first labels hang on, beside the seed."""

TOPICS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("systems", ("systems",)),
    ("initial sampling", ("initial",)),
    ("labels", ("labeler", "exact")),
    ("training", ("trainer", "training", "gate", "splits", "admission")),
    ("MD conditions and target", ("explorer", "explore")),
    ("monitors", ("monitors", "triage")),
    ("sampler", ("sampler",)),
    ("limits of the audit", ("audit",)),
    ("budget", ("budget",)),
)
"""Words of a methods section, and the keys of a campaign that they stand for."""

MOST_KEYS = 3
"""More keys of one topic are left to the table of settings."""


def by_case(told_of: Mapping[str, str]) -> str:
    """What is said of each case; once where it is the same of all."""
    told: dict[str, list[str]] = {}
    for case, text in told_of.items():
        told.setdefault(text, []).append(case)
    if len(told) == 1:
        return next(iter(told))
    return " ".join(
        f"{'Case' if len(names) == 1 else 'Cases'} {', '.join(names)}: {text}"
        for text, names in told.items()
        if text
    )


Phases = Sequence[Phase]


def each(phases: Phases, of: Callable[[Phase], str]) -> str:
    """What is said of phases; with their names where it is not the same of all."""
    groups = grouped(phases, of)
    if len(groups) == 1:
        return str(groups[0][0])
    return "; ".join(f"{text} ({_names(own)})" for text, own in groups)


def _names(phases: Phases) -> str:
    return listed([phase.name for phase in phases])


# --------------------------------------------------------------------------- what is the same


def start_sentence(phases: Phases) -> str:
    """Which arms began with the same labels and the same first model; nothing of one arm alone."""
    first = [phase for phase in phases if phase.number == 0]
    if len(first) < 2:
        return ""
    seed = first[0].parts.config.seed
    models = grouped(first, lambda phase: start_digest(phase.parts, seed))
    if len(models) == 1:
        return "For each seed all arms began with the same labels and the same first model."
    alike = len(grouped(first, _first_labels)) == 1
    what = "a first model" if alike else "first labels and a first model"
    told = ["all arms began with the same labels"] if alike else []
    told += [f"{_names(own)} shared {what}" for _, own in models if len(own) > 1]
    alone = [own[0] for _, own in models if len(own) == 1]
    if alone:
        told.append(f"{_names(alone)} had {what} of {'its' if len(alone) == 1 else 'their'} own")
    return f"For each seed {listed(told)}."


def _first_labels(phase: Phase) -> str:
    return digest({k: v for k, v in phase.settings.items() if _head(k) in FIRST_LABELS})


def shared_sentence(phases: Phases, baseline: str) -> str:
    """What all arms share, and who differs from the baseline in what."""
    if len(phases) < 2:
        return ""
    base = next(phase for phase in phases if phase.arm == baseline)
    same, unlike = [], []
    for topic, heads in _topics(phases):
        keys = [item.key for item in differences(phases) if _head(item.key) in heads]
        others = [p for p in phases if any(_unlike(p, base, key) for key in keys)]
        if others:
            unlike.append(f"{topic} ({_names(others)}{_keys(keys)})")
        elif (topic, heads) in TOPICS:
            same.append(topic)
    told = [f"All arms had the same {listed(same)}."] if same else []
    told += [f"Arms differed from {base.name} in: {'; '.join(unlike)}."] if unlike else []
    return " ".join(told)


def _topics(phases: Phases) -> list[tuple[str, tuple[str, ...]]]:
    """Those of TOPICS, and keys that belong to none of them by their own names."""
    named = {head for _, heads in TOPICS for head in heads}
    others = dict.fromkeys(_head(key) for phase in phases for key in phase.settings)
    return [*TOPICS, *((head, (head,)) for head in others if head not in named)]


def _unlike(phase: Phase, base: Phase, key: str) -> bool:
    if (key in phase.settings) != (key in base.settings):
        return True
    return bool(phase.settings.get(key) != base.settings.get(key))


def _keys(keys: Sequence[str]) -> str:
    return f": {', '.join(keys)}" if len(keys) <= MOST_KEYS else ""


def _head(key: str) -> str:
    return key.partition(".")[0]


# --------------------------------------------------------------------------- how they end


def end_sentence(phases: Phases) -> str:
    """When a campaign says *stable* of itself, arm by arm where that differs."""
    auditing = [phase for phase in phases if phase.stopping is not None]
    others = [phase for phase in phases if phase.stopping is None]
    told = [f"A campaign ended stable when {each(auditing, _rule)}."] if auditing else []
    if others:
        told.append(f"{_names(others)} ended without such an audit.")
    return " ".join(told)


def _rule(phase: Phase) -> str:
    config = phase.stopping
    if config is None:
        return ""
    rule, audit = config.audit, phase.parts.config.audit
    return (
        f"all replicas of every system ({count(config.required_survivors)} or more) had lived to "
        f"the end and an audit had passed: {plural(rule.frames_per_system, 'frame')} of each "
        f"system’s survivors (at least {count(audit.min_frames)}; after "
        f"{picoseconds(rule.burn_in_ps)}, {figure(rule.decorrelation_fs, 3, 'fs')} or more apart) "
        f"with {limits_text(audit)}{_look(rule)}"
    )


def _look(rule: AuditFrames) -> str:
    if rule.first_look is None:
        return ""
    return (
        f" (of each system {count(rule.first_look)} frames were labelled first, and the rest only "
        "where their errors, without limits, were within these)"
    )


def limits_text(audit: AuditConfig) -> str:
    """The limits that errors are held to."""
    return (
        "the upper 95 % limit of the force RMSE, overall and for each element, at most "
        f"{audit.max_relative_force_rmse:g} of the RMS reference force and that of the energy RMSE "
        f"at most {1000.0 * audit.max_energy_rmse_per_atom:g} meV/atom"
    )

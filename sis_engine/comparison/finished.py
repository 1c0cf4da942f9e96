"""Finished runs on disk: which may be used again, and what is said of the others.

Only what a run's numbers depend on counts. The costs of the grid choose which of its models were
examined: a run whose models at other costs were examined anyway is used as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sis_engine.comparison.charges import examined_generations
from sis_engine.comparison.places import Places
from sis_engine.comparison.plan import Comparison, RunName
from sis_engine.comparison.results import RunResult, read_result
from sis_engine.comparison.settings import COSTS, Settings, differing, settings_of
from sis_engine.errors import TornFile
from sis_engine.report.wording import plural

MOST_SHOWN = 3
"""Keys of a message; how many more there are is said."""


def finished_runs(
    comparison: Comparison, places: Places
) -> tuple[dict[RunName, RunResult], tuple[str, ...]]:
    """Results on disk that were made with these very settings, and what is said of the others."""
    found: dict[RunName, RunResult] = {}
    torn: list[str] = []
    others: list[_Other] = []
    unexamined: list[RunName] = []
    for run, settings in all_settings(comparison).items():
        path = places.result(run)
        if not path.exists():
            continue
        try:
            result = read_result(path)
        except TornFile as error:
            torn.append(f"{error}; {run} is computed again")
            continue
        changed = {k: v for k, v in differing(result.settings, settings).items() if k != COSTS}
        if changed:
            others.append(_Other(run, changed))
            continue
        usable = at_costs(result, settings)
        if usable is None:
            unexamined.append(run)
        else:
            found[run] = usable
    return found, (*torn, *_told(others), *_unexamined(unexamined, places))


def all_settings(comparison: Comparison) -> dict[RunName, Settings]:
    """Settings of every run; seeds change nothing but their own number."""
    known: dict[tuple[str, str], Settings] = {}
    found = {}
    for run in comparison.runs():
        key = (run.case, run.arm)
        if key not in known:
            known[key] = settings_of(comparison, run)
        found[run] = known[key] | {"seed": run.seed}
    return found


def at_costs(result: RunResult, settings: Settings) -> RunResult | None:
    """A result with the examinations of these costs alone; ``None`` where one is missing.

    Those of costs that were dropped are left out, so that every run is known as finely as others.
    """
    wanted = examined_generations(result.models, settings[COSTS])
    exams = tuple(exam for exam in result.exams if exam.generation in wanted)
    if len(exams) < len(wanted):
        return None
    kept = result.settings | {COSTS: settings[COSTS]}
    return result.model_copy(update={"exams": exams, "settings": kept})


@dataclass(frozen=True)
class _Other:
    """A run made with other settings. changed: by key, the old value and the new"""

    run: RunName
    changed: dict[str, str]


def _told(others: Sequence[_Other]) -> list[str]:
    """A line for all runs in which the same keys differ."""
    groups: dict[tuple[str, ...], list[_Other]] = {}
    for item in others:
        groups.setdefault(tuple(item.changed), []).append(item)
    found = []
    for keys, own in groups.items():
        shown = [_shown(key, own) for key in keys[:MOST_SHOWN]]
        if len(keys) > MOST_SHOWN:
            shown.append(f"{len(keys) - MOST_SHOWN} more")
        named = ", ".join(str(item.run) for item in own)
        found.append(
            f"{plural(len(own), 'run')} made with other settings ({'; '.join(shown)}), computed "
            f"again: {named}"
        )
    return found


def _shown(key: str, own: Sequence[_Other]) -> str:
    """A key with both values, where they are the same in all of these runs."""
    values = {item.changed[key] for item in own}
    return f"{key}: {values.pop()}" if len(values) == 1 else f"{key}: not the same in all"


def _unexamined(runs: Sequence[RunName], places: Places) -> list[str]:
    """Runs with models that were not examined at one of the costs."""
    found = []
    there = [str(run) for run in runs if places.run(run).exists()]
    gone = [str(run) for run in runs if not places.run(run).exists()]
    if there:
        told = ", ".join(there)
        found.append(f"{plural(len(there), 'run')} to be examined at further costs: {told}")
    if gone:
        found.append(
            f"{plural(len(gone), 'run')} not examined at all costs, campaigns no longer in "
            f"{places.folder / 'runs'}, computed again: {', '.join(gone)}"
        )
    return found

"""What is left to compute and what it will take, said before anything starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sis_engine.comparison.plan import Comparison, RunName
from sis_engine.comparison.results import RunResult
from sis_engine.labelling.costs import evaluations_of
from sis_engine.stages.label import initial_plans


@dataclass(frozen=True)
class ArmQuote:
    """Of one arm. n_finished, n_left: runs

    start: evaluations that a run begins with;  budget: at most, ``None`` without one
    expected: of a run, as those finished took, else as its author said; ``None``: not known
    hours: of one run with its examinations, in the same way
    """

    case: str
    arm: str
    n_finished: int
    n_left: int
    start: int
    budget: int | None
    expected: float | None
    hours: float | None


@dataclass(frozen=True)
class ComparisonQuote:
    """The whole. evaluations, hours: of all that is left; ``None`` where an arm's are not known

    reference: evaluations of the examiner's trajectories;  measured: from finished runs of this
        comparison rather than as its author said
    """

    arms: tuple[ArmQuote, ...]
    reference: int
    evaluations: float | None
    hours: float | None
    measured: bool
    parallel: int

    @property
    def n_left(self) -> int:
        return sum(item.n_left for item in self.arms)


def quote(comparison: Comparison, finished: Mapping[RunName, RunResult]) -> ComparisonQuote:
    """From the settings, the finished runs, and what the file's author expected."""
    config = comparison.config
    arms = tuple(
        _arm(comparison, case, arm, finished) for case in config.case_names for arm in config.arms
    )
    reference = config.examiner.reference
    steps = round(1000.0 * reference.length_ps / reference.timestep_fs)
    n_systems = sum(
        len(comparison.examiner_parts(case, config.seeds[0]).systems) for case in config.case_names
    )
    wanted = [item for item in arms if item.n_left]
    evaluations = _total([(a.n_left, a.expected) for a in wanted])
    hours = _total([(a.n_left, a.hours) for a in wanted])
    return ComparisonQuote(
        arms=arms,
        reference=steps * n_systems,
        evaluations=evaluations,
        hours=None if hours is None else hours / config.execution.parallel,
        measured=bool(finished),
        parallel=config.execution.parallel,
    )


def _arm(
    comparison: Comparison, case: str, arm: str, finished: Mapping[RunName, RunResult]
) -> ArmQuote:
    config = comparison.config
    parts = comparison.parts(RunName(case, arm, config.seeds[0]))
    own = [item for name, item in finished.items() if (name.case, name.arm) == (case, arm)]
    every = own or list(finished.values())
    said = config.expected
    expected = None if said is None else float(said.evaluations)
    hours = None if said is None else said.minutes / 60.0
    if every:
        expected = sum(item.evaluations for item in every) / len(every)
        hours = sum(_seconds(item) for item in every) / len(every) / 3600.0
    return ArmQuote(
        case=case,
        arm=arm,
        n_finished=len(own),
        n_left=len(config.seeds) - len(own),
        start=sum(evaluations_of(plan)[0] for plan in initial_plans(parts)),
        budget=parts.config.budget.evaluations,
        expected=expected,
        hours=hours,
    )


def _seconds(run: RunResult) -> float:
    return run.wall_s + sum(exam.seconds for exam in run.exams)


def _total(items: list[tuple[int, float | None]]) -> float | None:
    found = 0.0
    for number, value in items:
        if value is None:
            return None
        found += number * value
    return found

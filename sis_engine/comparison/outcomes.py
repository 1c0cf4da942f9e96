"""What a comparison came to: outcomes of every arm by cost, with intervals over seeds.

The seed is the unit throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sis_engine.analysis.acceleration import acceleration_ratio, acceleration_ratio_paper
from sis_engine.analysis.clustered import (
    Interval,
    holm,
    log_rank_permuted,
    share_interval,
)
from sis_engine.comparison.metrics import METRICS, known, mean_interval, metric_interval
from sis_engine.comparison.reach import (
    Reach,
    first_passed,
    mean_ratio,
    price,
    reach_of,
    stable_and_passed,
)
from sis_engine.comparison.results import ExamResult, RunResult


@dataclass(frozen=True)
class CostPoint:
    """One arm at one cost. n_with_model: seeds that had a model by then; the others lack a value"""

    cost: int
    n_with_model: int
    values: dict[str, Interval | None]


@dataclass(frozen=True, eq=False)
class ArmOutcome:
    """One arm of one case.

    reach: evaluations to *stable and passed*;  first_pass: to the first examined model that passed,
        whatever the arm itself said (known to the spacing of the costs only)
    price: evaluations paid by all runs, for each that ended stable and passed
    false_stable: of the runs that called themselves stable, those that did not pass
    final: figures of the last models;  by_cost: of those at each cost
    acceleration, acceleration_paper: of the runs that passed
    seconds: means over runs, of labels, training, MD
    """

    case: str
    arm: str
    runs: tuple[RunResult, ...]
    reach: Reach
    first_pass: Reach
    price: Interval | None
    passed: Interval | None
    reached: Interval | None
    false_stable: Interval | None
    evaluations: Interval | None
    final: dict[str, Interval | None]
    by_cost: tuple[CostPoint, ...]
    acceleration: Interval | None
    acceleration_paper: Interval | None
    seconds: dict[str, Interval | None]


@dataclass(frozen=True)
class Versus:
    """An arm against the baseline.

    cost_ratio: of restricted mean evaluations to stable and passed, seeds paired
    *_p: permuted log-rank, replicas of a seed dealt out together. ``None``: nothing to test
    *_p_adjusted: by Holm's method over all other arms of the case, those that cannot be tested (or
        have no run yet) at p = 1
    """

    arm: str
    baseline: str
    cost_ratio: Interval | None
    reach_p: float | None
    reach_p_adjusted: float | None
    survival_p: float | None
    survival_p_adjusted: float | None


@dataclass(frozen=True, eq=False)
class CaseOutcome:
    """All arms of one case, in the file's order, each against the baseline."""

    case: str
    arms: tuple[ArmOutcome, ...]
    versus: tuple[Versus, ...]
    horizon: float

    def named(self, name: str) -> str:
        """A figure's or table's name, the case before it where there are several."""
        return f"{self.case}-{name}" if self.case else name

    @property
    def last_exams(self) -> tuple[ExamResult, ...]:
        found = [run.last_exam for arm in self.arms for run in arm.runs]
        return tuple(exam for exam in found if exam is not None)


def case_outcome(
    case: str,
    results: Sequence[RunResult],
    arms: Sequence[str],
    baseline: str,
    costs: Sequence[int],
) -> CaseOutcome | None:
    """Outcomes of a case; arms without a finished run are left out. ``None``: no run at all."""
    own = [item for item in results if item.case == case]
    if not own:
        return None
    horizon = float(max([item.evaluations for item in own] + [_budget(item) for item in own]))
    found = [
        _arm(case, arm, tuple(item for item in own if item.arm == arm), costs, horizon)
        for arm in arms
        if any(item.arm == arm for item in own)
    ]
    return CaseOutcome(case, tuple(found), _versus(found, baseline, arms), horizon)


# --------------------------------------------------------------------------- one arm


def _arm(
    case: str, arm: str, runs: tuple[RunResult, ...], costs: Sequence[int], horizon: float
) -> ArmOutcome:
    finals = [item.last_exam for item in runs]
    reached = [item for item in runs if item.reached]
    return ArmOutcome(
        case=case,
        arm=arm,
        runs=runs,
        reach=reach_of(runs, horizon, stable_and_passed),
        first_pass=reach_of(runs, horizon, first_passed),
        price=price(runs),
        passed=share_interval(sum(item.passed for item in runs), len(runs)),
        reached=share_interval(len(reached), len(runs)),
        false_stable=share_interval(sum(not item.passed for item in reached), len(reached)),
        evaluations=mean_interval([float(item.evaluations) for item in runs], positive=True),
        final={m.name: metric_interval(m, finals) for m in METRICS},
        by_cost=tuple(_at_cost(runs, cost) for cost in costs),
        acceleration=mean_interval(known([_acceleration(item) for item in runs]), positive=True),
        acceleration_paper=mean_interval(
            known([_acceleration_paper(item) for item in runs]), positive=True
        ),
        seconds={
            name: mean_interval([getattr(item, f"{name}_s") for item in runs])
            for name in ("label", "train", "md")
        },
    )


def _at_cost(runs: Sequence[RunResult], cost: int) -> CostPoint:
    exams = [item.exam_at(cost) for item in runs]
    had = [exam for exam in exams if exam is not None]
    return CostPoint(cost, len(had), {m.name: metric_interval(m, exams) for m in METRICS})


def _acceleration(run: RunResult) -> float | None:
    exam = run.last_exam
    if exam is None or not exam.passed or run.reference_timestep_fs is None:
        return None
    longest = max(life.time_ps for life in exam.lives)
    return acceleration_ratio(longest, run.evaluations, run.reference_timestep_fs)


def _acceleration_paper(run: RunResult) -> float | None:
    exam = run.last_exam
    if exam is None or not exam.passed:
        return None
    return acceleration_ratio_paper(max(life.time_ps for life in exam.lives), run.reference_md_ps)


def _budget(run: RunResult) -> int:
    """The largest of its phases' budgets."""
    given = [v for k, v in run.settings.items() if k.endswith(".budget.evaluations")]
    return max((int(item) for item in given if item is not None), default=0)


# --------------------------------------------------------------------------- against the baseline


def _versus(
    arms: Sequence[ArmOutcome], baseline: str, planned: Sequence[str]
) -> tuple[Versus, ...]:
    """planned: all arms of the case, with runs or without"""
    base = next((item for item in arms if item.arm == baseline), None)
    if base is None:
        return ()
    others = [item for item in arms if item.arm != baseline]
    reach = [_reach_p(item, base) for item in others]
    survival = [_survival_p(item, base) for item in others]
    n_tests = sum(name != baseline for name in planned)
    reach_adjusted, survival_adjusted = _adjusted(reach, n_tests), _adjusted(survival, n_tests)
    return tuple(
        Versus(
            item.arm,
            baseline,
            _cost_ratio(item, base),
            reach[k],
            reach_adjusted[k],
            survival[k],
            survival_adjusted[k],
        )
        for k, item in enumerate(others)
    )


def _adjusted(p_values: Sequence[float | None], n_tests: int) -> list[float | None]:
    """Of ``n_tests`` planned ones; those without a p value count as p = 1."""
    every = [1.0 if p is None else p for p in p_values] + [1.0] * (n_tests - len(p_values))
    adjusted = holm(every)
    return [None if p is None else adjusted[k] for k, p in enumerate(p_values)]


def _cost_ratio(arm: ArmOutcome, base: ArmOutcome) -> Interval | None:
    """Seeds that both arms have are drawn together: they share their start."""
    own = {r.seed: (t, c) for r, t, c in _rows(arm.reach, arm.runs)}
    theirs = {r.seed: (t, c) for r, t, c in _rows(base.reach, base.runs)}
    both = [seed for seed in own if seed in theirs]
    return mean_ratio(
        [own[seed] for seed in both], [theirs[seed] for seed in both], arm.reach.horizon
    )


def _rows(reach: Reach, runs: Sequence[RunResult]) -> list[tuple[RunResult, float, bool]]:
    return list(zip(runs, reach.times, reach.censored, strict=True))


def compared(arm: ArmOutcome, other: ArmOutcome) -> tuple[Interval | None, float | None]:
    """Ratio of costs of any two arms, and the p value of their evaluations, not adjusted."""
    return _cost_ratio(arm, other), _reach_p(arm, other)


def _reach_p(arm: ArmOutcome, base: ArmOutcome) -> float | None:
    rows = [(*row, False) for row in _rows(base.reach, base.runs)]
    rows += [(*row, True) for row in _rows(arm.reach, arm.runs)]
    found = log_rank_permuted(
        [t for _, t, _, _ in rows],
        [c for _, _, c, _ in rows],
        [second for *_, second in rows],
        [run.seed for run, *_ in rows],
    )
    return None if found is None else found.p_value


def _survival_p(arm: ArmOutcome, base: ArmOutcome) -> float | None:
    """Lives of the last models' replicas."""
    rows = [
        (life.time_ps, life.censored, item is arm, run.seed)
        for item in (base, arm)
        for run in item.runs
        if run.last_exam is not None
        for life in run.last_exam.lives
    ]
    if not rows:
        return None
    found = log_rank_permuted(*(list(column) for column in zip(*rows, strict=True)))
    return None if found is None else found.p_value

"""The first sentences of the page: what the finished runs allow to be said, and no more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sis_engine.analysis.clustered import Interval
from sis_engine.comparison.outcomes import ArmOutcome, CaseOutcome, Versus, compared
from sis_engine.comparison.report.cells import spread
from sis_engine.report.wording import count, listed, plural

LEVEL = 0.05


@dataclass(frozen=True)
class Rival:
    """An arm beside the cheapest. n_tests: by how many its p value was multiplied at most

    apart: p, adjusted, is below LEVEL, and the interval of the ratio of costs, if any, leaves out 1
    """

    arm: ArmOutcome
    apart: bool
    n_tests: int


def lead(case: CaseOutcome, n_arms: int) -> tuple[str, ...]:
    """Who passes and for how much, who cannot be told from it, who passes more often.

    n_arms: that the comparison has, those without a finished run too
    """
    head = f"{case.case}: " if case.case else ""
    return tuple(head + text for text in (*_cheapest(case, n_arms), *_falsely_stable(case)))


def _cheapest(case: CaseOutcome, n_arms: int) -> Iterator[str]:
    means = {
        arm.arm: arm.reach.restricted_mean.value
        for arm in case.arms
        if arm.reach.restricted_mean is not None
    }
    if not means:
        yield "no arm reached a model that is stable and passes."
        return
    best = min((arm for arm in case.arms if arm.arm in means), key=lambda arm: means[arm.arm])
    yield _verdict(best, rivals(case, best, n_arms))
    oftener = [arm for arm in case.arms if _share(arm) > _share(best)]
    if oftener:
        told = listed([f"{arm.arm} ({_arrived(arm)})" for arm in oftener])
        yield f"more runs got there of {told}."


def _verdict(best: ArmOutcome, others: Sequence[Rival]) -> str:
    """What the lowest mean is worth beside each other arm."""
    what = "restricted mean cost of a model that is stable and passes"
    cost = (
        f"{spread(best.reach.restricted_mean)} evaluations ({_arrived(best)} runs got there; one "
        f"that never does counts {count(round(best.reach.horizon))})"
    )
    if not others:
        return f"{best.arm}: {what} {cost}; there is no other arm to compare it with."
    told = f"{best.arm} has the lowest {what}: {cost}"
    if not any(_could_differ(best, item) for item in others):
        return (
            f"too few runs to tell arms apart: with {plural(len(best.runs), 'run')} of the "
            f"cheapest no difference, however large, could be told from chance. So far, {told}."
        )
    apart = [item.arm.arm for item in others if item.apart]
    alike = [item.arm.arm for item in others if not item.apart]
    if not apart:
        return f"no arm is shown to be cheapest. {told}, not distinguishable from {listed(alike)}."
    less = f"{told}, less than {listed(apart)} (adjusted p < {LEVEL})"
    return f"{less}; it is not distinguishable from {listed(alike)}." if alike else f"{less}."


# --------------------------------------------------------------------------- who differs


def rivals(case: CaseOutcome, best: ArmOutcome, n_arms: int) -> tuple[Rival, ...]:
    """Every other arm beside the cheapest one.

    Comparisons with the baseline were planned, and Holm's adjustment for their number holds. Any
    other pair is chosen by what came out: its p value is multiplied by the number of all pairs.
    """
    planned = {
        item.baseline if item.arm == best.arm else item.arm: item
        for item in case.versus
        if best.arm in (item.arm, item.baseline)
    }
    return tuple(
        _planned(arm, planned[arm.arm], n_arms - 1)
        if arm.arm in planned
        else _chosen(arm, best, math.comb(n_arms, 2))
        for arm in case.arms
        if arm is not best
    )


def _planned(arm: ArmOutcome, versus: Versus, n_tests: int) -> Rival:
    return Rival(arm, _apart(versus.cost_ratio, versus.reach_p_adjusted), n_tests)


def _chosen(arm: ArmOutcome, best: ArmOutcome, n_tests: int) -> Rival:
    ratio, p = compared(arm, best)
    return Rival(arm, _apart(ratio, None if p is None else n_tests * p), n_tests)


def _apart(ratio: Interval | None, p_adjusted: float | None) -> bool:
    holds_one = (
        ratio is not None
        and ratio.lower is not None
        and ratio.upper is not None
        and ratio.lower <= 1.0 <= ratio.upper
    )
    return p_adjusted is not None and p_adjusted < LEVEL and not holds_one


def _could_differ(best: ArmOutcome, rival: Rival) -> bool:
    """Would the log-rank test find them apart if every run of one were beyond all of the other?"""
    n, other = len(best.runs), len(rival.arm.runs)
    as_far = 2 if n == other else 1
    return rival.n_tests * as_far / math.comb(n + other, n) < LEVEL


# --------------------------------------------------------------------------- words


def _falsely_stable(case: CaseOutcome) -> Iterator[str]:
    false = [arm for arm in case.arms if arm.false_stable and arm.false_stable.value > 0.0]
    if false:
        told = "; ".join(
            f"{arm.arm} {count(sum(r.reached and not r.passed for r in arm.runs))} of "
            f"{count(sum(r.reached for r in arm.runs))}"
            for arm in false
        )
        yield f"ended stable by their own word but did not pass: {told}."


def _share(arm: ArmOutcome) -> float:
    return arm.reach.n_reached / len(arm.runs)


def _arrived(arm: ArmOutcome) -> str:
    return f"{arm.reach.n_reached} of {len(arm.runs)}"

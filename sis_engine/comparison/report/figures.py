"""The figures of a comparison, as drawings: one set for each case."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from sis_engine.analysis.clustered import Interval
from sis_engine.analysis.survival import kaplan_meier
from sis_engine.comparison.metrics import METRICS, Metric, floor_in, unit_in
from sis_engine.comparison.outcomes import ArmOutcome, CaseOutcome
from sis_engine.comparison.reach import Reach
from sis_engine.comparison.report.drawing import REFERENCE, Bar, Drawing, Line, Mark, Plate, Rule
from sis_engine.comparison.report.run_figures import models_plate
from sis_engine.comparison.report.stairs import height, limits_told, stairs
from sis_engine.report.scale import Axis, spanning

LOWEST, HIGHEST = -0.03, 1.05
"""Of an axis of shares: what lies at none or at all is seen whole."""

SHARE = ((0.0, "0"), (0.25, ""), (0.5, "0.5"), (0.75, ""), (1.0, "1"))
MOST_PAIRS = 6

DODGE = 0.15
"""Of the distance between two costs: what all arms together take up side by side."""


def plates(case: CaseOutcome) -> tuple[Plate, ...]:
    """All figures of a case, in the order of the page."""
    return (
        reach_plate(case),
        cost_plate(case),
        lives_plate(case),
        pairs_plate(case),
        time_plate(case),
        models_plate(case),
    )


def _legend(case: CaseOutcome) -> tuple[tuple[str, int], ...]:
    return tuple((arm.arm, index) for index, arm in enumerate(case.arms))


# --------------------------------------------------------------------------- evaluations to pass


def reach_plate(case: CaseOutcome) -> Plate:
    """How many evaluations it takes: the share that has passed by a cost, and the mean cost."""
    n = sum(len(arm.runs) for arm in case.arms)
    return Plate(
        case.named("reach"),
        "Evaluations to stable and passed",
        f"Left: share of the seeds of each arm that said stable and passed the examiner by a "
        f"number of evaluations (one minus Kaplan–Meier; {limits_told(len(case.arms))}; hollow: a "
        f"run was stopped there; {n} runs). Middle: the same for the first examined model that "
        f"passed, whatever the arm itself said, as finely as the costs are spaced. Right: "
        f"restricted mean of min(evaluations, {case.horizon:.0f}) to stable and passed, with 95 % "
        f"intervals over seeds (none where all runs are alike; hollow: no run passed, and the mean "
        f"is not known). A run that ended without passing is censored, never dropped: at what it "
        f"had paid where its evaluations or wall time ran out, otherwise at the horizon.",
        (
            _reach_drawing(case, "reach-share", "Stable and passed", [a.reach for a in case.arms]),
            _reach_drawing(
                case, "reach-first", "First model that passes", [a.first_pass for a in case.arms]
            ),
            _forest(case),
        ),
    )


def _reach_drawing(case: CaseOutcome, name: str, title: str, reaches: Sequence[Reach]) -> Drawing:
    curves = [(arm.arm, reach.curve) for arm, reach in zip(case.arms, reaches, strict=True)]
    drawn = stairs(curves, case.horizon, rising=True)
    stopped = [
        Mark(at, height(line, at), series, hollow=True, tip="stopped here")
        for series, (line, reach) in enumerate(zip(drawn.lines, reaches, strict=True))
        for at, censored in zip(reach.times, reach.censored, strict=True)
        if censored and at < case.horizon
    ]
    return Drawing(
        case.named(name),
        title,
        Axis("evaluations", 0.0, case.horizon * 1.02),
        Axis("share of seeds", LOWEST, HIGHEST, marks=SHARE),
        lines=tuple(drawn.lines),
        areas=tuple(drawn.areas),
        marks=(*drawn.marks, *stopped),
        legend=_legend(case),
    )


def _forest(case: CaseOutcome) -> Drawing:
    """One row an arm; the first on top."""
    marks = []
    for series, arm in enumerate(case.arms):
        found = arm.reach.restricted_mean
        row = float(len(case.arms) - series)
        if found is None:
            marks.append(Mark(case.horizon, row, series, hollow=True, tip=f"{arm.arm}: none"))
        else:
            tip = f"{arm.arm}: {found.value:.0f}"
            marks.append(
                Mark(found.value, row, series, found.lower, found.upper, lying=True, tip=tip)
            )
    return Drawing(
        case.named("reach-mean"),
        "Restricted mean cost",
        Axis("evaluations", 0.0, case.horizon * 1.05),
        _rows(case),
        marks=tuple(marks),
        rules=(Rule(case.horizon, upright=True),),
        left=_left(case),
    )


def _rows(case: CaseOutcome) -> Axis:
    """A row for each arm, the first on top."""
    n = len(case.arms)
    return Axis(
        "", 0.3, n + 0.7, marks=tuple((float(n - k), a.arm) for k, a in enumerate(case.arms))
    )


def _left(case: CaseOutcome) -> float:
    """Room for the arms' names beside the rows, in pixels."""
    return max(52.0, 12.0 + 6.2 * max(len(arm.arm) for arm in case.arms))


# --------------------------------------------------------------------------- figures by cost


def cost_plate(case: CaseOutcome) -> Plate:
    """Every metric of the examination against what had been paid."""
    drawings = tuple(
        drawing for metric in METRICS if (drawing := _cost_drawing(case, metric)) is not None
    )
    return Plate(
        case.named("by-cost"),
        "The examiner’s figures by cost",
        "Means over seeds of the model that each arm had for so many evaluations, with 95 % "
        "intervals over seeds (shares: exact binomial). A seed without a model at a cost has no "
        "figure there; after its end an arm keeps its last model. Figures of MD exist only where "
        "MD lived long enough to measure them. No interval: fewer than three seeds, or all alike. "
        f"Arms are drawn side by side, at most {_aside(case, 0):.3g} evaluations beside the cost "
        "they belong to. An RDF error below its floor, the difference between the halves of the "
        "reference, cannot be told from none.",
        drawings,
        note="No model was examined at any of the costs.",
    )


def _aside(case: CaseOutcome, series: int) -> float:
    """How far left of a cost an arm is drawn: the first furthest, the last as far to the right."""
    costs = [0, *sorted(point.cost for point in case.arms[0].by_cost)]
    gap = min((after - before for before, after in itertools.pairwise(costs)), default=0)
    n = len(case.arms)
    return DODGE * gap * (0.5 - series / (n - 1)) if n > 1 else 0.0


def _cost_drawing(case: CaseOutcome, metric: Metric) -> Drawing | None:
    lines: list[Line] = []
    marks: list[Mark] = []
    costs = [point.cost for point in case.arms[0].by_cost]
    for series, arm in enumerate(case.arms):
        known = [
            (point.cost - _aside(case, series), found, point)
            for point in arm.by_cost
            if (found := point.values[metric.name]) is not None
        ]
        lines.append(
            Line(tuple(x for x, _, _ in known), tuple(i.value for _, i, _ in known), series)
        )
        marks += [
            Mark(
                x, found.value, series, found.lower, found.upper,
                tip=f"{arm.arm}, {point.cost}: {found.value:.4g} (n = {found.n})",
            )
            for x, found, point in known
        ]  # fmt: skip
    if not marks:
        return None
    floor = floor_in(metric, case.last_exams)
    shown = [v for m in marks for v in (m.y, m.low, m.high, floor) if v is not None]
    return Drawing(
        case.named(f"cost-{metric.name.replace('_', '-')}"),
        metric.title,
        spanning("evaluations", [*costs, *(m.x for m in marks)], floor=0.0),
        _axis_of(metric, unit_in(metric, case.last_exams), shown),
        lines=tuple(line for line in lines if line.xs),
        marks=tuple(marks),
        rules=() if floor is None else (Rule(floor, text="floor"),),
        legend=_legend(case),
    )


def _axis_of(metric: Metric, unit: str, values: Sequence[float]) -> Axis:
    if unit == "share":
        return Axis("share", LOWEST, HIGHEST, marks=SHARE)
    return spanning(unit or metric.title, values, floor=0.0)


# --------------------------------------------------------------------------- lives


def lives_plate(case: CaseOutcome) -> Plate:
    """Kaplan-Meier curves of the examiner's MD with the last models."""
    lives = [
        [life for run in arm.runs if run.last_exam is not None for life in run.last_exam.lives]
        for arm in case.arms
    ]
    curves = [
        (
            arm.arm,
            kaplan_meier([i.time_ps for i in own], [i.censored for i in own]) if own else None,
        )
        for arm, own in zip(case.arms, lives, strict=True)
    ]
    duration = max((exam.duration_ps for exam in case.last_exams), default=1.0)
    drawn = stairs(curves, duration, rising=False)
    drawing = Drawing(
        case.named("lives"),
        "Survival of the last models",
        Axis("time / ps", 0.0, 1.02 * duration),
        Axis("share alive", LOWEST, HIGHEST, marks=SHARE),
        lines=tuple(drawn.lines),
        areas=tuple(drawn.areas),
        marks=tuple(drawn.marks),
        legend=_legend(case),
    )
    return Plate(
        case.named("survival"),
        "How long the examiner’s MD lives",
        f"Kaplan–Meier estimate over the {sum(map(len, lives))} replicas of the last model of "
        f"every run ({limits_told(len(case.arms))}; they take replicas as independent, the tests "
        "in the table do not).",
        (drawing,) if drawn.lines else (),
        note="No last model was examined.",
    )


# --------------------------------------------------------------------------- structure


def pairs_plate(case: CaseOutcome) -> Plate:
    """Pair distances of the last models beside the reference's, means over seeds."""
    names = dict.fromkeys(
        (p.system, p.pair) for exam in case.last_exams for p in exam.pairs if p.reference
    )
    drawings = tuple(_pair_drawing(case, system, pair) for system, pair in list(names)[:MOST_PAIRS])
    return Plate(
        case.named("structure"),
        "Structure",
        "Pair distances in the examiner’s MD with the last models (means over seeds) and in the "
        "reference trajectory (dashed).",
        drawings,
        note="No MD lived long enough to compare structures.",
    )


def _pair_drawing(case: CaseOutcome, system: str, pair: tuple[str, str]) -> Drawing:
    lines: list[Line] = []
    reference: Line | None = None
    kind = ""
    for series, arm in enumerate(case.arms):
        curves = [
            item
            for run in arm.runs
            if run.last_exam is not None
            for item in run.last_exam.pairs
            if item.system == system and item.pair == pair and item.model
        ]
        if not curves:
            continue
        kind, xs = curves[0].kind, curves[0].r_angstrom
        mean = tuple(
            math.fsum(values) / len(curves)
            for values in zip(*(c.model for c in curves), strict=True)
        )
        lines.append(Line(xs, mean, series, tip=arm.arm))
        reference = reference or Line(xs, curves[0].reference, REFERENCE, dashed=True)
    if reference is not None:
        lines.append(reference)
    top = max((y for line in lines for y in line.ys), default=1.0) or 1.0
    legend = (*_legend(case), ("reference", REFERENCE))
    return Drawing(
        case.named(f"pair-{system}-{pair[0]}-{pair[1]}"),
        f"{pair[0]}–{pair[1]} ({system})",
        Axis("r / Å", 0.0, lines[0].xs[-1] if lines else 1.0),
        Axis(kind or "g(r)", 0.0, 1.06 * top),
        lines=tuple(lines),
        legend=legend,
    )


# --------------------------------------------------------------------------- seconds


def time_plate(case: CaseOutcome) -> Plate:
    """Mean seconds of a run by what took them."""
    bars: list[Bar] = []
    kinds = ("label", "train", "md")
    for number, arm in enumerate(case.arms):
        base = 0.0
        for series, kind in enumerate(kinds):
            minutes = _minutes(arm, kind)
            if minutes > 0.0:
                tip = f"{arm.arm}, {kind}: {minutes:.3g} min"
                row = float(len(case.arms) - number)
                bars.append(Bar(row, 0.32, base, base + minutes, series, tip))
                base += minutes
    drawing = Drawing(
        case.named("time"),
        "Time of a run",
        spanning("minutes", [bar.high for bar in bars], floor=0.0),
        _rows(case),
        bars=tuple(bars),
        legend=tuple((name, k) for k, name in enumerate(("labels", "training", "MD"))),
        left=_left(case),
    )
    return Plate(
        case.named("cost"),
        "What a run took",
        "Mean wall time over seeds: labels (at the time each took where it was made, also those "
        "that another arm had made before), training, and MD of all members; the examiner’s are "
        "not in it. Whatever else the machine did meanwhile is: evaluations compare better.",
        (drawing,) if bars else (),
        note="Nothing was timed.",
    )


def _minutes(arm: ArmOutcome, kind: str) -> float:
    found: Interval | None = arm.seconds[kind]
    return 0.0 if found is None else found.value / 60.0

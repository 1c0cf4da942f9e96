"""The figures of a comparison, as drawings: one set for each case."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sis_engine.analysis.clustered import Interval
from sis_engine.analysis.survival import KaplanMeier, kaplan_meier
from sis_engine.comparison.drawing import Area, Bar, Drawing, Line, Mark, Rule
from sis_engine.comparison.metrics import METRICS, Metric
from sis_engine.comparison.outcomes import ArmOutcome, CaseOutcome
from sis_engine.comparison.reach import Reach
from sis_engine.report.scale import Axis, spanning

SHARE = ((0.0, "0"), (0.25, ""), (0.5, "0.5"), (0.75, ""), (1.0, "1"))
MOST_PAIRS = 6


@dataclass(frozen=True)
class Plate:
    """Drawings under one caption."""

    id: str
    title: str
    caption: str
    drawings: tuple[Drawing, ...]
    note: str = ""


def plates(case: CaseOutcome) -> tuple[Plate, ...]:
    """All figures of a case, in the order of the page."""
    return (
        reach_plate(case),
        cost_plate(case),
        lives_plate(case),
        pairs_plate(case),
        time_plate(case),
    )


def _named(case: CaseOutcome, name: str) -> str:
    return f"{case.case}-{name}" if case.case else name


def _legend(case: CaseOutcome) -> tuple[tuple[str, int], ...]:
    return tuple((arm.arm, index) for index, arm in enumerate(case.arms))


# --------------------------------------------------------------------------- evaluations to pass


def reach_plate(case: CaseOutcome) -> Plate:
    """How many evaluations it takes: the share that has passed by a cost, and the mean cost."""
    n = sum(len(arm.runs) for arm in case.arms)
    return Plate(
        _named(case, "reach"),
        "Evaluations to stable and passed",
        f"Left: share of the seeds of each arm that said stable and passed the examiner by a "
        f"number of evaluations (one minus Kaplan–Meier; bands: pointwise 95 %; {n} runs). "
        f"Middle: the same for the first examined model that passed, whatever the arm itself said, "
        f"as finely as the costs are spaced. Right: restricted mean of min(evaluations, "
        f"{case.horizon:.0f}) to stable and passed, with 95 % intervals over seeds (hollow: none "
        f"passed). A run that ended without passing is censored, never dropped: at what it had "
        f"paid where its evaluations or wall time ran out, otherwise at the horizon.",
        (
            _reach_drawing(case, "reach-share", "Stable and passed", [a.reach for a in case.arms]),
            _reach_drawing(
                case, "reach-first", "First model that passes", [a.first_pass for a in case.arms]
            ),
            _forest(case),
        ),
    )


def _reach_drawing(case: CaseOutcome, name: str, title: str, reaches: Sequence[Reach]) -> Drawing:
    lines: list[Line] = []
    areas: list[Area] = []
    marks: list[Mark] = []
    for series, reach in enumerate(reaches):
        xs, share, low, high = _climb(reach.curve, case.horizon)
        lines.append(Line(xs, share, series, steps=True, tip=case.arms[series].arm))
        areas.append(Area(xs, low, high, series, steps=True))
        for at, censored in zip(reach.times, reach.censored, strict=True):
            if censored and at < case.horizon:
                marks.append(Mark(at, _at(xs, share, at), series, hollow=True, tip="stopped here"))
    return Drawing(
        _named(case, name),
        title,
        Axis("evaluations", 0.0, case.horizon * 1.02),
        Axis("share of seeds", 0.0, 1.05, marks=SHARE),
        lines=tuple(lines),
        areas=tuple(areas),
        marks=tuple(marks),
        legend=_legend(case),
    )


def _climb(
    curve: KaplanMeier, end: float
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """One minus the estimate from zero to ``end``, with its limits."""
    xs = (0.0, *map(float, curve.time_ps))
    share = (0.0, *(1.0 - float(s) for s in curve.survival))
    low = (0.0, *(1.0 - float(s) for s in curve.upper))
    high = (0.0, *(1.0 - float(s) for s in curve.lower))
    if xs[-1] < end:
        xs, share = (*xs, end), (*share, share[-1])
        low, high = (*low, low[-1]), (*high, high[-1])
    return xs, share, low, high


def _at(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    return next((y for at, y in zip(reversed(xs), reversed(ys), strict=True) if at <= x), ys[0])


def _forest(case: CaseOutcome) -> Drawing:
    """One row an arm; the first on top."""
    n = len(case.arms)
    marks = []
    for series, arm in enumerate(case.arms):
        found = arm.reach.restricted_mean
        if found is not None:
            marks.append(
                Mark(
                    found.value, float(n - series), series, found.lower, found.upper, lying=True,
                    hollow=arm.reach.n_reached == 0, tip=f"{arm.arm}: {found.value:.0f}",
                )
            )  # fmt: skip
    return Drawing(
        _named(case, "reach-mean"),
        "Restricted mean cost",
        Axis("evaluations", 0.0, case.horizon * 1.05),
        Axis("", 0.3, n + 0.7, marks=tuple((float(n - k), a.arm) for k, a in enumerate(case.arms))),
        marks=tuple(marks),
        rules=(Rule(case.horizon, upright=True),),
        left=max(52.0, 12.0 + 6.2 * max(len(arm.arm) for arm in case.arms)),
    )


# --------------------------------------------------------------------------- figures by cost


def cost_plate(case: CaseOutcome) -> Plate:
    """Every metric of the examination against what had been paid."""
    drawings = tuple(
        drawing for metric in METRICS if (drawing := _cost_drawing(case, metric)) is not None
    )
    return Plate(
        _named(case, "by-cost"),
        "The examiner’s figures by cost",
        "Means over seeds of the model that each arm had for so many evaluations, with 95 % "
        "intervals over seeds (shares: exact binomial). A seed without a model at a cost has no "
        "figure there; after its end an arm keeps its last model. Figures of MD exist only where "
        "MD lived long enough to measure them.",
        drawings,
        note="No model was examined at any of the costs.",
    )


def _cost_drawing(case: CaseOutcome, metric: Metric) -> Drawing | None:
    lines: list[Line] = []
    marks: list[Mark] = []
    costs = [point.cost for point in case.arms[0].by_cost]
    spread = (max(costs) - min(costs)) / max(len(costs) - 1, 1) if len(costs) > 1 else 1.0
    for series, arm in enumerate(case.arms):
        shift = 0.07 * spread * (series - 0.5 * (len(case.arms) - 1))
        known = [
            (point.cost + shift, found, point)
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
    shown = [v for m in marks for v in (m.y, m.low, m.high) if v is not None]
    return Drawing(
        _named(case, f"cost-{metric.name.replace('_', '-')}"),
        metric.title,
        spanning("evaluations", [*costs, *(m.x for m in marks)], floor=0.0),
        _axis_of(metric, shown),
        lines=tuple(line for line in lines if line.xs),
        marks=tuple(marks),
        legend=_legend(case),
    )


def _axis_of(metric: Metric, values: Sequence[float]) -> Axis:
    if metric.unit == "share":
        return Axis("share", 0.0, 1.05, marks=SHARE)
    return spanning(metric.unit or metric.title, values, floor=0.0)


# --------------------------------------------------------------------------- lives


def lives_plate(case: CaseOutcome) -> Plate:
    """Kaplan-Meier curves of the examiner's MD with the last models."""
    lines: list[Line] = []
    areas: list[Area] = []
    duration = 0.0
    n = 0
    for series, arm in enumerate(case.arms):
        exams = [run.last_exam for run in arm.runs if run.last_exam is not None]
        lives = [life for exam in exams for life in exam.lives]
        if not lives:
            continue
        n += len(lives)
        duration = max(duration, *(exam.duration_ps for exam in exams))
        curve = kaplan_meier([i.time_ps for i in lives], [i.censored for i in lives])
        xs, died, low, high = _climb(curve, duration)
        lines.append(Line(xs, tuple(1.0 - d for d in died), series, steps=True, tip=arm.arm))
        areas.append(
            Area(xs, tuple(1.0 - h for h in high), tuple(1.0 - v for v in low), series, steps=True)
        )
    drawing = Drawing(
        _named(case, "lives"),
        "Survival of the last models",
        Axis("time / ps", 0.0, 1.02 * max(duration, 1e-6)),
        Axis("share alive", 0.0, 1.05, marks=SHARE),
        lines=tuple(lines),
        areas=tuple(areas),
        legend=_legend(case),
    )
    return Plate(
        _named(case, "survival"),
        "How long the examiner’s MD lives",
        f"Kaplan–Meier estimate over the {n} replicas of the last model of every run, with "
        f"pointwise 95 % bands that take replicas as independent; the tests in the table do not.",
        (drawing,) if lines else (),
        note="No last model was examined.",
    )


# --------------------------------------------------------------------------- structure


def pairs_plate(case: CaseOutcome) -> Plate:
    """Pair distances of the last models beside the reference's, means over seeds."""
    exams = [r.last_exam for arm in case.arms for r in arm.runs if r.last_exam is not None]
    names = dict.fromkeys((p.system, p.pair) for exam in exams for p in exam.pairs if p.reference)
    drawings = tuple(_pair_drawing(case, system, pair) for system, pair in list(names)[:MOST_PAIRS])
    return Plate(
        _named(case, "structure"),
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
        reference = reference or Line(xs, curves[0].reference, len(case.arms), dashed=True)
    if reference is not None:
        lines.append(reference)
    top = max((y for line in lines for y in line.ys), default=1.0) or 1.0
    legend = (*_legend(case), ("reference", len(case.arms)))
    return Drawing(
        _named(case, f"pair-{system}-{pair[0]}-{pair[1]}"),
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
                bars.append(Bar(float(number), 0.32, base, base + minutes, series, tip))
                base += minutes
    drawing = Drawing(
        _named(case, "time"),
        "Time of a run",
        Axis(
            "", -0.6, len(case.arms) - 0.4,
            marks=tuple((float(k), arm.arm) for k, arm in enumerate(case.arms)),
        ),
        spanning("minutes", [bar.high for bar in bars], floor=0.0),
        bars=tuple(bars),
        legend=tuple((name, k) for k, name in enumerate(("labels", "training", "MD"))),
    )  # fmt: skip
    return Plate(
        _named(case, "cost"),
        "What a run took",
        "Mean wall time over seeds: labels (at the time each took where it was made, also those "
        "that another arm had made before), training, and MD of all members; the examiner’s are "
        "not in it.",
        (drawing,) if bars else (),
        note="Nothing was timed.",
    )


def _minutes(arm: ArmOutcome, kind: str) -> float:
    found: Interval | None = arm.seconds[kind]
    return 0.0 if found is None else found.value / 60.0

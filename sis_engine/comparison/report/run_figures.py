"""Figures of every run by itself: how long MD lived with each of its models."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sis_engine.comparison.outcomes import ArmOutcome, CaseOutcome
from sis_engine.comparison.report.drawing import Drawing, Line, Mark, Plate
from sis_engine.comparison.results import ModelResult, RunResult
from sis_engine.report.scale import spanning

FEW_SEEDS = 3
"""The replicas of more hide each other."""


def models_plate(case: CaseOutcome) -> Plate:
    """A drawing for each arm, a curve for each of its seeds."""
    seeds = tuple(dict.fromkeys(run.seed for arm in case.arms for run in arm.runs))
    drawings = tuple(
        _drawing(case, arm, seeds)
        for arm in case.arms
        if any(model.lives_ps for run in arm.runs for model in run.models)
    )
    return Plate(
        case.named("models-lives"),
        "How long each run’s own MD lived",
        "Mean over replicas of t_cp, the time at which MD of a model failed (or ended), for every "
        f"model of every run, by what had been paid for it; seeds apart. Points: {_points(seeds)}.",
        drawings,
        note="No model’s MD was recorded.",
    )


def _points(seeds: tuple[int, ...]) -> str:
    if len(seeds) > FEW_SEEDS:
        return "means (filled: a replica failed; hollow: all lived to the end, or it is not known)"
    return "replicas (filled: failed; hollow: lived to the end, or it is not known)"


def _drawing(case: CaseOutcome, arm: ArmOutcome, seeds: tuple[int, ...]) -> Drawing:
    lines: list[Line] = []
    marks: list[Mark] = []
    for run in arm.runs:
        series = seeds.index(run.seed)
        known = [model for model in run.models if model.lives_ps]
        xs = tuple(float(model.evaluations) for model in known)
        lines.append(Line(xs, tuple(_mean(model) for model in known), series, tip=_name(run)))
        for model in known:
            marks += _marks(model, series, apart=len(seeds) <= FEW_SEEDS)
    return Drawing(
        case.named(f"models-{arm.arm}"),
        arm.arm,
        spanning("evaluations", [x for line in lines for x in line.xs], floor=0.0),
        spanning("t_cp / ps", [mark.y for mark in marks], floor=0.0),
        lines=tuple(lines),
        marks=tuple(marks),
        legend=tuple((f"seed {seed}", k) for k, seed in enumerate(seeds)),
    )


def _marks(model: ModelResult, series: int, *, apart: bool) -> Iterator[Mark]:
    x = float(model.evaluations)
    ended = model.censored or (True,) * len(model.lives_ps)
    tip = f"generation {model.generation}"
    if not apart:
        yield Mark(x, _mean(model), series, hollow=all(ended), tip=tip)
        return
    for life, lived_on in zip(model.lives_ps, ended, strict=True):
        yield Mark(x, life, series, hollow=lived_on, tip=tip)


def _mean(model: ModelResult) -> float:
    return math.fsum(model.lives_ps) / len(model.lives_ps)


def _name(run: RunResult) -> str:
    return f"seed {run.seed}"

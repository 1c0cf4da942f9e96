"""How long replicas lived: every life by generation, and Kaplan-Meier curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sis_engine.analysis.survival import KaplanMeier, hazard_of, kaplan_meier, survival_bound
from sis_engine.numerals import beside, figure
from sis_engine.records import Life
from sis_engine.report.blocks import Figure, Table, columns
from sis_engine.report.scale import Axis, spanning
from sis_engine.report.svg import Panel, colour
from sis_engine.report.wording import count, picoseconds, plural

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord


def survival_curve(lives: Sequence[Life]) -> KaplanMeier | None:
    """Kaplan-Meier estimate over replicas; ``None`` without lives."""
    if not lives:
        return None
    return kaplan_meier([life.time_ps for life in lives], [life.censored for life in lives])


def lives_figure(records: Sequence[GenerationRecord]) -> Figure:
    """Every replica's life against its generation; hollow: it lived to the end."""
    lives = [life for record in records for life in record.lives]
    systems = sorted({life.system for life in lives})
    caption = (
        f"Lives of {plural(len(lives), 'replica')}: MD time until the first verdict (filled), or "
        f"to the end of the run without one (hollow, censored: the life is at least this long). "
        f"The bar is the generation’s median where at least half of its replicas died."
    )
    if not lives:
        return Figure("lives", "Lives by generation", "", note="No MD has been judged yet.")
    panel = _lives_panel(records, lives, systems)
    return Figure("lives", "Lives by generation", caption, (panel.svg(),), layout="wide")


def _lives_panel(
    records: Sequence[GenerationRecord], lives: Sequence[Life], systems: Sequence[str]
) -> Panel:
    generations = [record.generation for record in records]
    x = generation_axis(generations)
    y = spanning("life / ps", [max(life.time_ps, 1e-4) for life in lives], log=True)
    panel = Panel("Life of every replica", x, y, width=460, height=250)
    for end in sorted({round(life.time_ps, 6) for life in lives if life.censored})[-1:]:
        panel.level(end, "c8")
        panel.note(panel.inner_width - 3.0, panel.py(end) + 13.0, f"{end:g} ps, to the end", "end")
    for record in records:
        own = record.lives
        curve = survival_curve(own)
        if curve is not None and curve.median_ps is not None:
            _tick(panel, record.generation, max(curve.median_ps, 1e-4))
        for index, life in enumerate(own):
            shift = 0.0 if len(own) < 2 else 0.5 * (index / (len(own) - 1) - 0.5)
            css = colour(systems.index(life.system))
            panel.dot(
                life.generation + shift,
                max(life.time_ps, 1e-4),
                css,
                hollow=life.censored,
                tip=_life_tip(life),
                size=4.5,
            )
    for index, system in enumerate(systems):
        panel.legend(f"{system}: died", colour(index), "circle")
        panel.legend("lived to the end", colour(index), "-circle")
    return panel


def _tick(panel: Panel, generation: int, value: float) -> None:
    panel.curve([generation - 0.33, generation + 0.33], [value, value], "ink", tip="median life")


def _life_tip(life: Life) -> str:
    if life.verdict is None:
        return f"{life.replica}: lived to the end, {picoseconds(life.time_ps)}"
    value, limit = beside(life.verdict.value, life.verdict.limit)
    return (
        f"{life.replica}: {picoseconds(life.time_ps)}; {life.verdict.monitor}: "
        f"{life.verdict.criterion} (value {value}, limit {limit})"
    )


def generation_axis(generations: Sequence[int]) -> Axis:
    """One place for each generation."""
    low, high = min(generations, default=0), max(generations, default=0)
    stride = max(1, math.ceil((high - low + 1) / 14))
    marks = tuple((float(g), str(g)) for g in range(low, high + 1, stride))
    return Axis("generation", low - 0.6, high + 0.6, marks=marks)


def survival_figure(records: Sequence[GenerationRecord]) -> Figure:
    """One Kaplan-Meier curve a generation, with its 95 % interval."""
    panels = []
    n = 0
    for record in records:
        curve = survival_curve(record.lives)
        if curve is not None:
            panels.append(_survival_panel(record, curve, "c1"))
            n += len(record.lives)
    caption = (
        f"Kaplan–Meier estimate of the share of replicas still physical after a time, with its "
        f"pointwise 95 % interval (n = {n} lives in {plural(len(panels), 'generation')}). Circles "
        f"are censored lives. With few replicas the interval is wide, and where none "
        f"died there is no curve to estimate: the band is then the exact binomial bound."
    )
    if not panels:
        return Figure("survival", "Survival", "", note="No MD has been judged yet.")
    return Figure("survival", "Survival by generation", caption, tuple(panels))


def _survival_panel(record: GenerationRecord, curve: KaplanMeier, css: str) -> str:
    lives = record.lives
    died = sum(not life.censored for life in lives)
    longest = max(1e-6, *(life.time_ps for life in lives))
    x = Axis("time / ps", 0.0, longest * 1.05)
    y = Axis(
        "share alive", 0.0, 1.06, marks=((0, "0"), (0.25, ""), (0.5, "0.5"), (0.75, ""), (1, "1"))
    )
    panel = Panel(
        f"Generation {record.generation}: {died} of {len(lives)} died", x, y, height=200, width=300
    )
    times = [0.0, *map(float, curve.time_ps), longest]
    share = [1.0, *map(float, curve.survival)]
    share.append(share[-1])
    low, high = [1.0, *map(float, curve.lower)], [1.0, *map(float, curve.upper)]
    low.append(low[-1])
    high.append(high[-1])
    if died == 0:
        low = [survival_bound(len(lives), len(lives))] * len(times)
    panel.band(*_steps(times, low, high), css)
    panel.stairs(times, share, css)
    for life in lives:
        if life.censored:
            panel.dot(life.time_ps, _at(times, share, life.time_ps), css, hollow=True, size=3.5)
    return panel.svg()


def _steps(
    times: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> tuple[list[float], list[float], list[float]]:
    xs: list[float] = []
    lows: list[float] = []
    highs: list[float] = []
    for index, (t, a, b) in enumerate(zip(times, low, high, strict=True)):
        if index:
            xs.append(t)
            lows.append(lows[-1])
            highs.append(highs[-1])
        xs.append(t)
        lows.append(a)
        highs.append(b)
    return xs, lows, highs


def _at(times: Sequence[float], share: Sequence[float], t: float) -> float:
    return next(
        (s for when, s in zip(reversed(times), reversed(share), strict=True) if when <= t), 1.0
    )


def survival_table(records: Sequence[GenerationRecord]) -> Table:
    """What the lives of each generation bound."""
    rows = [_survival_row(record) for record in records if record.lives]
    return Table(
        "survival-table",
        "Survival in numbers",
        "P(survive): lower 95 % limit of the probability that a replica lives to the end of its "
        "run (one-sided, exact binomial). Hazard: catastrophes per ps of MD with its exact Poisson "
        "95 % interval, as if it were constant in time.",
        columns(
            "generation", "#replicas", "#died", "#median life", "#P(survive) at least",
            "#hazard / (1/ps)", "#from", "#to",
        ),
        tuple(rows),
        note="No MD has been judged yet.",
    )  # fmt: skip


def _survival_row(record: GenerationRecord) -> tuple[str, ...]:
    lives = record.lives
    lived = sum(life.censored for life in lives)
    curve, hazard = survival_curve(lives), hazard_of(lives)
    return (
        str(record.generation),
        count(len(lives)),
        count(len(lives) - lived),
        picoseconds(None if curve is None else curve.median_ps),
        figure(survival_bound(lived, len(lives)), 2),
        figure(None if hazard is None else hazard.per_ps),
        figure(None if hazard is None else hazard.lower_per_ps),
        figure(None if hazard is None else hazard.upper_per_ps),
    )

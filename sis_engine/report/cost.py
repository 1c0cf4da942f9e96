"""What was paid: evaluations by purpose and generation, time by stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sis_engine.numerals import NOTHING
from sis_engine.records import Purpose
from sis_engine.report.blocks import Figure, Table, columns
from sis_engine.report.facts import CampaignFacts
from sis_engine.report.lives import generation_axis
from sis_engine.report.scale import spanning
from sis_engine.report.stage_times import seconds_by_stage
from sis_engine.report.svg import Panel, colour
from sis_engine.report.wording import count, duration, percent

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord

PURPOSES = tuple(item.value for item in Purpose)


def evaluations_of(facts: CampaignFacts, generation: int) -> dict[str, int]:
    """Evaluations paid for in one generation, by the purpose under which the ledger counted them.

    A plan's own number would not do: the search for the start of a segment is counted apart.
    """
    counts = dict(facts.evaluations_by_generation).get(generation, ())
    return {item.purpose.value: item.paid for item in counts if item.paid}


def cost_figure(records: Sequence[GenerationRecord], facts: CampaignFacts) -> Figure:
    """Stacked bars: evaluations and seconds of every generation."""
    if not records:
        return Figure("cost", "Cost by generation", "", note="No generation is committed yet.")
    evaluations = {r.generation: evaluations_of(facts, r.generation) for r in records}
    seconds = {r.generation: stage_minutes(r) for r in records}
    panels = (
        stacked("Evaluations by purpose", "evaluations", evaluations, PURPOSES),
        stacked("Wall time by stage", "minutes", seconds, _names(seconds.values())),
    )
    total = sum(sum(item.values()) for item in evaluations.values())
    time = sum(sum(item.values()) for item in seconds.values()) * 60.0
    caption = (
        f"Left: reference calculations of each committed generation by purpose, kept or not "
        f"(n = {count(total)}). Right: wall time of its stages ({duration(time)} in all)."
    )
    return Figure("cost", "Cost by generation", caption, panels, layout="pairs")


def _names(parts: Iterable[Mapping[str, float]]) -> tuple[str, ...]:
    """In order of first appearance."""
    return tuple(dict.fromkeys(name for part in parts for name in part))


def stage_minutes(record: GenerationRecord) -> dict[str, float]:
    """Minutes by stage; repeats (``train-1``, ``train-2``) are added up."""
    return {stage: seconds / 60.0 for stage, seconds in seconds_by_stage(record).items()}


def stacked(
    title: str, unit: str, parts: Mapping[int, Mapping[str, float]], names: Sequence[str]
) -> str:
    """Bars stacked by ``names``, one for each generation."""
    tops = [sum(item.values()) for item in parts.values()]
    panel = Panel(
        title, generation_axis(list(parts)), spanning(unit, [*tops, 0.0], floor=0.0), width=460
    )
    for generation, amounts in parts.items():
        base = 0.0
        for index, name in enumerate(names):
            amount = amounts.get(name, 0.0)
            if amount > 0:
                tip = f"generation {generation}, {name}: {amount:.4g} {unit}"
                panel.bar(generation, 0.32, base, base + amount, _fill(index), tip)
                base += amount
    for index, name in enumerate(names):
        if any(item.get(name, 0.0) > 0 for item in parts.values()):
            panel.legend(name, _fill(index), "area")
    return panel.svg()


def _fill(index: int) -> str:
    return colour(index) if index < 8 else "ink"


def evaluation_table(records: Sequence[GenerationRecord], facts: CampaignFacts) -> Table:
    """Evaluations by purpose and generation; the ledger's totals beside them."""
    by_generation = [(r.generation, evaluations_of(facts, r.generation)) for r in records]
    ledger = ledger_totals(facts)
    names = [p for p in PURPOSES if p in ledger or any(p in found for _, found in by_generation)]
    rows = [
        (
            name,
            *(count(found[name]) if name in found else NOTHING for _, found in by_generation),
            count(ledger[name][0]) if name in ledger else NOTHING,
            count(ledger[name][1]) if name in ledger else NOTHING,
            count(ledger[name][2]) if name in ledger else NOTHING,
        )
        for name in names
    ]
    if rows:
        rows.append(_sum_row(by_generation, ledger))
    return Table(
        "evaluation-table",
        "Evaluations in numbers",
        "Reference calculations paid for, by purpose, in each committed generation, and the "
        "ledger’s totals, which include a generation that is not committed yet. Failed ones are in "
        "the totals; cached ones came from the label bank and are not.",
        columns(
            "purpose",
            *(f"#gen. {g}" for g, _ in by_generation),
            "#total",
            "#of these failed",
            "#cached",
        ),
        tuple(rows),
        note="No evaluation has been made yet.",
    )


def ledger_totals(facts: CampaignFacts) -> dict[str, tuple[int, int, int]]:
    """By purpose: (paid for, of these failed, cached)."""
    return {item.purpose.value: (item.paid, item.failed, item.cached) for item in facts.evaluations}


def _sum_row(
    by_generation: Sequence[tuple[int, dict[str, int]]], ledger: Mapping[str, tuple[int, int, int]]
) -> tuple[str, ...]:
    sums = [count(sum(found.values())) for _, found in by_generation]
    if not ledger:
        return ("all", *sums, NOTHING, NOTHING, NOTHING)
    return ("all", *sums, *(count(sum(item[i] for item in ledger.values())) for i in range(3)))


def pool_table(facts: CampaignFacts) -> Table:
    """What was done in pools of workers, how long it waited, and what was wasted."""
    rows = []
    for pool in facts.pools:
        lost = ", ".join(f"{why} {n}" for why, n in pool.losses)
        rows.append(
            (
                pool.pool,
                count(pool.tasks),
                count(pool.open),
                count(pool.labels) if pool.labels else NOTHING,
                NOTHING if pool.mean_wait_s is None else duration(pool.mean_wait_s),
                duration(pool.worker_s),
                percent(pool.efficiency, 2),
                lost or "none",
                duration(pool.wasted_s),
            )
        )
    return Table(
        "pool-table",
        "Pools of workers",
        "Over all engines of the campaign. Waited: in the queue, on average. Workers’ time: from a "
        "task’s beginning to its end. In labels: the part of it that labels took, of tasks that "
        "ended. Wasted: labels that were in hand when their task was lost; they were made again.",
        columns(
            "pool",
            "#tasks",
            "#open",
            "#labels",
            "#waited",
            "#workers’ time",
            "#in labels",
            "lost",
            "#wasted",
        ),
        tuple(rows),
        note="All work was done where the engine ran.",
    )


def time_table(facts: CampaignFacts) -> Table:
    """Wall time by stage over the campaign."""
    total = sum(seconds for _, seconds in facts.stage_seconds)
    rows = [
        (name, duration(seconds), f"{100.0 * seconds / total:.0f} %" if total else NOTHING)
        for name, seconds in facts.stage_seconds
    ]
    if rows:
        rows.append(("all", duration(total), "100 %"))
    return Table(
        "time-table",
        "Time by stage",
        "Wall time over all generations, the one in hand included.",
        columns("stage", "#time", "#share"),
        tuple(rows),
        note="No stage has finished yet.",
    )

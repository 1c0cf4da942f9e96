"""A campaign's status on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from sis_engine.bookkeeping.outlook import duration
from sis_engine.commands.status import Standing
from sis_engine.report.summary import AuditSummary, CampaignSummary, Survival


def show_status(found: Standing) -> None:
    """State, the stage in hand, what is known of the rest, cost, lives, the last audit."""
    summary = found.summary
    console = Console(highlight=False)
    for warning in summary.warnings[-3:]:
        console.print(f"! {warning.splitlines()[0]}", markup=False, soft_wrap=True)
    console.print(f"[bold]{summary.name}[/bold]  {summary.state}  generation {summary.generation}")
    if summary.reason:
        console.print(f"  {summary.reason}", soft_wrap=True, markup=False)
    if found.now is not None:
        console.print(f"  now: {_now(found.now)}", markup=False, soft_wrap=True)
    if found.outlook is not None:
        end, *bounds = found.outlook.lines()
        console.print(f"  end: {end}", markup=False, soft_wrap=True)
        for bound in bounds:
            console.print(f"       {bound}", markup=False, soft_wrap=True)
    for pool in found.pools:
        console.print(f"  {_pool(pool)}", markup=False, soft_wrap=True)
    console.print(_figures(summary))
    if summary.survival:
        console.print(_lives(summary.survival, summary.audits))
    for what, judged in (("audit", summary.audit), ("test", summary.test)):
        if judged is not None:
            console.print(_judgement(what, judged), markup=False)


def _now(now: Mapping[str, Any]) -> str:
    parts = [f"generation {now['generation']} {now['stage']}"]
    if now.get("fraction") is not None:
        parts.append(f"{now['fraction']:.0%}")
    if now.get("eta_s") is not None:
        parts.append(f"{duration(now['eta_s'])} left")
    if now.get("generation_eta_s") is not None:
        parts.append(f"{duration(now['generation_eta_s'])} to the end of the generation")
    if now.get("temperature_k") is not None:
        parts.append(f"T {now['temperature_k']:.0f} K")
    if now.get("message"):
        parts.append(str(now["message"]))
    return " · ".join(parts)


def _pool(pool: Mapping[str, Any]) -> str:
    """One pool: what it was asked, how long that waited, how well it was used, what was wasted."""
    parts = [f"pool {pool['pool']}: {pool['tasks']} tasks, {pool['open']} open"]
    if pool["labels"]:
        parts.append(f"{pool['labels']} labels")
    if pool["mean_wait_s"] is not None:
        parts.append(f"{duration(pool['mean_wait_s'])} in the queue")
    if pool["labels"] and pool["efficiency"] is not None:
        parts.append(f"{pool['efficiency']:.0%} of the workers' time in labels")
    if pool["losses"]:
        told = ", ".join(f"{reason} {n}" for reason, n in pool["losses"].items())
        parts.append(f"lost: {told}; {duration(pool['wasted_s'])} wasted")
    return " · ".join(parts)


def _figures(summary: CampaignSummary) -> Table:
    table = Table.grid(padding=(0, 2))
    purposes = ", ".join(f"{name} {count}" for name, count in summary.evaluations.items())
    table.add_row("evaluations", f"{_number(summary.evaluations_total)}  ({purposes or 'none'})")
    table.add_row("of these failed", _number(summary.evaluations_failed))
    table.add_row("more from the bank", f"{_number(summary.evaluations_cached)}, not paid for")
    table.add_row(
        "reference MD, model MD", f"{_number(summary.reference_ps)} ps, {_number(summary.md_ps)} ps"
    )
    table.add_row(
        "acceleration ratio",
        f"{_number(summary.acceleration_ratio)} "
        f"(paper's form {_number(summary.acceleration_ratio_paper)})",
    )
    table.add_row("longest life", f"{_number(summary.longest_life_ps)} ps")
    cost = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in summary.cost.items())
    table.add_row("time", cost or "–")
    return table


def _lives(lives: tuple[Survival, ...], audits: tuple[AuditSummary, ...]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("generation", "lives, ps (+: to the end)", "ended by; audit"):
        table.add_column(column, overflow="fold")
    audited = {item.generation: item for item in audits}
    for generation in sorted({life.generation for life in lives}):
        own = [life for life in lives if life.generation == generation]
        times = "  ".join(f"{life.time_ps:.3g}{'+' if life.censored else ''}" for life in own)
        causes = sorted({life.verdict for life in own if life.verdict is not None})
        causes += _audited(audited.get(generation))
        table.add_row(str(generation), times, "; ".join(causes))
    return table


def _audited(audit: AuditSummary | None) -> list[str]:
    """Why a generation whose replicas lived was not the end, or was."""
    if audit is None or audit.passed is None:
        return []
    if audit.passed:
        return ["audit passed"]
    first, *others = audit.reasons or ("no reason given",)
    return [f"audit failed: {first}{f', and {len(others)} more' if others else ''}"]


def _judgement(what: str, audit: AuditSummary) -> str:
    sign = {True: "passed", False: "failed", None: "not judged"}[audit.passed]
    elements = ", ".join(
        f"{name} {_number(item.relative_force_rmse)}" for name, item in audit.per_element.items()
    )
    return (
        f"{what} {sign} (generation {audit.generation}, {audit.n_frames} frames): force RMSE "
        f"{_number(audit.force_rmse)} eV/Å, relative {_number(audit.relative_force_rmse)} "
        f"(upper limit {_number(audit.relative_upper)}, at most {_number(audit.relative_limit)}); "
        f"by element {elements}; energy {_number(audit.energy_rmse_per_atom)} eV/atom"
        + "".join(f"\n  {reason}" for reason in audit.reasons)
    )


def _number(value: float | None) -> str:
    """A figure to three digits; a dash where it is not known."""
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3g}"

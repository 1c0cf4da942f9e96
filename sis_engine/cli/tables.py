"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from sis_engine.commands.quote import Quote
from sis_engine.interfaces import ProgramReport

if TYPE_CHECKING:
    from sis_engine.commands.bench import Bench


def show_reports(reports: Sequence[ProgramReport]) -> None:
    """The doctor's findings; every problem with its mend."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "what", "version", "found"):
        table.add_column(column, overflow="fold")
    for report in reports:
        found = report.found or ("not found" if report.examined else "not examined")
        table.add_row(_sign(report), report.name, report.version or "", found)
        if report.problem:
            table.add_row("", "", "", f"[red]{report.problem}[/red]")
        if report.mend:
            table.add_row("", "", "", f"[bold]→[/bold] {report.mend}")
    Console().print(table)


def _sign(report: ProgramReport) -> str:
    if not report.examined:
        return "?"
    return "✗" if report.problem else ("–" if report.found is None else "✓")


def show_bench(bench: Bench) -> None:
    """Each way of running replicas, and the one that is best."""
    console = Console(highlight=False)
    on = "a GPU" if bench.gpu else f"{bench.cores} cores"
    console.print(f"{bench.system}, {bench.n_atoms} atoms, {bench.n_replicas} replicas on {on}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("at once", "threads each", "steps/s, all", "over the best single one"):
        table.add_column(column, justify="right")
    single = max(m.steps_per_s for m in bench.measured if m.arrangement.workers == 1)
    for item in bench.measured:
        how, ratio = item.arrangement, item.steps_per_s / single
        mark = " ←" if item == bench.chosen else ""
        table.add_row(
            str(how.workers), str(how.threads), f"{item.steps_per_s:.0f}", f"{ratio:.2f}{mark}"
        )
    console.print(table)
    console.print(bench.settings, markup=False)


def show_quote(quote: Quote) -> None:
    """What the next round will cost."""
    console = Console()
    if quote.ended:
        console.print(f"nothing is planned, the campaign has ended: {quote.reason}")
        return
    console.print(f"generation {quote.generation}: {quote.reason}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("plan", "purpose", "evaluations", "time"):
        table.add_column(column)
    for item in quote.plans:
        cost = str(item.least) if item.least == item.most else f"{item.least} … {item.most}"
        mark = " (estimate)" if quote.times_estimated and item.seconds is not None else ""
        table.add_row(item.plan, item.purpose, cost, f"{_time(item.seconds)}{mark}")
    console.print(table)
    for name, value in quote.lines():
        console.print(f"{name:<22}{value}")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown until the first label"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

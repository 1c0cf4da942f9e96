"""``sis top``: all campaigns of a folder in the terminal, live."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sis_engine.bookkeeping.live import LiveCurve, read_live
from sis_engine.bookkeeping.outlook import duration
from sis_engine.cli.signals import stop_on_signals
from sis_engine.errors import ConfigurationError
from sis_engine.service.places import Places
from sis_engine.service.views import Board, View, as_json

_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\+00:00")
BARS = "▁▂▃▄▅▆▇█"
CURVE_WIDTH = 48
IN_FULL = frozenset({"running", "paused", "failed", "queued"})
"""States in which a campaign is shown in full: it works, or needs somebody."""
COLOURS = {
    "running": "cyan",
    "stable": "green",
    "failed": "red",
    "paused": "yellow",
    "exhausted": "yellow",
}


def show_top(root: Path, *, every_s: float, once: bool) -> int:
    """Until Ctrl-C; ``once``: one look, printed."""
    places = _places(root)
    board, console = Board(places), Console()
    if once or not console.is_terminal:
        console.print(screen(board.look(), places))
        return 0
    with stop_on_signals() as asked, Live(console=console, screen=True, auto_refresh=False) as live:
        while not asked():
            live.update(screen(board.look(), places), refresh=True)
            ends = time.monotonic() + every_s
            while not asked() and time.monotonic() < ends:
                time.sleep(0.1)
    return 0


def look(root: Path) -> list[dict[str, Any]]:
    """The same for a program."""
    return [as_json(view) for view in Board(_places(root)).look()]


def _places(root: Path) -> Places:
    if not root.is_dir():
        raise ConfigurationError(
            f"{root} is not a folder", allowed="the folder of campaigns that `sis serve` has"
        )
    return Places(root.absolute())


def screen(views: tuple[View, ...], places: Places) -> RenderableType:
    """The list, then each campaign that runs or needs a person."""
    if not views:
        return Text(f"no campaign in {places.root} yet; sis submit FILE --root {places.root}")
    worth_it = [view for view in views if view.state in IN_FULL]
    return Group(_list(views), *(_one(view, places) for view in worth_it))


def _list(views: tuple[View, ...]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, expand=True)
    for name, more in _COLUMNS:
        table.add_column(name, **more)
    for view in views:
        found, now = view.summary, view.now or {}
        fraction = now.get("fraction")
        stage = str(now.get("stage") or "") + ("" if fraction is None else f" {fraction:.0%}")
        table.add_row(
            Text(view.name),
            Text(view.state, style=COLOURS.get(view.state, "dim")),
            "–" if found is None else str(found.generation),
            Text(stage),
            _figure(None if found is None else found.evaluations_total),
            _figure(None if found is None else found.longest_life_ps, " ps"),
            _audit(view),
            "–" if found is None or found.cost_total_s is None else duration(found.cost_total_s),
        )
    return table


_COLUMNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("campaign", {"overflow": "fold", "ratio": 3, "min_width": 8}),
    ("state", {"no_wrap": True}),
    ("gen", {"justify": "right"}),
    ("stage", {"no_wrap": True, "ratio": 2, "min_width": 12}),
    ("labels", {"justify": "right"}),
    ("longest", {"justify": "right", "no_wrap": True}),
    ("audit", {"no_wrap": True}),
    ("time", {"justify": "right", "no_wrap": True}),
)


def _audit(view: View) -> Text:
    audit = None if view.summary is None else view.summary.audit
    if audit is None:
        return Text("–")
    style = "green" if audit.passed else "red"
    return Text(_figure(audit.relative_force_rmse), style=style)


def _one(view: View, places: Places) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    if view.now is not None and view.now.get("fraction") is not None:
        done = view.now["fraction"]
        bar = ProgressBar(total=1.0, completed=done, width=40, complete_style=COLOURS["running"])
        grid.add_row("stage", bar)
    if view.now is not None and view.now.get("eta_s") is not None:
        grid.add_row("left of it", duration(view.now["eta_s"]))
    if view.outlook is not None:
        grid.add_row("end", Text("\n".join(view.outlook.lines())))
    if view.reason and view.state != "running":
        grid.add_row("reason", Text(view.reason))
    for line in view.waits_for:
        grid.add_row("waits for", Text(line))
    if view.state == "running":
        _add_curves(grid, view, places)
    for trouble in view.troubles[-2:]:
        grid.add_row(trouble.level, Text(trouble.text.splitlines()[0] if trouble.text else ""))
    for line in view.log[-4:]:
        grid.add_row("", Text(short(line), style="dim", overflow="ellipsis", no_wrap=True))
    for line in view.try_next[:2]:
        grid.add_row("try", Text(line, style="bold"))
    return Panel(grid, title=view.name, title_align="left")


def short(line: str) -> str:
    """A line of the log with the time of the day only (UTC)."""
    return _STAMP.sub(r"\1", line)


def _add_curves(grid: Table, view: View, places: Places) -> None:
    """T(t) of the replicas that run, as bars from 0 to the window's end or the highest."""
    live = read_live(places.campaign(view.name))
    if live is None or view.now is None or live.generation != view.now.get("generation"):
        return
    high = None if live.window_k is None else live.window_k[1]
    for name, curve in list(live.curves.items())[:4]:
        known = [t for t in curve.temperatures_k if t is not None]
        if known:
            line = f"{bars(curve, high)} {known[-1]:.0f} K at {curve.times_ps[-1]:.3g} ps"
            grid.add_row(f"T {name.rsplit('-', 1)[-1]}", Text(line))


def bars(curve: LiveCurve, high_k: float | None) -> str:
    """A curve in one line: each bar the highest of its share of the points."""
    known = [t for t in curve.temperatures_k if t is not None]
    top = high_k or max(known)
    share = max(1, -(-len(known) // CURVE_WIDTH))
    highest = [max(known[k : k + share]) for k in range(0, len(known), share)]
    last = len(BARS) - 1
    return "".join(BARS[min(last, max(0, int(t / top * len(BARS))))] for t in highest)


def _figure(value: float | None, unit: str = "") -> str:
    if value is None:
        return "–"
    return f"{value}{unit}" if isinstance(value, int) else f"{value:.3g}{unit}"

"""What a person sees while a campaign runs: a live panel on a terminal, plain lines elsewhere.

The facts shown are also kept in the ledger (at most once a second) for ``sis status``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sis_engine.interfaces import Progress

KEEP_EVERY_S = 1.0
"""How often the facts in hand are kept for ``sis status``."""

PLAIN_EVERY_S = 15.0
"""How often a line is printed where there is no terminal."""

EVENTS_SHOWN = 8


@dataclass
class Facts:
    """What is known of the stage in hand. ``None``: not known (yet)."""

    generation: int = 0
    stage: str = "starting"
    done: float | None = None
    total: float | None = None
    message: str = ""
    stage_started: float = field(default_factory=time.monotonic)
    temperature_k: float | None = None
    evaluations: int = 0
    longest_life_ps: float | None = None

    def as_json(self) -> str:
        """What ``sis status`` shows of the stage in hand."""
        return json.dumps(
            {
                "generation": self.generation,
                "stage": self.stage,
                "fraction": self.fraction,
                "eta_s": self.eta_s,
                "message": self.message,
                "temperature_k": self.temperature_k,
                "longest_life_ps": self.longest_life_ps,
                "at": time.time(),
            }
        )

    @property
    def fraction(self) -> float | None:
        if self.done is None or not self.total:
            return None
        return min(1.0, self.done / self.total)

    @property
    def eta_s(self) -> float | None:
        """Seconds to the end of this stage, from its pace so far."""
        fraction = self.fraction
        if not fraction:
            return None
        return (time.monotonic() - self.stage_started) * (1.0 - fraction) / fraction


class CampaignConsole:
    """Shows progress and events; hands facts to ``keep`` at most once a second.

    estimate: seconds to the end of this generation beyond the stage in hand, if it can be said
    """

    def __init__(
        self,
        title: str,
        *,
        rich: RichConsole | None = None,
        keep: Callable[[Facts], None] | None = None,
        quiet: bool = False,
    ) -> None:
        self.facts = Facts()
        self.rich = rich or RichConsole()
        self._title = title
        self._keep = keep
        self._quiet = quiet
        self._kept = 0.0
        self._printed = 0.0
        self._started = time.monotonic()
        self._events: list[str] = []
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self.rich.is_terminal and not self._quiet:
            self._live = Live(self, console=self.rich, refresh_per_second=4, transient=False)
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def stage(self, generation: int, name: str) -> Progress:
        """Begin a stage; the returned callable reports its progress."""
        self.facts.generation, self.facts.stage = generation, name
        self.facts.done = self.facts.total = None
        self.facts.message, self.facts.stage_started = "", time.monotonic()
        self.facts.temperature_k = None
        self._refresh(force=True)

        def report(
            done: float, total: float | None, message: str = "", **facts: float | str
        ) -> None:
            self.facts.done, self.facts.total, self.facts.message = done, total, message
            temperature = facts.get("temperature_k")
            if isinstance(temperature, float):
                self.facts.temperature_k = temperature
            self._refresh()

        return report

    def event(self, text: str) -> None:
        """One fact worth a line."""
        clock = _duration(time.monotonic() - self._started)
        self._events.append(f"{clock}  {text}")
        if self._live is None and not self._quiet:
            self.rich.print(Text(f"{clock}  {text}"), soft_wrap=True)

    def evaluated(self) -> None:
        """One more evaluation."""
        self.facts.evaluations += 1

    def lived(self, time_ps: float) -> None:
        self.facts.longest_life_ps = max(self.facts.longest_life_ps or 0.0, time_ps)

    def _refresh(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._keep is not None and (force or now - self._kept >= KEEP_EVERY_S):
            self._kept = now
            self._keep(self.facts)
        plain = self._live is None and not self._quiet and not force
        if plain and now - self._printed >= PLAIN_EVERY_S:
            self._printed = now
            clock = _duration(now - self._started)
            self.rich.print(Text(f"{clock}  {self._line()}"), soft_wrap=True)

    def _line(self) -> str:
        facts = self.facts
        parts = [f"generation {facts.generation}  {facts.stage}"]
        if facts.fraction is not None:
            parts.append(f"{facts.fraction:4.0%}")
        if facts.eta_s is not None:
            parts.append(f"{_duration(facts.eta_s)} left")
        parts.extend(self._figures())
        if facts.message:
            parts.append(facts.message)
        return " · ".join(parts)

    def _figures(self) -> list[str]:
        facts = self.facts
        figures = [f"{facts.evaluations} evaluations"]
        if facts.temperature_k is not None:
            figures.append(f"T {facts.temperature_k:.0f} K")
        if facts.longest_life_ps is not None:
            figures.append(f"longest life {facts.longest_life_ps:.2f} ps")
        return figures

    def __rich__(self) -> RenderableType:
        facts = self.facts
        grid = Table.grid(padding=(0, 2))
        grid.add_row("generation", str(facts.generation))
        grid.add_row("stage", facts.stage)
        bar = ProgressBar(total=1.0, completed=facts.fraction or 0.0, width=40)
        grid.add_row("progress", bar if facts.fraction is not None else Text("…"))
        left = "–" if facts.eta_s is None else _duration(facts.eta_s)
        grid.add_row("this stage ends in", left)
        grid.add_row("so far", _duration(time.monotonic() - self._started))
        for figure in self._figures():
            grid.add_row("", figure)
        grid.add_row("", Text(facts.message[:100], style="dim"))
        events = Text("\n".join(self._events[-EVENTS_SHOWN:]))
        return Panel(Group(grid, Text(), events), title=self._title, title_align="left")


def _duration(seconds: float) -> str:
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours:d}:{minutes:02d}:{whole % 60:02d}"

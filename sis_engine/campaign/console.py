"""What a person sees while a campaign runs: a live panel on a terminal, plain lines elsewhere.

The facts shown are also kept in the ledger (at most once a second) for ``sis status``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sis_engine.bookkeeping.live import LiveTraces
from sis_engine.bookkeeping.log import CampaignLog
from sis_engine.bookkeeping.outlook import Outlook, duration
from sis_engine.interfaces import Progress

KEEP_EVERY_S = 1.0
"""How often the facts in hand are kept for ``sis status``."""

PLAIN_EVERY_S = 15.0
"""How often a line is printed where there is no terminal."""

LEAST_FRACTION_FOR_ETA = 0.02
"""Before it, a program's start-up is most of the time: "3 hours left" of half a minute."""

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
    outlook: Outlook | None = None
    """As it was when the generation in hand began; ``None``: none has begun, or all is over."""
    generation_started: float = field(default_factory=time.monotonic)
    evaluations_before: int = 0
    """When the generation in hand began."""

    def as_json(self) -> str:
        """What ``sis status`` shows of the stage in hand."""
        return json.dumps(
            {
                "generation": self.generation,
                "stage": self.stage,
                "fraction": self.fraction,
                "eta_s": self.eta_s,
                "generation_eta_s": self.generation_eta_s,
                "evaluations": self.evaluations,
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
        if fraction is None or fraction < LEAST_FRACTION_FOR_ETA:
            return None
        return (time.monotonic() - self.stage_started) * (1.0 - fraction) / fraction

    @property
    def generation_eta_s(self) -> float | None:
        """Seconds to the end of this generation: this stage's pace, then as an earlier one went."""
        if self.outlook is None:
            return None
        spent_s = time.monotonic() - self.stage_started
        return self.outlook.generation_left_s(self.stage, self.eta_s, spent_s)

    @property
    def outlook_lines(self) -> tuple[str, ...]:
        """Of the end of the campaign, as a person reads it now."""
        if self.outlook is None:
            return ()
        gone_s = time.monotonic() - self.generation_started
        known = replace(self.outlook, in_hand_s=gone_s + (self.generation_eta_s or 0.0))
        return known.lines(gone_s, self.evaluations - self.evaluations_before)


class CampaignConsole:
    """Shows progress and events, and logs them; hands facts to ``keep`` at most once a second."""

    def __init__(
        self,
        title: str,
        *,
        rich: RichConsole | None = None,
        keep: Callable[[Facts], None] | None = None,
        log: CampaignLog | None = None,
        live: LiveTraces | None = None,
        quiet: bool = False,
    ) -> None:
        self.facts = Facts()
        self.rich = rich or RichConsole()
        self._title = title
        self._keep = keep
        self._log = log
        self._live_traces = live
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
        if self._log is not None:
            self._log.write("stage", f"generation {generation}  {name}", generation=generation)
        if self._live_traces is not None:
            self._live_traces.begin(generation, name)
        self._refresh(force=True)

        def report(
            done: float, total: float | None, message: str = "", **facts: float | str
        ) -> None:
            self.facts.done, self.facts.total, self.facts.message = done, total, message
            temperature = facts.get("temperature_k")
            if isinstance(temperature, float):
                self.facts.temperature_k = temperature
            if self._live_traces is not None:
                self._live_traces.take(facts)
            self._refresh()

        return report

    def expect(self, outlook: Outlook) -> None:
        """A generation begins: what is known of it, and of the rest."""
        self.facts.outlook = outlook
        self.facts.generation_started = time.monotonic()
        self.facts.evaluations_before = self.facts.evaluations

    def ended(self, state: str) -> None:
        """The last screen says how it ended, not what was in hand."""
        facts = self.facts
        facts.stage, facts.message, facts.outlook = state, "", None
        facts.done = facts.total = facts.temperature_k = None
        self._refresh(force=True)

    def event(self, text: str, kind: str = "event", level: str = "info") -> None:
        """One fact worth a line."""
        if self._log is not None:
            facts = self.facts
            self._log.write(kind, text, level=level, generation=facts.generation, stage=facts.stage)
        clock = duration(time.monotonic() - self._started)
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
        if not force and now - self._printed >= PLAIN_EVERY_S:
            self._printed = now
            self._tell_progress()

    def _tell_progress(self) -> None:
        if self._log is not None:
            self._log.say(self._line())
        if self._live is None and not self._quiet:
            clock = duration(time.monotonic() - self._started)
            self.rich.print(Text(f"{clock}  {self._line()}"), soft_wrap=True)

    def _line(self) -> str:
        facts = self.facts
        left = None if facts.outlook is None else facts.outlook.generations_left
        last = "" if left is None else f" (at most {left - 1} more)"
        parts = [f"generation {facts.generation}{last}  {facts.stage}"]
        if facts.fraction is not None:
            parts.append(f"{facts.fraction:4.0%}")
        if facts.eta_s is not None:
            parts.append(f"{duration(facts.eta_s)} left")
        if facts.generation_eta_s is not None:
            parts.append(f"{duration(facts.generation_eta_s)} to the end of the generation")
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
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column()
        grid.add_row("generation", f"{facts.generation}, [bold]{facts.stage}[/bold]")
        if facts.fraction is not None:
            bar = ProgressBar(total=1.0, completed=facts.fraction, width=40)
            grid.add_row(f"{facts.fraction:.0%}", bar)
        grid.add_row("time", self._time())
        for number, line in enumerate(facts.outlook_lines):
            grid.add_row("" if number else "to the end", line)
        grid.add_row("temperature now", _figure(facts.temperature_k, "{:.0f} K"))
        grid.add_row("evaluations so far", str(facts.evaluations))
        grid.add_row("longest life", _figure(facts.longest_life_ps, "{:.2f} ps"))
        grid.add_row("", Text(facts.message[:100], style="dim"))
        events = Text("\n".join(self._events[-EVENTS_SHOWN:]), overflow="ellipsis", no_wrap=True)
        return Panel(Group(grid, Text(), events), title=self._title, title_align="left")

    def _time(self) -> str:
        """Left of this stage and of this generation, and what has gone by."""
        facts = self.facts
        if facts.outlook is None:
            return duration(time.monotonic() - self._started)
        stage = "–" if facts.eta_s is None else duration(facts.eta_s)
        whole = facts.generation_eta_s
        generation = "–" if whole is None else duration(whole)
        gone = duration(time.monotonic() - self._started)
        return f"{gone}; left of this stage {stage}, of this generation {generation}"


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)

"""What a person sees while structures are labelled: a bar on a terminal, plain lines elsewhere.

All of it goes to standard error: standard output is the result.
"""

from __future__ import annotations

import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from sis_engine.campaign.console import PLAIN_EVERY_S
from sis_engine.report.wording import duration


class LabelProgress:
    """Is called as :class:`sis_engine.interfaces.Progress`; ``known`` labels cost no time."""

    def __init__(self, total: int, known: int, *, quiet: bool) -> None:
        self._total, self._known = total, known
        self._rich = Console(stderr=True)
        self._quiet = quiet
        self._began = self._printed = time.monotonic()
        self._bar = Progress(
            TextColumn("labels"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.description}", style="dim"),
            console=self._rich,
            disable=quiet or not self._rich.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, left="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def __call__(
        self, done: float, total: float | None, message: str = "", **facts: float | str
    ) -> None:
        del total
        left = self.time_left(int(done))
        told = "" if left is None else f"{duration(left)} left"
        failed = int(facts.get("failed", 0))
        doing = f"{failed} failed, {message}" if failed else message
        self._bar.update(self._task, completed=done, left=told, description=doing[:60])
        now = time.monotonic()
        plain = not self._quiet and not self._rich.is_terminal
        if plain and (now - self._printed >= PLAIN_EVERY_S or done == self._total):
            self._printed = now
            parts = [f"{duration(now - self._began)}  {int(done)} of {self._total} labels"]
            self._rich.print(Text(" · ".join(part for part in (*parts, told, doing) if part)))

    def note(self, kind: str, text: str) -> None:
        """Something worth a line: a second try, a fault of the surroundings."""
        del kind
        if not self._quiet:
            self._rich.print(Text(text.rstrip().rpartition("\n")[2]), soft_wrap=True)

    def time_left(self, done: int) -> float | None:
        """Seconds to the end at the pace so far; what was known at the start came for nothing."""
        made = done - self._known
        if made <= 0 or done >= self._total:
            return None
        return (time.monotonic() - self._began) * (self._total - done) / made

"""What a person sees of a comparison while it runs: events, and now and then where it stands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sis_engine.comparison.places import Places
from sis_engine.comparison.plan import RunName
from sis_engine.comparison.schedule import Job, JobKind, Progress
from sis_engine.errors import SisError
from sis_engine.storage.ledger import LEDGER_FILE, Ledger

EVERY_S = 30.0


@dataclass
class Board:
    """Lines for a person.

    known_s: seconds of runs that were finished before, by (case, arm): what the others will take
    expected_s: of a run, where none has finished
    """

    places: Places
    write: Callable[[str], None]
    parallel: int
    n_before: int
    known_s: dict[tuple[str, str], list[float]]
    expected_s: float | None = None
    pending: list[RunName] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _shown: float = field(default_factory=time.monotonic)
    _told: set[Job] = field(default_factory=set)

    def say(self, text: str) -> None:
        """One event, with the time since the start."""
        self.write(f"{duration(time.monotonic() - self._began)}  {text}")

    def watch(self, progress: Progress) -> None:
        """Tell what ended, and every half minute where all stands."""
        for job, message in progress.failed.items():
            if job not in self._told:
                self._told.add(job)
                self.say(f"{job} FAILED: {message}")
        for job in progress.done:
            if job not in self._told:
                self._told.add(job)
                if job.kind is JobKind.RUN:
                    key = (job.run.case, job.run.arm)
                    self.known_s.setdefault(key, []).append(progress.seconds[job])
                    self.pending.remove(job.run)
        if time.monotonic() - self._shown >= EVERY_S:
            self._shown = time.monotonic()
            self.say(self.line(progress))

    def line(self, progress: Progress) -> str:
        """Runs finished of all, those in hand, time left."""
        done = self.n_before + sum(job.kind is JobKind.RUN for job in progress.done)
        parts = [f"{done} of {done + len(self.pending)} runs finished"]
        parts += [f"{job}: {self._now(job)}" for job in list(progress.running)]
        left = self.seconds_left(progress.running)
        if left is not None:
            parts.append(f"about {duration(left)} left")
        return " · ".join(parts)

    def seconds_left(self, running: Mapping[Job, float]) -> float | None:
        """Each pending run as its arm's took, else as any did; less what those in hand have spent.

        ``None`` where nothing is known of any.
        """
        everything = [s for seconds in self.known_s.values() for s in seconds]
        if not everything and self.expected_s is None:
            return None
        usual = sum(everything) / len(everything) if everything else self.expected_s or 0.0
        total = 0.0
        begun = {job.run: at for job, at in running.items() if job.kind is JobKind.RUN}
        for run in self.pending:
            own = self.known_s.get((run.case, run.arm), [])
            whole = sum(own) / len(own) if own else usual
            spent = time.monotonic() - begun[run] if run in begun else 0.0
            total += max(whole - spent, 0.05 * whole)
        return total / max(1, min(self.parallel, len(self.pending)))

    def _now(self, job: Job) -> str:
        """What the campaign in hand says of itself."""
        if job.kind is not JobKind.RUN:
            return "in hand"
        folder = self.places.run(job.run)
        if not (folder / LEDGER_FILE).is_file():
            return "beginning"
        try:
            with Ledger(folder, read_only=True) as ledger:
                state, now = ledger.meta("state"), ledger.meta("now")
        except SisError:
            return "beginning"
        if state in {"stable", "exhausted"}:
            return "being examined"
        facts = json.loads(now or "{}")
        return (
            f"generation {facts.get('generation', 0)} {facts.get('stage', '')}, "
            f"{facts.get('evaluations', 0)} evaluations"
        )


def duration(seconds: float) -> str:
    """H:MM:SS"""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:d}:{minutes:02d}:{rest:02d}"

"""What one trial came to, and what all of them come to together."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """One campaign that something was done to.

    name: unique, so that a rehearsal goes on where it was;  fault: what was done, for the table
    outcome: in a few words, for the table;  injected: faults met in the process (a death that the
        fault itself brings is one);  kills: SIGKILLs from outside
    differences: from the undisturbed campaign, and messages that should not have been
    recomputed: labels that were in the bank and were computed again
    orphans: processes, locks and files left
    """

    name: str
    fault: str
    outcome: str
    injected: int = 0
    kills: int = 0
    differences: tuple[str, ...] = ()
    recomputed: int = 0
    orphans: tuple[str, ...] = ()
    seconds: float = 0.0

    def as_line(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Trial:
        found = json.loads(line)
        for name in ("differences", "orphans"):
            found[name] = tuple(found[name])
        return cls(**found)


@dataclass(frozen=True)
class Tally:
    """All trials together: the line that ``sis rehearse --json`` ends with."""

    faults_injected: int
    kills: int
    differences: int
    labels_recomputed: int
    orphans: int

    @property
    def is_clean(self) -> bool:
        return not (self.differences or self.labels_recomputed or self.orphans)


def tally(trials: Iterable[Trial]) -> Tally:
    """Sums. A trial with several differences counts once: they have one cause."""
    found = tuple(trials)
    return Tally(
        faults_injected=sum(item.injected for item in found),
        kills=sum(item.kills for item in found),
        differences=sum(bool(item.differences) for item in found),
        labels_recomputed=sum(item.recomputed for item in found),
        orphans=sum(len(item.orphans) for item in found),
    )


def table(trials: Sequence[Trial]) -> str:
    """Markdown: fault, times injected, outcome; in the order they were met."""
    times: Counter[tuple[str, str]] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()
    for item in trials:
        row = (item.fault, item.outcome)
        times[row] += item.injected + item.kills
        wrong[row] += bool(item.differences or item.recomputed or item.orphans)
    lines = ["| fault | times | outcome | differences |", "|---|---|---|---|"]
    lines += [f"| {f} | {times[f, o]} | {o} | {wrong[f, o]} |" for f, o in sorted(times)]
    return "\n".join(lines)

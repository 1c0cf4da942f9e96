"""How many labels at a time, with how many threads each: a rule on measured seconds.

Few labels on many cores want threads, many labels want a core each; how well a code's threads
scale, and from which size on, is not guessed but measured, on the labels that are wanted anyway.
"""

from __future__ import annotations

import statistics
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from sis_engine.records import Arrangement

SAMPLES = 3
"""Labels that have to be timed before a number of threads is judged: the first of a process is
slow, and neighbours come and go."""
LONG_S = 1.0
"""Labels that took this long together say enough, however few they are."""
WINDOW = 16
"""Only so many of the last times count: the load changes."""
TRY_FROM_ROUNDS = 4
"""When all cores have a label each, fewer with more threads can only win where cores hinder each
other (memory bandwidth); that is tried when at least so many labels a core are waiting."""
TIE = 0.05
"""Less gain than this does not pay for a thread more."""


def arrangements(n_tasks: int, cores: int) -> tuple[Arrangement, ...]:
    """Those worth a thought, fewest threads first; none uses more than ``cores`` threads."""
    threads = {1 << k for k in range(cores.bit_length())} | {share(n_tasks, cores), cores}
    return tuple(
        Arrangement(min(n_tasks, cores // k), k) for k in sorted(threads) if 1 <= k <= cores
    )


def share(n_tasks: int, cores: int) -> int:
    """Threads of each of ``n_tasks`` tasks when ``cores`` are shared out."""
    return max(1, cores // max(1, n_tasks))


def choose(n_tasks: int, cores: int, seconds: Mapping[int, float]) -> Arrangement:
    """The arrangement by which ``n_tasks`` like tasks end first.

    seconds: measured time of one task by its number of threads; numbers of threads that are not
        in it were not tried yet

    Begins with the cores shared out evenly; then looks at the next with fewer threads and at those
    with more, as long as they could be better at their best (five labels on 13 cores leave three
    idle with two threads each, none with 13); then takes the fastest, the one with fewer threads
    of two alike.
    """
    options = arrangements(n_tasks, cores)
    first = next(o for o in options if o.threads == share(n_tasks, cores))
    if first.threads not in seconds:
        return first
    best = first
    for option in options:
        if option.threads in seconds and _gain(option, best, n_tasks, seconds) > (
            TIE if option.threads > best.threads else -TIE
        ):
            best = option
    place = options.index(best)
    for other in (*options[max(place - 1, 0) : place], *options[place + 1 :]):
        if other.threads not in seconds and _may_win(other, best, n_tasks, cores, seconds):
            return other
    return best


def _gain(
    one: Arrangement, other: Arrangement, n_tasks: int, seconds: Mapping[int, float]
) -> float:
    """By what fraction of the other's time ``one`` ends earlier."""
    mine = one.rounds(n_tasks) * seconds[one.threads]
    others = other.rounds(n_tasks) * seconds[other.threads]
    return 1.0 - mine / others if others > 0.0 else 0.0


def _may_win(
    new: Arrangement, best: Arrangement, n_tasks: int, cores: int, seconds: Mapping[int, float]
) -> bool:
    """Could an arrangement that was never tried be better, threads scaling as well as they can?"""
    scaling = min(1.0, best.threads / new.threads)
    at_best = new.rounds(n_tasks) * seconds[best.threads] * scaling
    now = best.rounds(n_tasks) * seconds[best.threads]
    if new.threads < best.threads:
        return new.rounds(n_tasks) <= best.rounds(n_tasks)
    if at_best < (1.0 - TIE) * now:
        return True
    return at_best <= now and n_tasks >= TRY_FROM_ROUNDS * cores


# --------------------------------------------------------------------------- what was measured


class TimingStore(Protocol):
    """Where measured times outlive the process (:class:`sis_engine.storage.bank.LabelBank`)."""

    def timings(self, level: str, n_atoms: int) -> Mapping[int, Sequence[float]]:
        """The last seconds of a label on this machine, by threads. level: its fingerprint"""
        ...

    def keep_timings(self, level: str, n_atoms: int, threads: int, last: Sequence[float]) -> None:
        """Keep them; need not wait for the disk."""
        ...


class Timings:
    """Measured seconds of labels, by level of theory, number of atoms and threads. Thread safe."""

    def __init__(self, store: TimingStore | None = None) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], dict[int, deque[float]]] = {}
        self._added = 0

    def seconds(self, level: str, n_atoms: int) -> dict[int, float]:
        """The median time of one label, for those numbers of threads that were tried enough."""
        with self._lock:
            return {
                threads: statistics.median(times)
                for threads, times in self._of(level, n_atoms).items()
                if len(times) >= SAMPLES or sum(times) >= LONG_S
            }

    def add(self, level: str, n_atoms: int, threads: int, seconds: float) -> None:
        """One label took so long."""
        with self._lock:
            times = self._of(level, n_atoms).setdefault(threads, deque(maxlen=WINDOW))
            times.append(seconds)
            self._added += 1
            if self._store is not None and (len(times) < WINDOW or self._added % WINDOW == 0):
                self._store.keep_timings(level, n_atoms, threads, tuple(times))

    def _of(self, level: str, n_atoms: int) -> dict[int, deque[float]]:
        key = (level, n_atoms)
        if key not in self._known:
            kept = {} if self._store is None else self._store.timings(level, n_atoms)
            self._known[key] = {
                threads: deque(times, maxlen=WINDOW) for threads, times in kept.items()
            }
        return self._known[key]

"""Counts what becomes of the tasks of a pool, while an engine runs."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from sis_engine.execution.losses import Loss
from sis_engine.remote.job import FollowedJob
from sis_engine.remote.pool_facts import PoolFacts

TELL_EVERY_S = 5.0

Tell = Callable[[PoolFacts], None]


def nobody(facts: PoolFacts) -> None:
    """Nobody is told."""
    del facts


class Account:
    """Counts. Thread safe. tell: told at changes, but not more often than every TELL_EVERY_S"""

    def __init__(self, pool: str, tell: Tell = nobody) -> None:
        self._lock = threading.Lock()
        self._facts = PoolFacts(pool)
        self._losses: Counter[str] = Counter()
        self._closed: set[str] = set()
        self._tell = tell
        self._told = -TELL_EVERY_S

    @property
    def facts(self) -> PoolFacts:
        with self._lock:
            return self._facts

    def submitted(self) -> None:
        with self._lock:
            self._facts = replace(self._facts, tasks=self._facts.tasks + 1)
        self._changed()

    def _changed(self) -> None:
        now = time.monotonic()
        with self._lock:
            facts = self._facts
            due = now - self._told >= TELL_EVERY_S or facts.open == 0
            self._told = now if due else self._told
        if due:
            self._tell(facts)

    def ended(self, job: FollowedJob) -> None:
        """Counted once, also where it was lost before."""
        with self._lock:
            if job.folder.name in self._closed:
                return
            self._closed.add(job.folder.name)
            end, facts = job.end, self._facts
            worker = 0.0 if end is None else end.ended - end.started
            waited = None  # when an engine before this one handed it out is not known
            if job.begun is not None and not job.is_left_behind:
                waited = job.begun - job.submitted
            self._facts = replace(
                facts,
                ended=facts.ended + int(job.future is not None),
                labels=facts.labels + job.made,
                begun=facts.begun + int(waited is not None),
                waited_s=facts.waited_s + (waited or 0.0),
                worker_s=facts.worker_s + worker,
                label_s=facts.label_s + min(job.seconds, worker),
            )
        self._changed()

    def lost(self, job: FollowedJob, loss: Loss) -> None:
        with self._lock:
            self._closed.add(job.folder.name)
            self._losses[loss.value] += 1
            since = job.last_result or job.begun
            wasted = 0.0 if since is None else time.monotonic() - since
            facts = self._facts
            self._facts = replace(
                facts,
                lost=facts.lost + int(job.future is not None),
                labels=facts.labels + job.made,
                wasted_s=facts.wasted_s + wasted,
                losses=tuple(sorted(self._losses.items())),
            )
        self._changed()


class Accounts:
    """One for each pool, for as long as an engine runs."""

    def __init__(self, tell: Tell = nobody) -> None:
        self._tell = tell
        self._of: dict[str, Account] = {}

    def of(self, pool: str) -> Account:
        if pool not in self._of:
            self._of[pool] = Account(pool, self._tell)
        return self._of[pool]

"""Asks for blocks as there is work, and forgets those that are gone, whatever the scheduler says.

Imported only where Parsl is there.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from parsl.jobs.job_status_poller import JobStatusPoller
from parsl.jobs.states import JobState, JobStatus
from parsl.utils import Timer

from sis_engine.execution.pools import BatchProvider, Pool

STRATEGY_S = (1.0, 10.0)
"""How often it is seen whether blocks are wanted: here, and at most where a scheduler is asked."""

_log = logging.getLogger(__name__)


class BlockWatch(JobStatusPoller):  # type: ignore[misc]
    """Parsl's own, with two answers to what it is silent about.

    A block whose workers were there and are gone is gone: ``squeue`` forgets jobs, and then says
    nothing of them for ever. And blocks that end before a worker is heard of are counted.
    has_workers: just now;  n_stillborn: such blocks in a row
    """

    def __init__(self, executor: Any, config: Pool) -> None:
        self.has_workers = False
        self.n_stillborn = 0
        self._executor = executor
        self._config = config
        self._gone_since: dict[str, float] = {}
        self._forgiven: set[str] = set()
        super().__init__(
            strategy="simple",  # "htex_auto_scale" kills blocks that have not connected yet
            max_idletime=config.idle_s,
            strategy_period=_strategy_s(config),
        )
        self.add_executors([executor])

    def poll(self) -> None:
        try:
            known = set(self._executor.connected_blocks())
            here = {item["block_id"] for item in self._executor.connected_managers()}
            self._count(known, here)
            self._forget_the_gone(known, here)
            super().poll()
        except Exception:  # noqa: BLE001 - the next look may pass; its thread must not end
            _log.exception("pool %s: looking at its blocks failed", self._executor.label)

    def close(self, timeout: float | None = None) -> None:
        """Cancel all blocks. Parsl's own asks its interchange first, and waits for a dead one."""
        Timer.close(self, timeout)
        states = dict(self._executor.status_facade)
        held = [block for block, state in states.items() if not state.terminal]
        jobs = self._executor.blocks_to_job_id
        if held:
            self._executor.provider.cancel([jobs[block] for block in held if block in jobs])

    def _count(self, known: set[str], here: set[str]) -> None:
        states = dict(self._executor.status_facade)
        self.has_workers = bool(here)
        if here:
            self._forgiven |= states.keys()
        stillborn = {block for block, state in states.items() if state.state is JobState.MISSING}
        self.n_stillborn = len(stillborn - known - self._forgiven)

    def _forget_the_gone(self, known: set[str], here: set[str]) -> None:
        executor, now = self._executor, time.monotonic()
        for block, state in list(executor.status_facade.items()):
            if state.terminal or block in here or block not in known:
                self._gone_since.pop(block, None)
            elif now - self._gone_since.setdefault(block, now) > self._config.heartbeat_s:
                told = JobStatus(JobState.MISSING, "its workers are gone")
                executor._simulated_status[block] = told  # noqa: SLF001 - Parsl has no call for it
                executor.provider.cancel([executor.blocks_to_job_id[block]])


def _strategy_s(config: Pool) -> float:
    shortest, longest = STRATEGY_S
    if not isinstance(config.provider, BatchProvider):
        return shortest
    return min(longest, max(shortest, config.provider.status_every_s / 3.0))

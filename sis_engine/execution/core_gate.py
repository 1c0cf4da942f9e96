"""A gate that lets work through as long as there are free cores for its threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from sis_engine.errors import StopRequested

POLL_S = 0.2
"""How often one who waits asks whether a stop is wanted, and looks at the load again."""


class Load(Protocol):
    """What :class:`sis_engine.execution.cores.FreeCores` says; tests have their own."""

    def hold(self, held: int) -> None: ...

    def __call__(self) -> int: ...


class CoreGate:
    """First come, first served; together those inside never hold more than the free cores.

    One is always let in, however busy the machine is, so that work goes on.
    one_at_a_time: for work that cannot run beside its like
    """

    def __init__(self, cores: int, free: Load, *, one_at_a_time: bool = False) -> None:
        self.cores = cores
        self._free = free
        self._one_at_a_time = one_at_a_time
        self._held = 0
        self._alone = False
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def enter(
        self,
        threads: Callable[[int], int],
        stop: Callable[[], bool],
        *,
        alone: bool = False,
    ) -> Iterator[int]:
        """Wait for a turn, then hold the number of cores that is yielded.

        threads: asked with the number of free cores when the turn has come; what it says is held
            as it is, so it should not say more
        alone: nothing else is inside at the same time
        Raises StopRequested when a stop is wanted before the turn comes.
        """
        held = self._wait(threads, stop, alone=alone)
        try:
            yield held
        finally:
            with self._changed:
                self._held -= held
                self._alone = False
                self._free.hold(self._held)
                self._changed.notify_all()

    def _wait(self, threads: Callable[[int], int], stop: Callable[[], bool], *, alone: bool) -> int:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                while True:
                    wanted = self._turn(ticket, threads, alone=alone)
                    if wanted is not None:
                        self._held += wanted
                        self._alone = alone
                        self._free.hold(self._held)
                        return wanted
                    if stop():
                        raise StopRequested("stopped while waiting for a free core")
                    self._changed.wait(POLL_S)
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def _turn(self, ticket: object, threads: Callable[[int], int], *, alone: bool) -> int | None:
        """Cores that the owner of the ticket may hold now; ``None``: it has to wait."""
        if self._waiting[0] is not ticket or self._alone:
            return None
        if self._held == 0:
            return threads(self._free())
        if alone or self._one_at_a_time:
            return None
        free = self._free()
        wanted = threads(free)
        return wanted if self._held + wanted <= free else None

"""A pool whose workers are threads of this process: Parsl's place in tests of what is around it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sis_engine.execution.parsl_pool import ParslFuture
from sis_engine.execution.pools import LabelPool, LocalProvider

Fate = Callable[[int, Path, Callable[[], Any]], Any]
"""(number of the task, its folder, the task): what becomes of it."""


class WorkerLost(Exception):
    """By its name what Parsl raises when a worker's process died."""


class ManagerLost(Exception):
    """By its name what Parsl raises when a node is not heard of any more."""


class ThreadPool:
    """fate: called in place of each task; ``None``: it is run"""

    name = "label"

    def __init__(self, slots: int = 2, fate: Fate | None = None, **settings: Any) -> None:
        self.slots = slots
        self.config = LabelPool(provider=LocalProvider(), **settings)
        self.folders: list[Path] = []
        self._fate = fate
        self._threads = ThreadPoolExecutor(slots)
        self._lock = threading.Lock()

    def submit(self, task: Any, *, cores: int = 1) -> ParslFuture:
        folder = Path(task.args[0])
        with self._lock:
            number = len(self.folders)
            self.folders.append(folder)
        if self._fate is None:
            return ParslFuture(self._threads.submit(task))
        return ParslFuture(self._threads.submit(self._fate, number, folder, task))

    def check(self) -> None:
        """There is never anything to tell."""

    def shutdown(self) -> None:
        self._threads.shutdown()


def never(error: Exception | None = None) -> ParslFuture:
    """Of a task that nobody runs."""
    inner: Future[Any] = Future()
    if error is not None:
        inner.set_exception(error)
    return ParslFuture(inner)

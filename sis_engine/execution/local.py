"""Tasks on this machine: a thread each, at most so many cores in use at once."""

from __future__ import annotations

import concurrent.futures
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sis_engine.errors import ConfigurationError


class LocalFuture:
    """A result to come; the exception of a failed task is raised by :meth:`result`."""

    def __init__(self) -> None:
        self._inner: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def result(self, timeout_s: float | None = None) -> Any:
        return self._inner.result(timeout_s)

    def done(self) -> bool:
        return self._inner.done()

    def run(self, task: Callable[[], Any]) -> None:
        """Run ``task`` here and keep what it returns or raises."""
        if not self._inner.set_running_or_notify_cancel():
            return
        try:
            value = task()
        except BaseException as error:  # noqa: BLE001 - kept, and raised where result() is asked
            self._inner.set_exception(error)
        else:
            self._inner.set_result(value)

    def cancel(self) -> None:
        self._inner.cancel()

    def when_done(self, call: Callable[[], None]) -> None:
        self._inner.add_done_callback(lambda _: call())


@dataclass
class _Waiting:
    task: Callable[[], Any]
    cores: int
    future: LocalFuture = field(default_factory=LocalFuture)


class LocalExecutor:
    """First come, first served: a task that needs k cores waits until k are free.

    A later, smaller task does not overtake it, so a large one cannot starve.
    """

    def __init__(self, cores: int) -> None:
        if cores < 1:
            raise ConfigurationError(f"an executor needs at least one core, not {cores}")
        self._cores = cores
        self._free = cores
        self._queue: deque[_Waiting] = deque()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, task: Callable[[], Any], *, cores: int = 1) -> LocalFuture:
        if not 1 <= cores <= self._cores:
            raise ConfigurationError(
                f"a task asks for {cores} cores",
                allowed=f"1 to {self._cores}, the cores of this executor",
            )
        waiting = _Waiting(task, cores)
        with self._lock:
            if self._closed:
                raise RuntimeError("submit after shutdown")
            self._queue.append(waiting)
            self._start_what_fits()
        return waiting.future

    def shutdown(self) -> None:
        """Drop what has not begun and wait for what has."""
        with self._lock:
            self._closed = True
            dropped = list(self._queue)
            self._queue.clear()
            running = list(self._threads)
        for waiting in dropped:
            waiting.future.cancel()
        for thread in running:
            if thread is not threading.current_thread():
                thread.join()

    def _start_what_fits(self) -> None:
        while self._queue and self._queue[0].cores <= self._free:
            waiting = self._queue.popleft()
            self._free -= waiting.cores
            thread = threading.Thread(target=self._run, args=(waiting,), daemon=True)
            self._threads.add(thread)
            thread.start()

    def _run(self, waiting: _Waiting) -> None:
        try:
            waiting.future.run(waiting.task)
        finally:
            with self._lock:
                self._free += waiting.cores
                self._threads.discard(threading.current_thread())
                self._start_what_fits()

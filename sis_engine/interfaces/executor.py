"""The border of executors: where work is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Future(Protocol):
    """A result to come."""

    def result(self, timeout_s: float | None = None) -> Any: ...

    def done(self) -> bool: ...


class Executor(Protocol):
    """Runs tasks somewhere. ``cores`` is what one task needs."""

    def submit(self, task: Callable[[], Any], *, cores: int = 1) -> Future: ...

    def shutdown(self) -> None: ...

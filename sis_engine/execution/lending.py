"""Things that serve one caller at a time, one for each that asks at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Lender(Generic[Thing]):
    """Lends an idle thing, or makes one more: never more than there are callers at once.

    A kept-alive program or a calculator object answers one question at a time, while several plans
    are labelled side by side in threads of one process.
    make: a new thing;  close: ends one;  first: a thing that is there already
    """

    def __init__(
        self,
        make: Callable[[], Thing],
        close: Callable[[Thing], None],
        first: Thing | None = None,
    ) -> None:
        self._make = make
        self._close = close
        self._all: list[Thing] = [] if first is None else [first]
        self._idle: list[Thing] = list(self._all)
        self._lock = threading.Lock()

    @contextmanager
    def lent(self) -> Iterator[Thing]:
        """A thing that nobody else has until the block ends."""
        with self._lock:
            thing = self._idle.pop() if self._idle else None
        if thing is None:
            thing = self._make()
            with self._lock:
                self._all.append(thing)
        try:
            yield thing
        finally:
            with self._lock:
                self._idle.append(thing)

    def close(self) -> None:
        """End all that were made; what is lent afterwards is made anew."""
        with self._lock:
            made, self._all, self._idle = self._all, [], []
        for thing in made:
            self._close(thing)

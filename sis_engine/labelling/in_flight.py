"""Labels that are being paid for just now: two plans that want the same one pay once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sis_engine.errors import StopRequested

ASK_EVERY_S = 0.2
"""How often who waits asks whether to stop."""


class InFlight:
    """Keys of labels in the making, shared by the threads of one engine.

    Whoever holds a key makes its label and gives the key back; the others wait and look again. To
    be free of deadlocks a thread must give back all its keys before it waits.
    """

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._changed = threading.Condition()

    def claim(self, key: str) -> bool:
        """Take the key; ``False`` if it is held."""
        with self._changed:
            if key in self._keys:
                return False
            self._keys.add(key)
            return True

    def give_back(self, key: str) -> None:
        """Done with it, or given up; only who holds the key may, and once."""
        with self._changed:
            self._keys.remove(key)
            self._changed.notify_all()

    def wait(self, key: str, stop: Callable[[], bool]) -> None:
        """Until nobody holds the key. Raises StopRequested."""
        with self._changed:
            while key in self._keys:
                if stop():
                    raise StopRequested("stopped while waiting for a label of another plan")
                self._changed.wait(ASK_EVERY_S)

"""Replicas side by side in rounds of MD time: which failure came first does not depend on load.

A replica that has come to the end of a round is held there until all others have, or have ended.
Then either all go on, or, where enough have failed by then, all are stopped at that very step. Only
so many run at a time; one that is held gives its turn to another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sis_engine.errors import StopRequested
from sis_engine.records import Replica, Rounds

POLL_S = 0.1


class LockStep:
    """Of one task; each replica has a thread of its own. Thread safe."""

    def __init__(self, rounds: Rounds, replicas: Sequence[Replica], at_once: int) -> None:
        self._rounds = rounds
        self._at: dict[str, int] = {item.id: 0 for item in replicas}
        self._ended: list[tuple[float, bool]] = list(rounds.ended)
        self._free = at_once
        self._changed = threading.Condition()

    def begin(self, replica: str, stop: Callable[[], bool]) -> None:
        """Wait for a turn. Raises StopRequested."""
        with self._changed:
            while self._free < 1:
                if stop():
                    raise StopRequested(f"MD of {replica} was stopped on request")
                self._changed.wait(POLL_S)
            self._free -= 1

    def arrived(self, replica: str, number: int) -> None:
        """It is held at the end of this round: its turn is another's."""
        with self._changed:
            self._at[replica] = number
            self._free += 1
            self._changed.notify_all()

    def may_go_on(self, replica: str) -> bool | None:
        """``None``: not known yet, or not its turn. ``True``: it goes on, and has a turn again."""
        with self._changed:
            number = self._at[replica]
            if any(at < number for at in self._at.values()):
                return None
            if self._rounds.is_enough(self._ended, number):
                return False
            if self._free < 1:
                return None
            self._free -= 1
            return True

    def ended(self, replica: str, time_ps: float, *, failed: bool, has_turn: bool) -> None:
        """It is over, there: nobody waits for it any more."""
        with self._changed:
            if self._at.pop(replica, None) is None:
                return
            self._ended.append((time_ps, failed))
            self._free += int(has_turn)
            self._changed.notify_all()

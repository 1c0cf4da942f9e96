"""Programs that fail again and again: is it the frames, or the program?

The frames of a bad model may make a program crash without a word, one after another. What tells is
a frame that has a label: labelled anew, it comes out where the program works.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from sis_engine.errors import ProgramFailed
from sis_engine.records import Frame, LabelFailure, Labelled, Origin, Purpose, System

FIRST_IN_A_ROW = 3
"""So many program failures before any label: the program may not work here."""
LATER_IN_A_ROW = 10
"""So many in a row after labels have been made: it may no longer do so."""

Result = Labelled | LabelFailure
Proven = Callable[[System], Frame | None]
"""A frame of the system that has a label at the level asked for, if there is one."""
Ask = Callable[[System, Frame, Origin], Result]


def nothing_is_proven(system: System) -> Frame | None:
    """Without a bank."""
    del system
    return None


def not_counted(result: Result) -> None:
    """Where nobody keeps a ledger."""
    del result


class Doubt:
    """Counts failures of a program in a row, and asks where there are too many. Thread safe.

    note: told (kind, text) where frames are set aside though their program failed
    proven: what may be asked;  count: handed what was made of it, for it is paid for
    """

    def __init__(
        self, note: Callable[[str, str], None], proven: Proven, count: Callable[[Result], None]
    ) -> None:
        self._note = note
        self._proven = proven
        self._count = count
        self._asking = threading.Lock()
        self._lock = threading.Lock()
        self._last: tuple[System, LabelFailure] | None = None
        self._in_a_row = 0
        self._has_worked = False

    def worked(self) -> None:
        """A label was made."""
        with self._lock:
            self._in_a_row, self._has_worked = 0, True

    def failed(self, system: System, failure: LabelFailure) -> None:
        """The program failed once more."""
        with self._lock:
            self._in_a_row += 1
            self._last = (system, failure)

    @property
    def is_due(self) -> bool:
        """Whether it has to be settled before another label is paid for."""
        return self._in_a_row >= (LATER_IN_A_ROW if self._has_worked else FIRST_IN_A_ROW)

    def settle(self, ask: Ask) -> None:
        """Raise ProgramFailed where it is the program; return where it is the frames.

        ask: labels a frame past the bank, and says if it worked; no core may be held meanwhile
        """
        with self._asking:
            with self._lock:
                if not self.is_due or self._last is None:
                    return  # another thread has settled it
                n, (system, last) = self._in_a_row, self._last
            told = f"{n} labels in a row failed because their program did"
            place = f"the last, {place_of(last.origin)}: {last.message}"
            frame, also = self._proven(system), ""
            if frame is not None:
                # Meanwhile it stays in doubt: nobody else begins a label.
                result = ask(system, frame, replace(last.origin, purpose=Purpose.SINGLE))
                self._count(result)
                if isinstance(result, Labelled):
                    self._note(
                        "program_works",
                        f"{told}, but a frame that has a label was labelled anew and came out: it "
                        f"is these frames, which are set aside; {place}",
                    )
                    return
                also = f", nor does a frame come out any more that has a label ({result.message})"
            with self._lock:
                self._in_a_row = 0
        raise ProgramFailed(
            f"{told}, so it is not the frames{also}; {place}",
            directory=last.directory,
            hint="`sis doctor` looks at every program; what failed is labelled when you go on",
        )


def place_of(origin: Origin) -> str:
    """'3 of g0001-cp-0-bulk (bulk)'"""
    return f"{origin.index} of {origin.plan} ({origin.system})"

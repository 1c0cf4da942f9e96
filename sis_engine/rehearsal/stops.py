"""SIGTERM in every stage of a campaign with real parts: how long until it has stopped."""

from __future__ import annotations

import random
import select
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from os import close, pidfd_open
from pathlib import Path

from sis_engine.errors import SisError
from sis_engine.rehearsal.life import ENDED
from sis_engine.rehearsal.remains import differences_of, look, orphans
from sis_engine.rehearsal.trial import Trial
from sis_engine.storage.ledger import Ledger, StageRow, StageState

STOPS_WITHIN_S = 30.0
"""From SIGTERM to exit, in whatever stage."""
PAUSED = 3
LOOK_EVERY_S = 0.02
LATEST = 0.3
"""Of a stage's time in the undisturbed campaign: this one may run where less else does."""


@dataclass
class Stop:
    """One SIGTERM. generation, stage: what ran, or had just ended"""

    generation: int
    stage: str
    code: int
    seconds: float

    @property
    def kind(self) -> str:
        """The stage without its number."""
        return self.stage.rstrip("-0123456789")

    @property
    def differences(self) -> tuple[str, ...]:
        told = []
        if self.code not in {PAUSED, *ENDED}:
            told.append(f"exit code {self.code}, not {PAUSED}")
        if self.seconds > STOPS_WITHIN_S:
            told.append(f"{self.seconds:.1f} s from SIGTERM to exit")
        return tuple(told)


@dataclass
class Stops:
    """One campaign that is stopped in every stage the undisturbed one went through.

    folder: of the campaign;  whole: of the undisturbed one;  seed: of the times within the stages
    """

    folder: Path
    whole: Path
    name: str
    seed: int
    tell: Callable[[str], None]
    made: list[Stop] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)

    def make(self, start: Callable[[Path], subprocess.Popen[bytes]]) -> None:
        """Start it and stop it, stage after stage. It has not ended yet when this returns."""
        lot = random.Random(self.seed)  # noqa: S311 - times of stops, nothing secret
        for row in done_stages(self.whole):
            after_s = lot.uniform(0.0, LATEST) * (row.seconds or 0.0)
            if _is_in(row, done_stages(self.folder)):
                continue
            process = start(self.folder)
            if self._reached(process, row) and not ends_within(process, after_s):
                self._stop(process)

    def _reached(self, process: subprocess.Popen[bytes], wanted: StageRow) -> bool:
        """Whether that stage has begun; one that is over already is stopped in the next."""
        before = len(stages(self.folder))
        while process.poll() is None:
            rows = stages(self.folder)[before:]
            if _is_in(wanted, rows):
                return True
            time.sleep(LOOK_EVERY_S)
        return False

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        met = stages(self.folder)[-1]
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait()
        took = time.monotonic() - asked
        self.made.append(Stop(met.generation, met.stage, code, took))
        self.orphans += orphans(self.folder)
        self.tell(f"SIGTERM in {met.stage} of generation {met.generation}: {took:.1f} s")

    def trials(self) -> tuple[Trial, ...]:
        """A trial for each kind of stage, with its slowest stop, and one for the end."""
        kinds: dict[str, list[Stop]] = defaultdict(list)
        for stop in self.made:
            kinds[stop.kind].append(stop)
        each = tuple(
            Trial(
                name=f"SIGTERM in {kind}: {self.name}",
                fault=f"SIGTERM in {kind}, real parts ({self.name})",
                outcome=f"exit code {', '.join(map(str, sorted({stop.code for stop in stops})))} "
                f"within {max(stop.seconds for stop in stops):.1f} s",
                injected=len(stops),
                differences=tuple(text for stop in stops for text in stop.differences),
                seconds=sum(stop.seconds for stop in stops),
            )
            for kind, stops in kinds.items()
        )
        wanted = {(row.generation, row.stage) for row in done_stages(self.whole)}
        met = wanted & {(stop.generation, stop.stage) for stop in self.made}
        end = Trial(
            name=f"stopped in every stage: {self.name}",
            fault=f"all of these, real parts ({self.name})",
            outcome=f"met {len(met)} of {len(wanted)} stages; went on to the same end",
            differences=differences_of(look(self.folder), look(self.whole)),
            orphans=tuple(self.orphans),
        )
        return (*each, end)


def stages(folder: Path) -> tuple[StageRow, ...]:
    """Attempts at stages, in order; none yet where the campaign is only being made."""
    try:
        with Ledger(folder, read_only=True) as ledger:
            return ledger.stages()
    except SisError:
        return ()


def done_stages(folder: Path) -> tuple[StageRow, ...]:
    return tuple(row for row in stages(folder) if row.state is StageState.DONE)


def ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it has ended by then."""
    handle = pidfd_open(process.pid)
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        close(handle)


def _is_in(wanted: StageRow, rows: tuple[StageRow, ...]) -> bool:
    return any((row.generation, row.stage) == (wanted.generation, wanted.stage) for row in rows)

"""SIGKILLs on a campaign with real parts: ``sis run`` as a person starts it, with its programs."""

from __future__ import annotations

import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from os import close, pidfd_open
from pathlib import Path

from sis_engine.errors import ProgramFailed
from sis_engine.rehearsal.course import Course, reach
from sis_engine.rehearsal.life import ENDED, adopt_orphans
from sis_engine.rehearsal.remains import Remains, look, orphans
from sis_engine.rehearsal.trial import Trial

OUTPUT = "said.txt"
_SIS = "from sis_engine.cli.main import main; main()"


@dataclass
class Real:
    """A campaign file, where to run it, and a line to a person. seed: of the times of the kills"""

    config: Path
    folder: Path
    kills: int
    seed: int
    tell: Callable[[str], None]

    def rehearse(self) -> tuple[Trial, ...]:
        """Once undisturbed, then killed at moments drawn over its whole course; a trial a stage."""
        adopt_orphans()
        begun = time.monotonic()
        whole, killed = self.folder / "undisturbed", self.folder / "killed"
        self._to_the_end(whole)
        course = Course.of(whole)
        self.tell(
            f"undisturbed: {time.monotonic() - begun:.0f} s, {course.seconds:.0f} s in stages"
        )
        kills, left = self._kill(killed, course)
        self._to_the_end(killed)
        wrong = _differences(look(killed), look(whole))
        seconds = time.monotonic() - begun
        return tuple(
            Trial(
                name=f"real: {self.config.name}: {stage}",
                fault=f"SIGKILL in {stage}, real parts ({self.config.name})",
                outcome="went on to the same end",
                kills=times,
                differences=wrong if number == 0 else (),
                orphans=tuple(left) if number == 0 else (),
                seconds=seconds if number == 0 else 0.0,
            )
            for number, (stage, times) in enumerate(kills.items())
        )

    def _kill(self, folder: Path, course: Course) -> tuple[Counter[str], list[str]]:
        """(kills by stage, what was left running)."""
        lot = random.Random(self.seed)  # noqa: S311 - times of kills, nothing secret
        times = sorted(lot.uniform(0.0, course.seconds) for _ in range(self.kills))
        kills: Counter[str] = Counter()
        left: list[str] = []
        for moment in map(course.at, times):
            process = self._start(folder)
            if not reach(folder, moment, course, partial(_ends_within, process)):
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills[moment.kind] += 1
            left += orphans(folder)
            self.tell(f"{kills.total()} kills: {moment}, after {moment.after_s:.1f} s")
        return kills, left

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (self.folder / OUTPUT).open("ab") as output:
            return subprocess.Popen(
                (
                    sys.executable,
                    "-c",
                    _SIS,
                    "run",
                    self.config,
                    folder,
                    "--quiet",
                ),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _to_the_end(self, folder: Path) -> None:
        code = self._start(folder).wait()
        if code not in ENDED:
            raise ProgramFailed(
                f"{self.config} in {folder} ended with exit code {code}",
                directory=folder,
                hint=f"read the end of {self.folder / OUTPUT}",
            )


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    handle = pidfd_open(process.pid)
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        close(handle)


def _differences(found: Remains, wanted: Remains) -> tuple[str, ...]:
    told = []
    if found.digest != wanted.digest:
        told.append("another digest")
    if found.paid != wanted.paid:
        told.append(f"{found.paid} evaluations counted, not {wanted.paid}")
    return (*told, *(f"{name} is left" for name in sorted(found.files - wanted.files)))

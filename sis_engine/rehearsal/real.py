"""SIGKILLs on a campaign with real parts: ``sis run`` as a person starts it, with its programs."""

from __future__ import annotations

import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from os import close, pidfd_open
from pathlib import Path

from sis_engine.errors import ProgramFailed
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

    def rehearse(self) -> Trial:
        """Once undisturbed, then killed until there were enough kills or it has ended."""
        adopt_orphans()
        begun = time.monotonic()
        whole = self.folder / "undisturbed"
        self._to_the_end(whole)
        seconds = time.monotonic() - begun
        self.tell(f"undisturbed: {seconds:.0f} s")
        killed = self.folder / "killed"
        left: list[str] = []
        lot = random.Random(self.seed)  # noqa: S311 - times of kills, nothing secret
        kills = 0
        while kills < self.kills:
            process = self._start(killed)
            if _ends_within(process, lot.expovariate(self.kills / seconds)):
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            left += orphans(killed)
            self.tell(f"{kills} kills")
        self._to_the_end(killed)
        differences = _differences(look(killed), look(whole))
        return Trial(
            name=f"real: {self.config.name}",
            fault=f"SIGKILL at a random time, real parts ({self.config.name})",
            outcome="went on to the same end",
            kills=kills,
            differences=differences,
            orphans=tuple(left),
            seconds=time.monotonic() - begun,
        )

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

"""SIGKILLs, and a SIGTERM in every stage, on a campaign with real parts.

``sis run`` as a person starts it, with its programs.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sis_engine.errors import ProgramFailed
from sis_engine.rehearsal.life import ENDED
from sis_engine.rehearsal.remains import adopt_orphans, differences_of, look, orphans
from sis_engine.rehearsal.stops import Stops, done_stages, ends_within
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
        """Once undisturbed, once killed at random times, once stopped in every stage."""
        adopt_orphans()
        whole = self.folder / "undisturbed"
        self._to_the_end(whole)
        seconds = sum(row.seconds or 0.0 for row in done_stages(whole))
        self.tell(f"undisturbed: {seconds:.0f} s")
        killed = self._killed(whole, seconds)
        stops = Stops(self.folder / "stopped", whole, self.config.name, self.seed, self.tell)
        stops.make(self._start)
        self._to_the_end(stops.folder)
        return (killed, *stops.trials())

    def _killed(self, whole: Path, seconds: float) -> Trial:
        """Until there were enough kills, or it has ended."""
        begun = time.monotonic()
        killed = self.folder / "killed"
        left: list[str] = []
        lot = random.Random(self.seed)  # noqa: S311 - times of kills, nothing secret
        kills = 0
        while kills < self.kills:
            process = self._start(killed)
            if ends_within(process, lot.expovariate(self.kills / seconds)):
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            left += orphans(killed)
            self.tell(f"{kills} kills")
        self._to_the_end(killed)
        differences = differences_of(look(killed), look(whole))
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

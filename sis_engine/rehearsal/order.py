"""What is to be rehearsed, as ``sis rehearse`` hands it to the process that does it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sis_engine.errors import ConfigurationError, ProgramFailed, StopRequested
from sis_engine.rehearsal.interposer import build

PARTS = ("operations", "damage", "surroundings", "programs", "models", "kills")
QUICK_KILLS, LONG_KILLS = 20, 300
QUICK_SAMPLE = 5
STOPPED = 3
"""Exit code after SIGTERM: what was led is noted, and the same command goes on with the rest."""


@dataclass(frozen=True)
class Order:
    """folder: for the journal and the table;  parts: of :data:`PARTS`

    stride: every how manieth operation fails, from the first;  sample: so many faults of
        operations only, drawn by lot, each of another kind
    """

    folder: str
    parts: tuple[str, ...]
    seed: int
    kills: int
    jobs: int
    stride: int = 1
    sample: int | None = None
    quiet: bool = False

    def as_text(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Order:
        found = json.loads(text)
        return cls(**found | {"parts": tuple(found["parts"])})


def parts_of(only: Sequence[str] | None) -> tuple[str, ...]:
    """The parts asked for, in their order; all where none was named."""
    unknown = [name for name in only or () if name not in PARTS]
    if unknown:
        raise ConfigurationError(
            f"there is no part {unknown[0]!r}", key="--only", allowed=", ".join(PARTS)
        )
    return tuple(name for name in PARTS if not only or name in only)


def carry_out(order: Order) -> bool:
    """Have it done by a process that has the faults in front of its C library.

    Whether they were there: without a C compiler no operation is made to fail. Raises StopRequested
    after SIGTERM, which that process gets too.
    """
    library = build(Path(order.folder))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if library is not None:
        environment["LD_PRELOAD"] = str(library)
    code = _ended_with_us(
        (sys.executable, "-m", "sis_engine.rehearsal", order.as_text()), environment
    )
    if code in {STOPPED, -signal.SIGTERM}:
        raise StopRequested(
            f"the rehearsal in {order.folder} was stopped; what was led is noted there"
        )
    if code != 0:
        raise ProgramFailed(
            f"the rehearsal ended with exit code {code}",
            directory=Path(order.folder),
            hint="the same command goes on where it was",
        )
    return library is not None


def _ended_with_us(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Exit code of a program that gets SIGTERM when this process does, and never outlives it."""
    started: list[subprocess.Popen[bytes]] = []

    def terminate(*_: object) -> None:
        if not started:
            raise StopRequested("the rehearsal was stopped before it began")
        started[0].terminate()

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL))
        return started[0].wait()
    except BaseException:
        for process in started:
            process.terminate()
            process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)

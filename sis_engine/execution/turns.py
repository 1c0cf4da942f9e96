"""GPUs that several campaigns take turns on: held from a training to the labels after its MD."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sis_engine.errors import StopRequested

FOLDER, GPUS, WANTED = "SIS_GPU_TURNS", "SIS_GPUS", "SIS_GPUS_WANTED"
"""What the service says to its engines: where locks are, the GPUs there are, how many at a time."""
VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL_S = 0.5


class Turns(Protocol):
    """What a campaign asks before it uses a GPU, and says when it does not for a while."""

    @property
    def held(self) -> bool: ...

    def take(self, stop: Callable[[], bool]) -> bool:
        """Whether this changed anything: programs that run already see no GPU, or another."""
        ...

    def give_back(self) -> None: ...


@dataclass(frozen=True)
class NoTurns:
    """All GPUs that are seen are the campaign's own."""

    held = False

    def take(self, stop: Callable[[], bool]) -> bool:
        del stop
        return False

    def give_back(self) -> None:
        """Nothing is held."""


@dataclass
class GpuTurns:
    """Locks on files, one a GPU; the kernel drops them with their process, however it ends.

    folder: of the lock files, the same for all campaigns;  gpus: as CUDA_VISIBLE_DEVICES names them
    wanted: how many at a time;  told: (kind, text) of each turn
    """

    folder: Path
    gpus: tuple[str, ...]
    wanted: int
    told: Callable[[str, str], None]
    _held: ExitStack | None = field(default=None, init=False)
    _one: threading.Lock = field(default_factory=threading.Lock, init=False)

    @property
    def held(self) -> bool:
        return self._held is not None

    def take(self, stop: Callable[[], bool]) -> bool:
        """Wait for so many free GPUs and hold them; what is started from now on sees only those.

        All or none: two campaigns that want two never wait for each other with one each.
        Members of a committee may ask side by side. Raises StopRequested.
        """
        with self._one:
            return self._held is None and self._take(stop)

    def _take(self, stop: Callable[[], bool]) -> bool:
        waits = False
        while (found := self._try()) is None:
            if not waits:
                self.told("gpu_wait", f"waits for {self.wanted} of GPUs {', '.join(self.gpus)}")
                waits = True
            if stop():
                raise StopRequested("stopped while it waited for a GPU")
            time.sleep(POLL_S)
        self._held, names = found
        os.environ[VISIBLE] = ",".join(names)
        self.told("gpu_taken", f"GPU {', '.join(names)} taken")
        return True

    def give_back(self) -> None:
        """Programs that use them must have ended."""
        if self._held is None:
            return
        self.told("gpu_given_back", f"GPU {os.environ[VISIBLE]} given back")
        os.environ[VISIBLE] = ""
        self._held.close()
        self._held = None

    def _try(self) -> tuple[ExitStack, tuple[str, ...]] | None:
        self.folder.mkdir(parents=True, exist_ok=True)
        names: list[str] = []
        with ExitStack() as held:
            for gpu in self.gpus:
                if len(names) < self.wanted and _lock(self.folder / f"gpu-{gpu}.lock", held):
                    names.append(gpu)
            return (held.pop_all(), tuple(names)) if len(names) == self.wanted else None


def _lock(path: Path, held: ExitStack) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    held.callback(os.close, descriptor)
    return True


def turns_for(folder: Path, gpus: Sequence[str], wanted: int) -> dict[str, str]:
    """Variables of an engine that takes turns."""
    return {FOLDER: str(folder), GPUS: ",".join(gpus), WANTED: str(wanted), VISIBLE: ""}


def turns_of(environment: Mapping[str, str], told: Callable[[str, str], None]) -> Turns:
    """What the service that started this process wants; without one, no turns."""
    folder = environment.get(FOLDER)
    if not folder:
        return NoTurns()
    gpus = tuple(environment[GPUS].split(","))
    return GpuTurns(Path(folder), gpus, int(environment[WANTED]), told)

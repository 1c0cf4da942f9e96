"""What passes between the engine and a worker: a folder for each piece of work, never a pickle.

::

    <spool>/<job>/
      task.h5     what to do, a sealed record
      claim       who does it: made once, by whoever is first (a worker, or the engine that revokes)
      beat        written anew every few seconds while it is worked on
      cancel      the engine does not want it any more
      results     finished labels, each durable as it finishes

The scheduler is never asked whether work is done: a result is there or it is not, and who beats
lives. So its silence costs nothing, a restarted engine finds jobs that still run, and a job that
was given up cannot start later. Both ends see one file system.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TASK, CLAIM, BEAT, CANCEL, RESULTS, ANSWER = (
    "task.h5",
    "claim",
    "beat",
    "cancel",
    "results",
    "answer.h5",
)
ANSWERED = ("train", "predict", "explore", "mdpredict")
"""Kinds of work that have one answer; the other kind is labels."""
BEAT_S = 3.0
"""How often a worker shows that it lives."""
STALE_S = 5.0 * BEAT_S
"""A worker that was not seen to beat for so long is dead, or will find that it was cancelled."""
LOOK_S = 0.5
"""How often a worker looks whether it was cancelled."""

REVOKED = "revoked"


@dataclass(frozen=True)
class Sign:
    """What a worker last said of itself.

    rss_bytes: memory of its process and of its children;  limit_bytes: what it may have, ``None``:
    not known
    """

    rss_bytes: int | None
    limit_bytes: int | None

    @property
    def was_full(self) -> bool:
        """Nearly all memory was used: who was killed then was killed for that."""
        if not self.rss_bytes or not self.limit_bytes:
            return False
        return self.rss_bytes > 0.9 * self.limit_bytes


@dataclass(frozen=True)
class JobFolder:
    """One piece of work, as both ends see it."""

    path: Path

    @classmethod
    def new(cls, spool: Path, kind: str) -> JobFolder:
        folder = cls(spool / f"{kind}-{uuid.uuid4().hex[:16]}")
        folder.path.mkdir(parents=True)
        return folder

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def kind(self) -> str:
        """Of work."""
        return self.path.name.partition("-")[0]

    @property
    def task(self) -> Path:
        return self.path / TASK

    @property
    def results(self) -> Path:
        return self.path / RESULTS

    @property
    def answer(self) -> Path:
        return self.path / ANSWER

    def claim(self, who: dict[str, Any]) -> bool:
        """Take it; ``False`` if somebody has it, or it is gone. Atomic, also between machines."""
        own = self.path / f".{CLAIM}-{uuid.uuid4().hex[:12]}"
        try:
            own.write_text(json.dumps(who), encoding="utf-8")
            os.link(own, self.path / CLAIM)  # O_EXCL is not atomic on every network file system
        except (FileExistsError, FileNotFoundError):
            return False
        finally:
            own.unlink(missing_ok=True)
        return True

    def claimed_by(self) -> dict[str, Any] | None:
        """Who has it, ``None``: nobody yet."""
        try:
            found: dict[str, Any] = json.loads((self.path / CLAIM).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return found

    def revoke(self) -> bool:
        """Nobody may begin it any more. ``False``: somebody has; who then sees ``cancel``."""
        self.cancel()
        return self.claim({"who": REVOKED})

    def cancel(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            (self.path / CANCEL).touch()

    def is_cancelled(self) -> bool:
        """Also where the engine has given it up for lost, and put its folder away."""
        return (self.path / CANCEL).exists() or not self.path.exists()

    def beat(self) -> str:
        """The last sign of life as it stands: it differs when the worker has beaten since."""
        try:
            return (self.path / BEAT).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def sign(self) -> Sign | None:
        """The last sign of life read; ``None``: there is none, or half of one."""
        try:
            said = json.loads(self.beat())
        except json.JSONDecodeError:
            return None
        return Sign(said.get("rss_bytes"), said.get("limit_bytes"))


class Pulse:
    """Whether a worker's beat changes, by the engine's own clock: no two clocks are compared."""

    def __init__(self, folder: JobFolder, now: float) -> None:
        self._folder = folder
        self._last = folder.beat()
        self._seen = now

    def is_alive(self, now: float) -> bool:
        """False once nothing has changed for STALE_S."""
        said = self._folder.beat()
        if said != self._last:
            self._last, self._seen = said, now
        return now - self._seen < STALE_S


class Cancelled:
    """Whether a job is not wanted any more, looked at now and then: labelers ask often."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        self._next = 0.0
        self._is = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._is and now >= self._next:
            self._next = now + LOOK_S
            self._is = self._folder.is_cancelled()
        return self._is


@contextmanager
def beating(folder: JobFolder) -> Iterator[None]:
    """Shows that this process lives, from a thread, until the block ends."""
    ended = threading.Event()

    def beat() -> None:
        number = 0
        while True:
            number += 1
            _write_beat(folder, number)
            if ended.wait(BEAT_S):
                return

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _write_beat(folder: JobFolder, number: int) -> None:
    said = {
        "n": number,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "rss_bytes": _memory_used(),
        "limit_bytes": _memory_limit(),
    }
    own = folder.path / f".{BEAT}-{os.getpid()}"
    with contextlib.suppress(OSError):  # a full disk is not a dead worker: the next may pass
        own.write_text(json.dumps(said), encoding="utf-8")
        own.replace(folder.path / BEAT)


def _memory_used() -> int | None:
    """Of this control group where there is one of its own, else of this process alone."""
    group = _group_file("memory.current")
    if group is not None and _group_file("memory.max") is not None:
        return group
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _memory_limit() -> int | None:
    """What the control group allows, else the machine's memory."""
    group = _group_file("memory.max")
    if group is not None:
        return group
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def _group_file(name: str) -> int | None:
    """A number of this process's control group (version 2); ``None``: no group, or no limit."""
    try:
        line = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()[0]
        text = Path("/sys/fs/cgroup", line.split(":", 2)[2].strip("/"), name).read_text("ascii")
        return int(text)
    except (OSError, ValueError, IndexError):
        return None

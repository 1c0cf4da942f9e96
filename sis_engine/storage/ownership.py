"""One engine per campaign: a kernel lock that dies with its process, and a note of who holds it."""

from __future__ import annotations

import datetime as dt
import fcntl
import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from sis_engine.errors import CampaignHeld
from sis_engine.storage.atomic import DISK, Disk, infrastructure_error

LOCK_FILE = "owner.lock"


@dataclass(frozen=True)
class Owner:
    """Who holds a campaign. started_at: ISO 8601, UTC."""

    pid: int
    host: str
    user: str
    started_at: str


class Hold:
    """A held campaign; release it, or leave the ``with`` block."""

    def __init__(self, descriptor: int, owner: Owner) -> None:
        self.owner = owner
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def acquire(folder: Path, *, disk: Disk = DISK) -> Hold:
    """Take a campaign, or raise CampaignHeld saying who has it, since when, and what to do.

    The lock is ``flock`` on ``owner.lock``: the kernel drops it when its process dies, however it
    dies, so a stale lock does not exist and the file is never removed.
    """
    path = folder / LOCK_FILE
    try:
        disk.mkdir(folder)
        descriptor = disk.open(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise infrastructure_error(error, path, "locking") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise _held(folder) from None
    except OSError as error:
        os.close(descriptor)
        raise infrastructure_error(error, path, "locking") from error
    owner = _this_process()
    note = json.dumps(asdict(owner)).encode() + b"\n"
    try:
        disk.truncate(descriptor, 0)
        disk.write(descriptor, memoryview(note), 0)
    except OSError as error:
        os.close(descriptor)
        raise infrastructure_error(error, path, "locking") from error
    return Hold(descriptor, owner)


def holder(folder: Path) -> Owner | None:
    """Who holds the campaign now, without taking it; ``None`` when nobody does."""
    path = folder / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _noted(path) or Owner(0, "unknown host", "unknown", "an unknown time")
    else:
        return None
    finally:
        os.close(descriptor)


def _held(folder: Path) -> CampaignHeld:
    owner = _noted(folder / LOCK_FILE)
    if owner is None:
        return CampaignHeld(
            f"another engine is just taking {folder}", hint="wait for it, or watch: `sis status`"
        )
    message = (
        f"{folder} is held by process {owner.pid} of {owner.user} on {owner.host}, "
        f"since {owner.started_at}"
    )
    hint = f"watch it with `sis status`, or stop it: `kill {owner.pid}` on {owner.host}, then again"
    if owner.host == socket.gethostname() and not _alive(owner.pid):
        message += "; that process is gone, but a process it started still holds the lock"
        hint = f"find it with `fuser {folder / LOCK_FILE}` and end it, then again"
    return CampaignHeld(message, hint=hint)


def _noted(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _this_process() -> Owner:
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return Owner(os.getpid(), socket.gethostname(), _user(), now)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container user without a name
        return str(os.getuid())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

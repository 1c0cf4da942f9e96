"""A small file system of one's own: to be filled up and made read-only without harm to anybody.

A child process with mounts of its own puts a tmpfs where the campaign will be. Root writes in spite
of modes, but not in spite of a read-only mount, so this meets root as well.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from sis_engine.rehearsal.trial import Trial

ATTEMPTS = 1000
BALLAST = "ballast"
"""Name of the file that fills it up."""
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_RDONLY, _MS_REMOUNT, _MS_REC, _MS_PRIVATE = 1, 32, 16384, 1 << 18
_REFUSED = 77
"""Exit code of a child that may not mount anything."""


class MountRefused(OSError):
    """Mounts of its own are not for this user here."""


def in_own_mounts(folder: Path, size_bytes: int, work: Callable[[], Trial]) -> Trial | None:
    """What ``work`` comes to with a file system of that size on ``folder``; ``None``: refused.

    It is led in a forked process, with which the mount goes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _lead(folder, size_bytes, work, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said:
        text = said.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == _REFUSED:
        return None
    if code != 0:
        raise RuntimeError(f"a trial in mounts of its own ended with {code}: {text}")
    return Trial.from_line(text)


def _lead(folder: Path, size_bytes: int, work: Callable[[], Trial], writing: int) -> None:
    """What the child does; it never returns."""
    code = 1
    try:
        _mount(folder, size_bytes)
        said = work().as_line()
        code = 0
    except MountRefused:
        said, code = "", _REFUSED
    except BaseException:  # noqa: BLE001 - told to the parent, which raises
        said = traceback.format_exc()
    try:
        with os.fdopen(writing, "w", encoding="utf-8") as told:
            told.write(said)
    finally:
        os._exit(code)


def _mount(folder: Path, size_bytes: int) -> None:
    user, group = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNS | (_CLONE_NEWUSER if user else 0)
    _call("unshare", flags)
    if user:  # who may not mount may do so in a world of its own
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _call("mount", b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
    size = f"size={size_bytes}".encode()
    _call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(0), size)


def make_read_only(folder: Path, *, read_only: bool) -> None:
    """The mount on ``folder``, from now on. Raises OSError while a file there is being written."""
    flags = _MS_REMOUNT | (_MS_RDONLY if read_only else 0)
    _call("mount", b"tmpfs", os.fsencode(folder), None, ctypes.c_ulong(flags), None)


def fill(folder: Path, left_bytes: int = 0) -> None:
    """Fill the file system on ``folder`` up to so many bytes; others may write there meanwhile."""
    with (folder / BALLAST).open("ab") as ballast:
        held = ballast.tell()
        for attempt in range(ATTEMPTS):
            facts = os.statvfs(folder)
            size = facts.f_bavail * facts.f_frsize - left_bytes
            if size <= 0:
                return
            try:
                os.posix_fallocate(ballast.fileno(), held, size)
            except OSError as error:  # somebody else took some of it since
                if error.errno != errno.ENOSPC or attempt == ATTEMPTS - 1:
                    raise
            else:
                held += size


def make_room(folder: Path) -> None:
    """Take the ballast out."""
    (folder / BALLAST).unlink(missing_ok=True)


def _call(name: str, *given: object) -> None:
    if sys.platform != "linux":
        raise MountRefused(f"{name} exists on Linux only")
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*given) != 0:
        number = ctypes.get_errno()
        raise MountRefused(number, f"{name}: {os.strerror(number)}")

"""Whole files, written durably: every open, write, fsync and rename of the storage room is here.

A file appears under its name complete or not at all: temporary name in the same folder, write,
fsync, verify, rename, fsync of the folder. :class:`Disk` is the seam through which a fault
campaign makes the k-th operation fail.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from sis_engine.errors import InfrastructureError

P = ParamSpec("P")
T = TypeVar("T")

BLOCK_BYTES = 1 << 20
"""Files are hashed and copied in blocks of this size, so memory stays bounded."""

IN_MEMORY_BYTES = 64 << 20
"""Files up to this size are put together in memory and written in one piece."""

PARTIAL_SUFFIX = ".partial"
ASIDE_FOLDER = "aside"

_ADVICE = {
    errno.ENOSPC: "the disk is full: free space (`sis gc` removes old scratch), then `sis run`",
    errno.EDQUOT: "the disk quota is used up: free space or ask for more, then `sis run`",
    errno.EIO: "the disk reports an input/output error: check `dmesg` and the file server",
    errno.EROFS: "the file system is mounted read-only: check `dmesg`, remount it, then `sis run`",
    errno.ESTALE: "the network file system lost the file: check the mount, then `sis run`",
    errno.EACCES: "permission denied: check owner and mode of the folder",
}

SURROUNDINGS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.EROFS,
        errno.ESTALE,
        errno.ENODEV,
        errno.EMFILE,
        errno.ENFILE,
        errno.EAGAIN,
        errno.ENOMEM,
        errno.ENOLCK,
    }
)
"""System errors that no frame, plugin or campaign is to blame for."""


class Disk:
    """The operating system's file calls. Replace it by one that fails to rehearse faults."""

    def open(self, path: Path, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o644)

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        return os.pwrite(descriptor, data, offset)

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        return os.pread(descriptor, size, offset)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        os.replace(source, target)  # noqa: PTH105  (the seam shows the system call)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def mkdir(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)


DISK = Disk()


def infrastructure_error(error: OSError, path: Path, doing: str) -> InfrastructureError:
    """``error`` as one of ours: what failed, on which file, and what to do."""
    reason = error.strerror or str(error)
    hint = _ADVICE.get(error.errno or 0, "check the disk and the folder, then `sis run` again")
    return InfrastructureError(f"{doing} {path} failed: {reason}", hint=hint)


class DurableFile:
    """A seekable binary file whose every write is our own, so that h5py can be handed it.

    HDF5 writes in thousands of small pieces: they are put together in memory, and a file that
    grows beyond ``IN_MEMORY_BYTES`` goes to the disk as it comes.
    The first error is remembered in ``error``: libraries between us and the disk may lose it.
    """

    def __init__(self, path: Path, *, disk: Disk = DISK) -> None:
        self.path = path
        self.error: OSError | None = None
        self._disk = disk
        self._position = 0
        self._size = 0
        self._image: bytearray | None = bytearray()
        """What it holds while that is in memory; ``None``: it is on the disk."""
        self._descriptor = disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        view = memoryview(data).cast("B")
        end = self._position + len(view)
        if end > IN_MEMORY_BYTES:
            self._write_out()
        if self._image is None:
            self._write_at(view, self._position)
        else:
            self._image.extend(bytes(max(0, end - len(self._image))))
            self._image[self._position : end] = view
        self._position = end
        self._size = max(self._size, end)
        return len(view)

    def _write_at(self, view: memoryview, start: int) -> None:
        done = 0
        while done < len(view):
            done += self._guarded(self._disk.write, self._descriptor, view[done:], start + done)

    def _write_out(self) -> None:
        """What is in memory goes to the disk, and what comes later too."""
        if self._image is not None:
            image, self._image = self._image, None
            self._write_at(memoryview(image), 0)

    def read(self, size: int = -1) -> bytes:
        wanted = self._size - self._position if size < 0 else size
        if self._image is not None:
            found = bytes(self._image[self._position : self._position + wanted])
            self._position += len(found)
            return found
        pieces: list[bytes] = []
        while wanted > 0:
            piece = self._guarded(self._disk.read, self._descriptor, wanted, self._position)
            if not piece:
                break
            pieces.append(piece)
            self._position += len(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def truncate(self, size: int | None = None) -> int:
        length = self._position if size is None else size
        if length > IN_MEMORY_BYTES:
            self._write_out()
        if self._image is None:
            self._guarded(self._disk.truncate, self._descriptor, length)
        else:
            del self._image[length:]
            self._image.extend(bytes(length - len(self._image)))
        self._size = length
        return length

    def flush(self) -> None:
        """:meth:`sync` writes what is in memory, and makes it durable."""

    def sync(self) -> None:
        self._write_out()
        self._guarded(self._disk.fsync, self._descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._guarded(self._disk.close, descriptor)

    def _guarded(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except OSError as error:
            self.error = self.error or error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._write_out()
        finally:
            self.close()


def write_file(
    path: Path,
    fill: Callable[[DurableFile], None],
    *,
    verify: Callable[[Path], None] | None = None,
    disk: Disk = DISK,
    lasting: bool = True,
) -> None:
    """Put a complete file at ``path``: ``fill`` writes it, ``verify`` judges the temporary one.

    lasting: it survives a power cut; otherwise nobody waits for the disk
    Whatever ``fill`` or ``verify`` raise leaves ``path`` as it was. InfrastructureError when the
    disk failed, also when a library in between turned its error into another.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    file: DurableFile | None = None
    try:
        disk.mkdir(path.parent)
        with DurableFile(temporary, disk=disk) as file:
            fill(file)
            if lasting:
                file.sync()
        if verify is not None:
            verify(temporary)
        disk.rename(temporary, path)
        if lasting:
            sync_folder(path.parent, disk=disk)
    except BaseException as error:
        with contextlib.suppress(OSError):
            disk.unlink(temporary)
        cause = error if file is None or file.error is None else file.error
        if isinstance(cause, OSError):
            raise infrastructure_error(cause, path, "writing") from error
        raise


def write_bytes(path: Path, data: bytes, *, disk: Disk = DISK) -> None:
    """``data`` at ``path``, durable when this returns."""

    def fill(file: DurableFile) -> None:
        file.write(data)

    write_file(path, fill, disk=disk)


def write_text(path: Path, text: str, *, disk: Disk = DISK) -> None:
    """``text`` in UTF-8 at ``path``, durable when this returns."""
    write_bytes(path, text.encode(), disk=disk)


def sync_folder(folder: Path, *, disk: Disk = DISK) -> None:
    """Make a rename in ``folder`` durable (POSIX: the folder itself must be fsynced)."""
    descriptor = disk.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        disk.fsync(descriptor)
    finally:
        disk.close(descriptor)


def sync_file(path: Path, *, disk: Disk = DISK) -> None:
    """Make a file that a program wrote durable, with its name."""
    try:
        descriptor = disk.open(path, os.O_RDONLY)
        try:
            disk.fsync(descriptor)
        finally:
            disk.close(descriptor)
        sync_folder(path.parent, disk=disk)
    except OSError as error:
        raise infrastructure_error(error, path, "making durable") from error


def move_aside(path: Path, *, disk: Disk = DISK) -> Path:
    """Move a torn or unknown file into ``aside/`` beside it, never deleting; the new path."""
    folder = path.parent / ASIDE_FOLDER
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S")
    target = folder / f"{path.name}.{stamp}"
    count = 1
    while target.exists():
        target = folder / f"{path.name}.{stamp}-{count}"
        count += 1
    try:
        disk.mkdir(folder)
        disk.rename(path, target)
        sync_folder(folder, disk=disk)
        sync_folder(path.parent, disk=disk)
    except OSError as error:
        raise infrastructure_error(error, path, "moving aside") from error
    return target


def set_unfinished_aside(folder: Path, *, disk: Disk = DISK) -> tuple[Path, ...]:
    """Move aside what a killed process left of :func:`write_file` anywhere below; where to.

    The caller holds the folder. A file that a living process of this machine writes (a report,
    say) stays.
    """
    left = [
        path
        for path in sorted(folder.rglob(f".*{PARTIAL_SUFFIX}"))
        if path.parent.name != ASIDE_FOLDER and not _is_being_written(path)
    ]
    return tuple(move_aside(path, disk=disk) for path in left)


def _is_being_written(path: Path) -> bool:
    """Its name ends in the writer's number, a random one and the suffix."""
    number = path.name.removesuffix(PARTIAL_SUFFIX).rpartition(".")[2].partition("-")[0]
    return number.isdigit() and int(number) != os.getpid() and Path(f"/proc/{number}").exists()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal, in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

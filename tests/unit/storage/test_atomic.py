from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from sis_engine.errors import InfrastructureError
from sis_engine.storage import atomic
from sis_engine.storage.atomic import (
    Disk,
    DurableFile,
    move_aside,
    set_unfinished_aside,
    sha256_of,
    write_bytes,
    write_file,
)


def test_what_is_written_is_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    write_bytes(path, b"hello")
    assert path.read_bytes() == b"hello"
    assert sha256_of(path) == hashlib.sha256(b"hello").hexdigest()
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_whichever_call_fails_the_old_file_stays_whole(tmp_path, failing_disk, code) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    counting = failing_disk(10**6)
    write_bytes(tmp_path / "a.bin", b"old", disk=counting)
    n_calls = 10**6 - counting.left
    assert n_calls >= 6  # open, write, fsync, rename, open the folder, fsync it
    for k in range(1, n_calls + 1):
        with pytest.raises(InfrastructureError, match=r"a\.bin"):
            write_bytes(path, b"new" * 1000, disk=failing_disk(k, code))
        # only the folder's fsync, after the rename, may leave the new file there
        assert path.read_bytes() in {b"old", b"new" * 1000}
        assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_refused_verification_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def refuse(_: Path) -> None:
        raise ValueError("not good")

    with pytest.raises(ValueError, match="not good"):
        write_file(path, lambda file: None, verify=refuse)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_short_writes_of_the_system_are_continued(tmp_path: Path) -> None:
    class ShortDisk(Disk):
        def write(self, descriptor: int, data: memoryview, offset: int) -> int:
            return super().write(descriptor, data[:3], offset)

    write_bytes(tmp_path / "a", b"0123456789", disk=ShortDisk())
    assert (tmp_path / "a").read_bytes() == b"0123456789"


@pytest.mark.parametrize("in_memory", [0, 7, 1000])
def test_a_durable_file_seeks_reads_and_truncates_as_a_file_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(atomic, "IN_MEMORY_BYTES", in_memory)
    with DurableFile(tmp_path / "a") as file:
        file.write(b"abcdef")
        file.seek(2)
        assert file.read(2) == b"cd"
        file.seek(8)
        file.write(b"x")
        file.seek(0)
        assert file.read() == b"abcdef\0\0x"
        file.truncate(3)
        assert file.seek(0, 2) == 3
    assert (tmp_path / "a").read_bytes() == b"abc"


def test_many_small_pieces_reach_the_disk_as_one(tmp_path: Path) -> None:
    class CountingDisk(Disk):
        writes = 0

        def write(self, descriptor: int, data: memoryview, offset: int) -> int:
            self.writes += 1
            return super().write(descriptor, data, offset)

    def fill(file: DurableFile) -> None:
        for number in range(100):
            file.write(bytes([number]))

    disk = CountingDisk()
    write_file(tmp_path / "a", fill, disk=disk)
    assert (tmp_path / "a").read_bytes() == bytes(range(100))
    assert disk.writes == 1


def test_files_moved_aside_are_kept_each_under_its_own_name(tmp_path: Path) -> None:
    for content in (b"1", b"2", b"3"):
        (tmp_path / "0001.h5").write_bytes(content)
        moved = move_aside(tmp_path / "0001.h5")
        assert moved.read_bytes() == content
    assert not (tmp_path / "0001.h5").exists()
    assert len(list((tmp_path / "aside").iterdir())) == 3


def test_what_a_killed_writer_left_is_moved_aside_and_nothing_else(tmp_path: Path) -> None:
    dead = tmp_path / "deep" / ".a.bin.4194304-0011aabb.partial"  # above the largest process number
    alive = tmp_path / f".report.html.{os.getppid()}-0011aabb.partial"
    mine = tmp_path / f".b.bin.{os.getpid()}-0011aabb.partial"
    dead.parent.mkdir()
    for path in (dead, alive, mine, tmp_path / "whole.bin"):
        path.write_bytes(b"half")
    moved = set_unfinished_aside(tmp_path)
    assert {path.name.rpartition(".")[0] for path in moved} == {dead.name, mine.name}
    assert all(path.read_bytes() == b"half" for path in moved)
    assert {path.name for path in tmp_path.iterdir()} == {"deep", "aside", alive.name, "whole.bin"}
    assert set_unfinished_aside(tmp_path) == ()

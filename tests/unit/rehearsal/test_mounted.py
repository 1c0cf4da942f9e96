"""A file system of one's own, where this user may have one."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from sis_engine.rehearsal.mounted import fill, in_own_mounts, make_read_only, make_room
from sis_engine.rehearsal.trial import Trial

SIZE = 1 << 20


def led(folder: Path, work: Callable[[], str]) -> str:
    """What it said in there."""
    found = in_own_mounts(folder, SIZE, lambda: Trial("a", "b", work()))
    if found is None:
        pytest.skip("this user may not mount anything here")
    return found.outcome


def refusal(path: Path) -> int | None:
    try:
        path.write_bytes(b"x" * 5000)
    except OSError as error:
        return error.errno
    return None


def test_it_is_full_until_room_is_made_and_then_gone(tmp_path: Path) -> None:
    folder = tmp_path / "disk"

    def work() -> str:
        fill(folder)
        before = refusal(folder / "a")
        make_room(folder)
        return f"{before} {refusal(folder / 'a')}"

    assert led(folder, work) == f"{errno.ENOSPC} None"
    assert list(folder.iterdir()) == []


def test_it_is_read_only_for_root_too(tmp_path: Path) -> None:
    folder = tmp_path / "disk"

    def work() -> str:
        make_read_only(folder, read_only=True)
        before = refusal(folder / "a")
        make_read_only(folder, read_only=False)
        return f"{before} {refusal(folder / 'a')}"

    assert led(folder, work) == f"{errno.EROFS} None"


def test_what_goes_wrong_in_there_is_told_out_here(tmp_path: Path) -> None:
    def work() -> str:
        raise ValueError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        led(tmp_path / "disk", work)

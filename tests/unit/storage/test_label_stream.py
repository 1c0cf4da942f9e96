"""Labels on their way from a worker: written at once, flushed behind, and no fault is lost."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from sis_engine.storage.label_stream import End, LabelStream, read_from

END = End("done", 0.0, 1.0, "node1")


def test_an_entry_is_there_before_the_disk_has_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: answers.wait())
    stream = LabelStream(tmp_path / "results")
    stream.append(END)
    stream.append(END)
    assert read_from(tmp_path / "results", 0)[0] == [END, END]
    answers.set()
    stream.close()


def test_what_is_written_meanwhile_shares_the_next_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushing, answers, sizes = threading.Event(), threading.Event(), []

    def fsync(descriptor: int) -> None:
        sizes.append(os.fstat(descriptor).st_size)
        flushing.set()
        answers.wait()

    monkeypatch.setattr(os, "fsync", fsync)
    stream = LabelStream(tmp_path / "results")
    stream.append(END)
    flushing.wait()
    for _ in range(5):
        stream.append(END)
    answers.set()
    stream.sync()
    stream.close()
    size = (tmp_path / "results").stat().st_size
    assert sizes == [size // 6, size]


def test_sync_waits_for_the_disk_and_raises_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    stream = LabelStream(tmp_path / "results")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        stream.append(END)
        with pytest.raises(OSError, match="no space"):
            stream.sync()
    stream.append(END)  # there is room again
    stream.sync()
    stream.close()


def test_closing_flushes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda at: flushed.append(os.fstat(at).st_size))
    stream = LabelStream(tmp_path / "results")
    stream.append(END)
    stream.close()
    assert flushed[-1] == (tmp_path / "results").stat().st_size

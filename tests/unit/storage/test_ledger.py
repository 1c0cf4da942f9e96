from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sis_engine.errors import (
    CampaignHeld,
    InfrastructureError,
    NewerFormat,
    StorageError,
    TornFile,
)
from sis_engine.records import Purpose
from sis_engine.storage.ledger import (
    LEDGER_FILE,
    REDONE_S,
    EvaluationRow,
    GenerationRow,
    Ledger,
    Outcome,
    StageState,
)
from sis_engine.storage.ownership import acquire, holder
from tests.unit.storage.storage_samples import make_failure, make_labelled

ROW = GenerationRow(0, "generations/0000.h5", "a" * 64, 10, None, "d" * 64, "2026-11-20")


def test_an_attempt_that_was_killed_stays_started_and_the_next_has_its_own_number(tmp_path) -> None:
    with Ledger(tmp_path) as ledger:
        assert ledger.start_stage(0, "train") == 1
        assert ledger.done_stage(0, "train") is None
    with Ledger(tmp_path) as ledger:
        assert ledger.start_stage(0, "train") == 2
        ledger.finish_stage(
            0, "train", 2, result_path=tmp_path / "work" / "r.h5", sha256="f" * 64, seconds=1.5
        )
        assert [row.state for row in ledger.stages(0)] == [StageState.STARTED, StageState.DONE]
        done = ledger.done_stage(0, "train")
        assert done is not None
        assert (done.attempt, done.result_path, done.seconds) == (2, "work/r.h5", 1.5)
        attempt = ledger.start_stage(0, "explore")
        ledger.fail_stage(0, "explore", attempt, 2.0, "lmp died")
        assert ledger.stages()[-1].message == "lmp died"
        with pytest.raises(ValueError, match="never started"):
            ledger.finish_stage(0, "explore", 9, result_path=None, sha256=None, seconds=0.0)


def test_an_evaluation_is_counted_once_however_often_it_is_reported(tmp_path: Path) -> None:
    items = make_labelled(3)
    with Ledger(tmp_path) as ledger:
        assert [ledger.count_evaluation(0, item) for item in items] == [True] * 3
    with Ledger(tmp_path) as ledger:
        resumed = [dataclasses.replace(item, cached=True) for item in items]
        assert [ledger.count_evaluation(0, item) for item in resumed] == [False] * 3
        (count,) = ledger.counts()
        assert (count.purpose, count.good, count.cached) == (Purpose.SEGMENT, 3, 0)


def test_evaluations_are_counted_by_purpose_and_generation_with_failed_and_cached(tmp_path) -> None:
    items = make_labelled(4)
    with Ledger(tmp_path) as ledger:
        ledger.count_evaluation(0, items[0])
        ledger.count_evaluation(1, items[1])
        ledger.count_evaluation(1, dataclasses.replace(items[2], cached=True))
        ledger.count_evaluation(1, make_failure())
        retry = EvaluationRow(items[3].key, 1, Purpose.BISECT, Outcome.GOOD, "cluster", "p", 0, 2.0)
        ledger.count(retry)
        assert ledger.count(dataclasses.replace(retry, attempt=1, outcome=Outcome.FAILED))
        segment, bisect = ledger.counts(1)
        assert (segment.good, segment.failed, segment.cached, segment.paid) == (1, 1, 1, 2)
        assert segment.seconds == pytest.approx(0.01)  # nothing for what the bank saved
        assert (bisect.purpose, bisect.paid) == (Purpose.BISECT, 2)
        assert sum(count.paid for count in ledger.counts()) == 5
        assert ledger.evaluations(1)[2].reason == "not_converged"


def test_a_generation_is_committed_once_and_can_be_taken_back(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.commit(ROW)
        ledger.commit(dataclasses.replace(ROW, number=1, file=str(tmp_path / "generations/1.h5")))
        with pytest.raises(StorageError):
            ledger.commit(ROW)
        assert [row.number for row in ledger.generations()] == [0, 1]
        assert ledger.generations()[1].file == "generations/1.h5"
        ledger.start_stage(1, "train")
        ledger.fail_stage(1, "train", 1, seconds=2.5, message="diverged")
        ledger.count_evaluation(1, make_labelled(1)[0])
        assert [row.number for row in ledger.abandon(1, "torn")] == [1]
        assert ledger.generations() == (ROW,)
        assert ledger.stages() == ()
        assert ledger.counts()[0].paid == 1
        assert float(ledger.meta(REDONE_S) or 0) == 2.5, "spent, though the result is gone"
        ledger.start_stage(1, "train")
        ledger.fail_stage(1, "train", 1, seconds=1.0, message="again")
        ledger.forget_stages(1, keep=("label",))
        assert float(ledger.meta(REDONE_S) or 0) == 3.5


def test_a_reader_sees_commits_while_the_writer_holds_the_campaign(tmp_path: Path) -> None:
    with acquire(tmp_path), Ledger(tmp_path) as writer, Ledger(tmp_path, read_only=True) as reader:
        writer.event("start", "hello", data={"n": 1})
        writer.event("next", "again")
        writer.set_meta("name", "x")
        assert [event.text for event in reader.events()] == ["hello", "again"]
        assert [event.text for event in reader.events(limit=1)] == ["again"]
        assert [event.text for event in reader.events(after=1)] == ["again"]
        assert reader.meta("name") == "x"
        assert reader.meta("other") is None
        with pytest.raises(InfrastructureError, match="readonly"):
            reader.set_meta("name", "y")


def test_a_reader_creates_nothing_where_there_is_no_campaign(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=LEDGER_FILE):
        Ledger(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_campaign_of_a_newer_engine_is_refused_with_exit_code_2(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    with sqlite3.connect(tmp_path / LEDGER_FILE) as raw:
        raw.execute("PRAGMA user_version=99")
    raw.close()
    for read_only in (True, False):
        with pytest.raises(NewerFormat, match="format 99") as caught:
            Ledger(tmp_path, read_only=read_only)
        assert caught.value.exit_code == 2


# --------------------------------------------------------------------------- ownership

HOLDER = """
import sys, time
from pathlib import Path
from sis_engine.storage.ownership import acquire
hold = acquire(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_engine_is_told_who_holds_and_a_dead_one_holds_nothing(tmp_path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    with pytest.raises(CampaignHeld, match=f"process {first.pid} of .* since 20") as caught:
        acquire(tmp_path)
    assert f"kill {first.pid}" in str(caught.value)
    owner = holder(tmp_path)
    assert owner is not None
    assert owner.pid == first.pid
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    first.stdout.close()
    assert holder(tmp_path) is None
    with acquire(tmp_path) as hold:
        assert hold.owner.pid == os.getpid()
        with pytest.raises(CampaignHeld):
            acquire(tmp_path)
    assert holder(tmp_path) is None


def test_looking_at_a_campaign_nobody_ever_ran_creates_nothing(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE generations SET digest='e'", "generations"),
        ("UPDATE meta SET value='other' WHERE key='state'", "meta"),
        ("UPDATE events SET text='other'", "events"),
        ("INSERT INTO meta VALUES ('name', 'never sealed')", "meta"),
    ],
)
def test_a_row_that_was_not_written_by_the_engine_is_named(tmp_path, statement, named) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.set_meta("state", "running")
        ledger.set_meta("state", "stable")
        ledger.event("a", "text")
        ledger.commit(ROW)
    Ledger(tmp_path).close()
    raw = sqlite3.connect(tmp_path / LEDGER_FILE)
    with contextlib.closing(raw), raw:
        raw.execute(statement)
    with pytest.raises(TornFile, match=f"row .* of its table {named}"):
        Ledger(tmp_path)


def test_a_ledger_of_an_older_engine_is_sealed_as_it_is(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.set_meta("state", "stable")
        ledger.commit(ROW)
    raw = sqlite3.connect(tmp_path / LEDGER_FILE)
    with contextlib.closing(raw), raw:
        raw.execute("DROP TABLE row_seals")
        raw.execute("PRAGMA user_version=1")
    with Ledger(tmp_path) as ledger:
        assert ledger.meta("state") == "stable"
        ledger.abandon(0, "torn")
    with Ledger(tmp_path) as ledger:
        assert ledger.generations() == ()


@pytest.mark.parametrize("call", ["open", "truncate", "write"])
def test_a_disk_that_takes_no_note_of_the_owner_is_named_and_the_lock_let_go(
    tmp_path, failing_disk, call
) -> None:
    k = {"open": 1, "truncate": 2, "write": 3}[call]
    with pytest.raises(InfrastructureError, match=r"owner\.lock"):
        acquire(tmp_path, disk=failing_disk(k))
    assert holder(tmp_path) is None
    acquire(tmp_path).release()


def test_an_emptied_ledger_is_refused_and_its_journal_kept(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.set_meta("name", "demo")
        file, journal = ledger.path, ledger.path.with_name(f"{ledger.path.name}-wal")
        copies = {path: path.read_bytes() for path in (file, journal)}
    for path, data in copies.items():
        path.write_bytes(data)
    file.write_bytes(b"")
    with pytest.raises(TornFile, match=journal.name):
        Ledger(tmp_path)
    assert journal.read_bytes() == copies[journal]
    file.write_bytes(copies[file])  # restored by a person
    with Ledger(tmp_path) as ledger:
        assert ledger.meta("name") == "demo"

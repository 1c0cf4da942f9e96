from __future__ import annotations

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from sis_engine.errors import InfrastructureError, NewerFormat, TornFile
from sis_engine.records import LabelFailure, Labelled, LevelOfTheory, Origin, Purpose
from sis_engine.storage.bank import BANK_FILE, LabelBank
from tests.unit.storage.storage_samples import LEVEL, make_failure, make_labelled

OTHER = Origin(Purpose.BISECT, 3, "cluster", "another plan", 7, 1.5)


def test_a_label_comes_back_bit_by_bit_with_the_callers_origin(tmp_path: Path) -> None:
    items = make_labelled(3, periodic=True)
    with LabelBank(tmp_path, campaign="a") as bank:
        for item in items:
            bank.put(item)
    with LabelBank(tmp_path, campaign="a") as bank:
        assert bank.count() == 3
        assert bank.keys() == {item.key for item in items}
        assert bank.levels() == (LEVEL,)
        assert bank.versions(LEVEL) == ("0.8.1",)
        found = bank.get(items[1].frame, LEVEL, OTHER)
        assert found is not None
        assert found.origin == OTHER
        assert found.cached
        assert found.label.energy == items[1].label.energy
        for name in ("forces", "virial", "charges"):
            np.testing.assert_array_equal(getattr(found.label, name), getattr(items[1].label, name))
        assert found.handlers == items[1].handlers != ()
        assert [item.key for item in bank.iterate()] == [item.key for item in items]
        assert list(bank.iterate(LevelOfTheory("other", "1", "m"))) == []


def test_own_work_before_a_kill_is_not_a_saving_but_anothers_is(tmp_path: Path) -> None:
    item = make_labelled(1)[0]
    with LabelBank(tmp_path, campaign="a") as bank:
        bank.put(item)
        own = bank.get(item.frame, LEVEL, item.origin)
        assert own is not None
        assert not own.cached
    with LabelBank(tmp_path, campaign="b") as bank:
        others = bank.get(item.frame, LEVEL, item.origin)
        assert others is not None
        assert others.cached


def test_a_frame_at_another_level_is_another_label(tmp_path: Path) -> None:
    item = make_labelled(1)[0]
    with LabelBank(tmp_path) as bank:
        bank.put(item)
        level = dataclasses.replace(LEVEL, settings=(("accuracy", 0.1),))
        assert bank.get(item.frame, level, item.origin) is None


def test_a_failure_is_kept_until_a_label_replaces_it_and_never_replaces_one(tmp_path: Path) -> None:
    failure = make_failure()
    good = make_labelled(1, seed=99)[0]
    assert good.key == failure.key
    with LabelBank(tmp_path) as bank:
        bank.put(failure)
        assert bank.get(good.frame, LEVEL, OTHER) is None
        found = bank.failure(good.frame, LEVEL, OTHER)
        assert isinstance(found, LabelFailure)
        assert (found.reason, found.message, found.directory, found.handlers) == (
            failure.reason, failure.message, failure.directory, failure.handlers,
        )  # fmt: skip
        assert (bank.count(), bank.count(good=False)) == (0, 1)
        bank.put(good)
        bank.put(failure)
        assert isinstance(bank.get(good.frame, LEVEL, OTHER), Labelled)
        assert bank.failure(good.frame, LEVEL, OTHER) is None
        assert (bank.count(), bank.count(good=False)) == (1, 0)


def test_a_label_that_lacks_charges_gives_way_to_one_that_has_them_and_to_no_other(
    tmp_path,
) -> None:
    whole = make_labelled(1)[0]
    assert whole.label.charges is not None
    bare = dataclasses.replace(whole, label=dataclasses.replace(whole.label, charges=None))
    with LabelBank(tmp_path) as bank:
        for item in (bare, whole, bare):
            bank.put(item)
        found = bank.get(whole.frame, LEVEL, OTHER)
        assert found is not None
        assert found.label.charges is not None
        other = dataclasses.replace(whole, label=dataclasses.replace(whole.label, energy=1.0))
        bank.put(other)
        assert bank.get(whole.frame, LEVEL, OTHER).label.energy == whole.label.energy


def test_labels_put_for_later_are_there_at_once_and_a_flush_reaches_the_disk(
    tmp_path: Path,
) -> None:
    journal = tmp_path / f"{BANK_FILE}-wal"
    with LabelBank(tmp_path) as bank:
        for item in make_labelled(3):
            bank.put(item, at_once=False)
        with LabelBank(tmp_path, read_only=True) as other:
            assert other.count() == 3
        written = journal.stat().st_size
        bank.flush()
        assert journal.stat().st_size > written  # an empty transaction would flush nothing
        assert bank._all("PRAGMA synchronous") == [(2,)]


def test_a_corrupt_row_is_quarantined_reported_and_counts_as_absent(tmp_path, caplog) -> None:
    items = make_labelled(3)
    with LabelBank(tmp_path) as bank:
        for item in items:
            bank.put(item)
    with sqlite3.connect(tmp_path / BANK_FILE) as raw:
        (payload,) = raw.execute(
            "SELECT payload FROM labels WHERE key=?", (items[1].key,)
        ).fetchone()
        garbled = bytearray(payload)
        garbled[17] ^= 4
        raw.execute("UPDATE labels SET payload=? WHERE key=?", (bytes(garbled), items[1].key))
    raw.close()
    with LabelBank(tmp_path) as bank:
        assert bank.get(items[1].frame, LEVEL, OTHER) is None
        assert items[1].key in caplog.text
        assert bank.count_quarantined() == 1
        assert bank.count() == 2
        bank.put(items[1])
        assert bank.get(items[1].frame, LEVEL, OTHER) is not None


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / BANK_FILE).write_bytes(b"this is not a database" * 500)
    with pytest.raises(TornFile, match=BANK_FILE):
        LabelBank(tmp_path)


def test_a_bank_of_a_newer_engine_is_refused(tmp_path: Path) -> None:
    LabelBank(tmp_path).close()
    with sqlite3.connect(tmp_path / BANK_FILE) as raw:
        raw.execute("PRAGMA user_version=99")
    raw.close()
    with pytest.raises(NewerFormat, match="99"):
        LabelBank(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_infrastructure_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="file"):
        LabelBank(tmp_path / "file" / "labels")


def test_threads_share_one_bank(tmp_path: Path) -> None:
    items = make_labelled(40)
    with LabelBank(tmp_path) as bank:
        threads = [
            threading.Thread(target=lambda part=items[k::4]: [bank.put(i) for i in part])
            for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert bank.count() == 40


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tests.unit.storage.storage_samples import make_labelled
from sis_engine.storage.bank import LabelBank
bank = LabelBank(Path(sys.argv[1]), campaign=sys.argv[3])
for item in make_labelled(5000, seed=int(sys.argv[3])):
    bank.put(item)
    print(item.key, flush=True)
"""


def test_two_writers_killed_at_once_lose_nothing_that_they_reported(tmp_path: Path) -> None:
    here = str(Path(__file__).parents[3])
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), here, seed],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    reported: list[str] = []
    for writer in writers:
        assert writer.stdout is not None
        reported += [writer.stdout.readline().strip() for _ in range(30)]
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
    for writer in writers:
        assert writer.stdout is not None
        rest = writer.stdout.read().split("\n")
        reported += [line for line in rest if len(line) == 64]
        writer.wait()
        writer.stdout.close()
    with LabelBank(tmp_path) as bank:
        assert set(reported) <= bank.keys()
        assert bank.count() == sum(1 for _ in bank.iterate())
        assert bank.count() <= len(reported) + 2  # at most the one in hand of each writer
        assert bank.count_quarantined() == 0

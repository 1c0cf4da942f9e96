from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from sis_engine.records import Exploration, FloatArray, LevelOfTheory, PlanOutcome, Verdict
from sis_engine.storage import packed
from sis_engine.storage.codec import load_record, read_value, save_record, write_value
from tests.unit.storage.storage_samples import make_exploration, make_outcome

VERDICTS = tuple[Verdict, ...]


def verdicts(n: int, value: float = 1.0) -> tuple[Verdict, ...]:
    return tuple(Verdict(f"r{k}", "energy", "above", float(k), value, 0.5) for k in range(n))


def stored(hint: object, value: object) -> tuple[object, object]:
    """What lies in the file, and what is read back."""
    with h5py.File("memory", "w", driver="core", backing_store=False) as store:
        write_value(store, "x", hint, value)
        item = store["x"]
        lies = item[()] if isinstance(item, h5py.Dataset) else sorted(item)
        return lies, read_value(store, "x", hint)


def test_a_few_records_are_one_readable_text() -> None:
    lies, found = stored(VERDICTS, verdicts(2))
    assert found == verdicts(2)
    assert isinstance(lies, bytes)
    assert b'"record":"Verdict"' in lies
    assert b'"criterion":"above"' in lies


def test_many_records_are_columns() -> None:
    lies, found = stored(VERDICTS, verdicts(packed.MOST_ITEMS + 1))
    assert found == verdicts(packed.MOST_ITEMS + 1)
    assert lies == ["items", "lengths"]


def test_long_texts_are_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MOST_BYTES", 100)
    lies, found = stored(VERDICTS, verdicts(2))
    assert found == verdicts(2)
    assert lies == ["items", "lengths"]


def test_the_bits_of_a_nan_survive() -> None:
    odd = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_BEEF))[0]
    lies, found = stored(VERDICTS, verdicts(1, odd))
    assert struct.pack("<d", found[0].value) == struct.pack("<d", odd)
    assert lies == ["items", "lengths"]


@pytest.mark.parametrize("value", [float("inf"), -0.0, 5e-324, 0.1 + 0.2, 1.7976931348623157e308])
def test_every_other_float_survives_bit_by_bit(value: float) -> None:
    lies, found = stored(VERDICTS, verdicts(1, value))
    assert isinstance(lies, bytes)
    assert struct.pack("<d", found[0].value) == struct.pack("<d", value)


def test_numpy_numbers_become_pythons_own() -> None:
    given = Verdict("r", "m", "c", np.float32(1.5), np.float64(2.5), 3, bool(np.True_))
    _, (found,) = stored(VERDICTS, (given,))
    assert [type(v) for v in (found.time_fs, found.value, found.limit)] == [float] * 3
    assert (found.time_fs, found.value, found.limit, found.suspect) == (1.5, 2.5, 3.0, True)


def test_what_holds_arrays_or_may_be_linked_is_not_packed() -> None:
    for hint in (FloatArray, tuple[FloatArray, ...], float, float | None, bytes, Exploration):
        assert packed.way_of(hint) is None
    assert packed.way_of(tuple[str, ...]) is not None
    assert packed.way_of(LevelOfTheory) is not None


def test_a_text_of_another_length_or_class_is_refused() -> None:
    with h5py.File("memory", "w", driver="core", backing_store=False) as store:
        store.create_dataset("x", data=np.bytes_(b"[[],[]]"))
        with pytest.raises(ValueError, match="2 values, expected 1"):
            read_value(store, "x", VERDICTS)
        store.create_dataset("y", data=np.bytes_(b'[[{"record":"Stable","reason":"a"}]]'))
        with pytest.raises(ValueError, match="'Stable' where Verdict belongs"):
            read_value(store, "y", VERDICTS)


def test_files_of_format_1_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, run = make_outcome(40), make_exploration()
    with monkeypatch.context() as older:  # nothing was packed then
        older.setattr(packed.PackedColumn, "_packed", lambda *_: None)
        save_record(tmp_path / "outcome.h5", outcome)
        save_record(tmp_path / "run.h5", run)
    save_record(tmp_path / "today.h5", outcome)
    assert (tmp_path / "today.h5").stat().st_size < (tmp_path / "outcome.h5").stat().st_size
    found = load_record(tmp_path / "outcome.h5", PlanOutcome)
    assert [item.key for item in found.labelled] == [item.key for item in outcome.labelled]
    assert [item.level for item in found.labelled] == [item.level for item in outcome.labelled]
    assert load_record(tmp_path / "run.h5", Exploration).replica.condition == run.replica.condition

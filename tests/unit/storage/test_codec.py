from __future__ import annotations

import enum
import struct
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sis_engine.errors import InfrastructureError, TornFile
from sis_engine.records import (
    Decision,
    Exhausted,
    Exploration,
    FloatArray,
    Frame,
    Labelled,
    LevelOfTheory,
    Origin,
    PlanOutcome,
    Purpose,
    Stable,
    Verdict,
)
from sis_engine.storage import atomic
from sis_engine.storage.codec import (
    load_record,
    load_value,
    read_record,
    read_value,
    save_record,
    save_value,
    write_record,
    write_value,
)
from tests.unit.storage.storage_samples import make_exploration, make_labelled, make_outcome

text = st.text(st.characters(exclude_categories=()), max_size=8)
floats = st.floats(allow_nan=True, allow_infinity=True, width=64)
integers = st.integers(-(2**63), 2**63 - 1)


def same(a: object, b: object) -> bool:
    """Equal, of the same type, floats bit by bit."""
    if isinstance(a, float) and isinstance(b, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def round_trip(hint: object, value: object) -> object:
    with h5py.File("memory", "w", driver="core", backing_store=False) as store:
        write_value(store, "x", hint, value)
        return read_value(store, "x", hint)


SCALAR = str | int | float | bool | None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(text, st.one_of(text, integers, floats, st.booleans(), st.none())), max_size=40
    )
)
def test_pairs_of_any_value_come_back_of_the_same_type(pairs) -> None:
    hint = tuple[tuple[str, SCALAR], ...]
    assert same(round_trip(hint, tuple(pairs)), tuple(pairs))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), floats), max_size=40))
def test_missing_is_never_zero_and_floats_survive_bit_by_bit(values) -> None:
    assert same(round_trip(tuple[float | None, ...], tuple(values)), tuple(values))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(floats, max_size=4), max_size=8))
def test_arrays_of_any_lengths_come_back_bit_by_bit(rows) -> None:
    arrays = tuple(np.array(row, dtype=float) for row in rows)
    found = round_trip(tuple[FloatArray, ...], arrays)
    assert [a.tobytes() for a in found] == [a.tobytes() for a in arrays]
    assert [a.shape for a in found] == [a.shape for a in arrays]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.builds(
            Verdict,
            replica=text,
            monitor=text,
            criterion=text,
            time_fs=st.floats(allow_nan=False),
            value=st.floats(allow_nan=False),
            limit=st.floats(allow_nan=False),
            suspect=st.booleans(),
            atoms=st.lists(st.integers(0, 99), max_size=4).map(tuple),
        ),
        max_size=40,
    )
)
def test_records_come_back_equal(verdicts) -> None:
    assert round_trip(tuple[Verdict, ...], tuple(verdicts)) == tuple(verdicts)


def test_repeated_values_of_different_type_are_not_merged() -> None:
    hint = tuple[LevelOfTheory, ...]
    levels = tuple(
        LevelOfTheory("p", "1", "m", (("x", value),))
        for value in (1, True, 1.0, 0.0, -0.0, None, "None", "1") * 6
    )
    found = round_trip(hint, levels)
    assert [level.fingerprint for level in found] == [level.fingerprint for level in levels]
    kinds = [int, bool, float, float, float, type(None), str, str] * 6
    assert [type(level.settings[0][1]) for level in found] == kinds


def test_a_plan_outcome_keeps_every_key_origin_failure_and_path(tmp_path: Path) -> None:
    outcome = make_outcome(40)
    save_record(tmp_path / "a.h5", outcome)
    found = load_record(tmp_path / "a.h5", PlanOutcome)
    assert [item.key for item in found.labelled] == [item.key for item in outcome.labelled]
    assert [item.origin for item in found.labelled] == [item.origin for item in outcome.labelled]
    assert [item.handlers for item in found.labelled] == [i.handlers for i in outcome.labelled]
    assert len({item.handlers for item in found.labelled}) == 2
    assert found.failures[0].handlers == outcome.failures[0].handlers != ()
    assert found.labelled[3].label.virial is None
    np.testing.assert_array_equal(
        found.labelled[3].label.charges, outcome.labelled[3].label.charges
    )
    failure = found.failures[0]
    assert (failure.reason, failure.message, failure.directory, failure.key) == (
        outcome.failures[0].reason, "no\0luck", Path("work/x"), outcome.failures[0].key,
    )  # fmt: skip


def test_an_exploration_keeps_trace_with_nan_and_optional_fields(tmp_path: Path) -> None:
    run = make_exploration()
    save_record(tmp_path / "a.h5", run)
    found = load_record(tmp_path / "a.h5", Exploration)
    assert found.trace.values.tobytes() == run.trace.values.tobytes()
    assert found.halted_by is None
    assert np.isnan(found.value)
    assert [f.frame.key for f in found.frames] == [f.frame.key for f in run.frames]
    assert found.replica.condition == run.replica.condition


def test_a_union_of_records_comes_back_as_the_right_class() -> None:
    for decision in (Stable("good"), Exhausted("no money")):
        assert round_trip(Decision, decision) == decision
        assert round_trip(Decision | None, decision) == decision
    assert round_trip(Decision | None, None) is None


def test_frames_of_different_sizes_share_a_column() -> None:
    frames = tuple(
        Frame(("H",) * n, np.full((n, 3), float(n)), np.eye(3) * n, (True, False, n % 2 == 0))
        for n in (1, 3, 2, 3)
    )
    found = round_trip(tuple[Frame, ...], frames)
    assert [frame.key for frame in found] == [frame.key for frame in frames]


@pytest.mark.parametrize(
    ("hint", "value"), [(float, None), (int, 1.5), (int, "1"), (str, 1), (Purpose, None)]
)
def test_a_value_of_the_wrong_type_is_refused_not_converted(hint, value) -> None:
    with pytest.raises((TypeError, AttributeError)):
        round_trip(hint, value)


def test_a_file_cannot_name_the_class_that_is_made() -> None:
    with h5py.File("memory", "w", driver="core", backing_store=False) as store:
        write_record(store, "x", Stable("a"))
        with pytest.raises(ValueError, match="Stable"):
            read_record(store, "x", Exhausted)


def test_a_field_that_an_older_file_does_not_know_gets_its_default() -> None:
    @dataclass(frozen=True)
    class Old:
        a: int

    @dataclass(frozen=True)
    class New:
        a: int
        b: float | None = None
        c: str = "x"

    New.__name__ = "Old"
    with h5py.File("memory", "w", driver="core", backing_store=False) as store:
        write_record(store, "x", Old(3))
        found = read_record(store, "x", New)
    assert (found.a, found.b, found.c) == (3, None, "x")


def test_labels_of_a_file_from_before_handlers_were_recorded_have_none() -> None:
    with h5py.File("memory", "w", driver="core", backing_store=False) as store:
        write_record(store, "x", make_outcome(40))
        for place in ("labelled", "failures"):
            del store[f"x/{place}/items/handlers"]
        found = read_record(store, "x", PlanOutcome)
    assert {item.handlers for item in (*found.labelled, *found.failures)} == {()}


def test_types_that_records_do_not_hold_are_refused() -> None:
    class Colour(enum.Enum):
        RED = "red"

    assert round_trip(Colour, Colour.RED) is Colour.RED
    with pytest.raises(TypeError, match="cannot hold"):
        round_trip(dict[str, int], {})


def test_every_truncation_and_every_flipped_bit_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save_value(path, tuple[Origin, ...], (Origin(Purpose.TEST, 1, "s", "p", 2, None),) * 20)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for size in {0, 1, len(whole) - 1, len(whole) - 93, *rng.integers(0, len(whole), 60).tolist()}:
        path.write_bytes(whole[:size])
        with pytest.raises(TornFile, match=r"a\.h5"):
            load_value(path, tuple[Origin, ...])
    for place in [*range(len(whole) - 93, len(whole)), *rng.integers(0, len(whole), 60).tolist()]:
        garbled = bytearray(whole)
        garbled[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(garbled)
        with pytest.raises(TornFile, match=r"a\.h5"):
            load_value(path, tuple[Origin, ...])
    path.write_bytes(whole + b"x")
    with pytest.raises(TornFile):
        load_value(path, tuple[Origin, ...])
    path.unlink()
    with pytest.raises(TornFile, match="missing"):
        load_value(path, tuple[Origin, ...])


@pytest.mark.parametrize(("in_memory", "least"), [(0, 11), (atomic.IN_MEMORY_BYTES, 6)])
def test_whichever_call_fails_while_hdf5_writes_the_old_file_stays(
    tmp_path, failing_disk, monkeypatch, in_memory, least
) -> None:
    monkeypatch.setattr(atomic, "IN_MEMORY_BYTES", in_memory)
    path = tmp_path / "a.h5"
    save_record(path, Stable("old"))
    failures, k = 0, 1
    while True:
        disk = failing_disk(k)
        try:
            save_record(path, Stable("new"), disk=disk)
        except InfrastructureError:
            failures += 1
            assert load_record(path, Stable).reason in {"old", "new"}
            assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
        if disk.left > 0:
            break
        k += 1
    assert failures >= least
    assert load_record(path, Stable).reason == "new"


def test_four_thousand_labels_take_less_than_a_second_each_way(tmp_path: Path) -> None:
    items = make_labelled(4000)
    begin = time.process_time()
    save_value(tmp_path / "a.h5", tuple[Labelled, ...], items)
    middle = time.process_time()
    found = load_value(tmp_path / "a.h5", tuple[Labelled, ...])
    end = time.process_time()
    assert found[-1].key == items[-1].key
    assert middle - begin < 1.0
    assert end - middle < 1.0
    with h5py.File(tmp_path / "a.h5") as store:
        names: list[str] = []
        store.visit(names.append)
    assert len(names) < 120  # columns, not thousands of groups

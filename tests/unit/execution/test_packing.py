from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sis_engine.execution.packing import (
    LONG_S,
    SAMPLES,
    WINDOW,
    Arrangement,
    Timings,
    arrangements,
    choose,
    share,
)
from sis_engine.storage.bank import LabelBank


@given(st.integers(1, 300), st.integers(1, 130))
def test_no_arrangement_uses_more_threads_than_cores_or_more_workers_than_tasks(n, cores) -> None:
    found = arrangements(n, cores)
    assert all(a.workers * a.threads <= cores and 1 <= a.workers <= n for a in found)
    assert {1, share(n, cores), cores} <= {a.threads for a in found}


def learnt(n_tasks: int, cores: int, seconds_of) -> tuple[Arrangement, int]:
    """The rule with every number of threads measured when it is first asked for."""
    known: dict[int, float] = {}
    for tried in itertools.count():
        found = choose(n_tasks, cores, known)
        if found.threads in known:
            return found, tried
        known[found.threads] = seconds_of(found)
    raise AssertionError("unreachable")


def amdahl(serial: float):
    return lambda a: serial + (1.0 - serial) / a.threads


def test_many_labels_get_a_core_each_and_one_label_gets_all_cores_that_help() -> None:
    assert learnt(200, 16, amdahl(0.05))[0] == Arrangement(16, 1)
    assert learnt(1, 16, amdahl(0.05))[0] == Arrangement(1, 16)


def test_threads_that_do_not_help_are_not_taken() -> None:
    """A small system on busy cores: two threads took 1.3 s, one 0.67 s (measured here)."""
    assert learnt(1, 2, lambda a: {1: 0.67, 2: 1.3}[a.threads])[0] == Arrangement(1, 1)


def test_labels_that_hinder_each_other_are_spread_thinner() -> None:
    """Eight at a time fight for memory: four with two threads each end first."""
    seconds = {1: 8.0, 2: 3.0, 4: 2.6, 8: 2.4}
    assert learnt(64, 8, lambda a: seconds[a.threads])[0] == Arrangement(4, 2)


def test_two_of_which_one_uses_fewer_threads_within_the_noise_are_alike() -> None:
    assert learnt(1, 2, lambda a: {1: 1.0, 2: 0.97}[a.threads])[0] == Arrangement(1, 1)


@settings(max_examples=200)
@example(5, 13, 0.0)
@given(st.integers(1, 200), st.integers(1, 32), st.floats(0.0, 1.0))
def test_what_it_settles_on_is_near_the_best_there_is(n, cores, serial) -> None:
    seconds = amdahl(serial)
    found, tried = learnt(n, cores, seconds)
    best = min(a.rounds(n) * seconds(a) for a in arrangements(n, cores))
    assert found.rounds(n) * seconds(found) <= 1.25 * best
    assert tried <= math.log2(cores) + 3


def test_a_median_of_a_few_labels_or_one_long_one_is_believed() -> None:
    timings = Timings()
    timings.add("a", 10, 1, 0.01)
    assert timings.seconds("a", 10) == {}
    for seconds in (0.02, 9e-3)[: SAMPLES - 1]:
        timings.add("a", 10, 1, seconds)
    assert timings.seconds("a", 10) == {1: 0.01}
    timings.add("a", 10, 2, LONG_S)
    assert timings.seconds("a", 10) == {1: 0.01, 2: LONG_S}
    assert timings.seconds("a", 11) == timings.seconds("b", 10) == {}


def test_old_times_are_forgotten_when_the_load_changes() -> None:
    timings = Timings()
    for seconds in [0.1] * WINDOW + [0.4] * WINDOW:
        timings.add("a", 10, 1, seconds)
    assert timings.seconds("a", 10) == {1: 0.4}


def test_measured_times_outlive_the_process_in_the_bank_of_this_machine(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LabelBank(tmp_path) as bank:
        timings = Timings(bank)
        for k in range(2 * WINDOW):
            timings.add("a", 10, 2, 0.1 + 0.001 * k)
    with LabelBank(tmp_path) as bank:
        assert Timings(bank).seconds("a", 10)[2] == pytest.approx(0.1235, abs=2e-3)
        monkeypatch.setattr("platform.node", lambda: "another")
        assert Timings(bank).seconds("a", 10) == {}

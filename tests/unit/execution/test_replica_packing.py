"""How many replicas at once: full machines are compared, and what ends first is taken."""

from __future__ import annotations

import pytest

from sis_engine.execution.replica_packing import Measured, arrangements, best, has_gpu
from sis_engine.records import Arrangement


def pairs(found: tuple[Arrangement, ...]) -> list[tuple[int, int]]:
    return [(item.workers, item.threads) for item in found]


def test_cores_are_filled_or_shared_out_and_one_alone_is_the_comparison() -> None:
    assert pairs(arrangements(8, 2)) == [(1, 1), (1, 2), (2, 1)]
    assert pairs(arrangements(4, 16)) == [(1, 1), (1, 16), (2, 1), (2, 8), (4, 1), (4, 4)]


def test_a_gpu_is_shared_by_one_two_four_and_so_on() -> None:
    assert pairs(arrangements(6, 16, gpu=True)) == [(1, 1), (2, 1), (4, 1), (6, 1)]


def test_fixed_threads_stay_and_never_outnumber_the_cores() -> None:
    assert pairs(arrangements(8, 8, threads=4)) == [(1, 4), (2, 4)]
    assert pairs(arrangements(3, 1)) == [(1, 1)]


def measured(*rates: tuple[int, int, float]) -> list[Measured]:
    return [Measured(Arrangement(workers, threads), rate) for workers, threads, rate in rates]


def test_the_one_that_ends_first_is_taken() -> None:
    found = best(measured((1, 1, 389.0), (1, 2, 407.0), (2, 1, 759.0)), 8)
    assert found.arrangement == Arrangement(2, 1)
    assert found.told() == "2 at once with one thread each (759 steps/s)"


def test_a_little_faster_does_not_pay_for_more() -> None:
    assert best(measured((1, 1, 400.0), (2, 1, 412.0)), 4).arrangement.workers == 1


def test_what_counts_is_when_the_last_one_ends() -> None:
    """Three at a time are faster together, and still need two rounds for four."""
    assert best(measured((2, 1, 100.0), (3, 1, 120.0)), 4).arrangement.workers == 2
    assert best(measured((2, 1, 100.0), (3, 1, 120.0)), 6).arrangement.workers == 3


@pytest.mark.parametrize(("program", "seen", "found"), [
    (None, None, False), ("/usr/bin/nvidia-smi", None, True), ("/usr/bin/nvidia-smi", "", False),
    ("/usr/bin/nvidia-smi", "0", True),
])  # fmt: skip
def test_a_gpu_that_is_hidden_is_none(
    monkeypatch: pytest.MonkeyPatch, program: str | None, seen: str | None, found: bool
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: program)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    assert has_gpu() is found

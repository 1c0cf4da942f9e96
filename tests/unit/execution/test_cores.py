from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from sis_engine.errors import StopRequested
from sis_engine.execution.core_gate import CoreGate
from sis_engine.execution.cores import (
    FIRST_SAMPLE_S,
    SAMPLE_EVERY_S,
    FreeCores,
    available_cores,
    busy_seconds,
    cgroup_quota,
)


def group(root: Path, path: str, **files: str) -> None:
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_tightest_quota_of_nested_groups_counts(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("0::/a/b\n")
    group(tmp_path, "root", cpu__max="max 100000\n")
    group(tmp_path, "root/a", cpu__max="250000 100000\n")
    group(tmp_path, "root/a/b", cpu__max="400000 100000\n")
    assert cgroup_quota(tmp_path / "self", tmp_path / "root") == 2.5


def test_the_older_control_groups_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("4:memory:/x\n2:cpu,cpuacct:/job\n0::/\n")
    group(tmp_path, "root/cpu,cpuacct/job", cpu__cfs_quota_us="150000", cpu__cfs_period_us="50000")
    group(tmp_path, "root/cpu,cpuacct", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert cgroup_quota(tmp_path / "self", tmp_path / "root") == 3.0


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path / "no", tmp_path) is None
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))


def test_this_kernel_counts_busy_core_seconds() -> None:
    before = busy_seconds()
    sum(range(10_000_000))
    after = busy_seconds()
    assert before is not None
    assert after is not None
    assert after > before


@pytest.mark.parametrize(("nice", "busy"), [(0, 5.0), (10, 9.0)])
def test_work_of_low_priority_gives_way_to_work_of_a_higher_one(
    nice: int, busy: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    core = min(os.sched_getaffinity(0))
    user, niced, system, idle = 3 * ticks, 4 * ticks, 2 * ticks, 90 * ticks
    lines = ["cpu  1 1 1 1", f"cpu{core} {user} {niced} {system} {idle} 0 0 0 0 0 0", "intr 1"]
    (tmp_path / "stat").write_text("\n".join(lines))
    monkeypatch.setattr("sis_engine.execution.cores._STAT", tmp_path / "stat")
    monkeypatch.setattr("os.getpriority", lambda _which, _who: nice)
    assert busy_seconds() == busy


class Kernel:
    """A clock, and counters of cores that others keep busy beside what we hold."""

    def __init__(self, others: float) -> None:
        self.now, self.ticks, self.others, self.ours = 0.0, 0.0, others, 0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.ticks += seconds * (self.others + self.ours)

    def free(self, cores: int) -> FreeCores:
        return FreeCores(cores, busy=lambda: self.ticks, clock=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sis_engine.execution.cores.available_cores", lambda: 8)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("others", "free"), [(0.0, 8), (0.2, 8), (1.0, 7), (5.5, 2), (9.0, 1)])
def test_cores_that_others_keep_busy_are_not_free(others: float, free: int) -> None:
    kernel = Kernel(others)
    assert kernel.free(8)() == free
    assert kernel.now == FIRST_SAMPLE_S


@pytest.mark.usefixtures("eight_cores")
def test_no_more_are_free_than_it_may_use() -> None:
    assert Kernel(2.0).free(4)() == 4
    assert Kernel(6.0).free(4)() == 2


@pytest.mark.usefixtures("eight_cores")
def test_what_the_engine_holds_itself_is_not_others_load() -> None:
    kernel = Kernel(1.0)
    free = kernel.free(8)
    assert free() == 7
    free.hold(5)
    kernel.ours = 5
    kernel.sleep(SAMPLE_EVERY_S / 2)
    free.hold(3)
    kernel.ours = 3
    kernel.sleep(SAMPLE_EVERY_S)
    assert free() == 7
    kernel.others = 4.0
    kernel.sleep(1.1 * SAMPLE_EVERY_S)
    assert free() == 4


@pytest.mark.usefixtures("eight_cores")
def test_a_kernel_without_counters_is_judged_by_its_load_average(monkeypatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (3.0, 0.0, 0.0))
    assert FreeCores(8, busy=lambda: None, sleep=lambda _: None)() == 5


# --------------------------------------------------------------------------- the gate


class Fixed:
    """So many cores are free."""

    def __init__(self, free: int) -> None:
        self.free = free

    def hold(self, held: int) -> None:
        pass

    def __call__(self) -> int:
        return self.free


def crowd(gate: CoreGate, wanted: list[int], **how: bool) -> list[int]:
    """Cores held together, seen by each of many threads that come at once."""
    held, seen, lock = [0], [], threading.Lock()

    def visit(cores: int) -> None:
        with gate.enter(lambda _: cores, lambda: False, **how) as mine:
            with lock:
                held[0] += mine
                seen.append(held[0])
            threading.Event().wait(0.005)
            with lock:
                held[0] -= mine

    threads = [threading.Thread(target=visit, args=(k,)) for k in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def test_together_they_never_hold_more_than_the_free_cores() -> None:
    seen = crowd(CoreGate(4, Fixed(4)), [1, 2, 3, 1, 1, 4, 2, 2, 1, 3] * 3)
    assert len(seen) == 30
    assert max(seen) <= 4


def test_many_of_one_core_each_do_run_together() -> None:
    gate, meeting = CoreGate(4, Fixed(4)), threading.Barrier(4, timeout=30.0)

    def visit() -> None:
        with gate.enter(lambda _: 1, lambda: False):
            meeting.wait()  # breaks unless four are inside at a time

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not meeting.broken


def test_one_is_always_let_in_however_busy_the_machine_is() -> None:
    assert max(crowd(CoreGate(4, Fixed(1)), [2] * 4)) == 2


def test_what_cannot_run_beside_its_like_runs_one_at_a_time() -> None:
    assert max(crowd(CoreGate(8, Fixed(8), one_at_a_time=True), [1] * 10)) == 1
    assert max(crowd(CoreGate(8, Fixed(8)), [1] * 10, alone=True)) == 1


def test_who_waits_hears_a_stop() -> None:
    gate = CoreGate(1, Fixed(1))
    with (
        gate.enter(lambda _: 1, lambda: False),
        pytest.raises(StopRequested),
        gate.enter(lambda _: 1, lambda: True),
    ):
        pass
    with gate.enter(lambda _: 1, lambda: True) as held:
        assert held == 1  # the one that was stopped left no trace

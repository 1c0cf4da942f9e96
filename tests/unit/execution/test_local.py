import threading

import pytest

from sis_engine.errors import ConfigurationError
from sis_engine.execution.local import LocalExecutor


def test_results_come_back_and_a_failure_stays_its_own():
    executor = LocalExecutor(2)
    good = executor.submit(lambda: 42)
    bad = executor.submit(lambda: 1 // 0)
    other = executor.submit(lambda: "fine")
    assert good.result(5.0) == 42
    with pytest.raises(ZeroDivisionError):
        bad.result(5.0)
    assert other.result(5.0) == "fine"
    assert bad.done()
    executor.shutdown()


def test_no_more_cores_are_used_than_there_are():
    executor = LocalExecutor(3)
    lock, used, most = threading.Lock(), [0], [0]

    def task(cores):
        with lock:
            used[0] += cores
            most[0] = max(most[0], used[0])
        threading.Event().wait(0.01)
        with lock:
            used[0] -= cores

    futures = [executor.submit(lambda c=c: task(c), cores=c) for c in (1, 2, 3, 1, 1, 2) * 4]
    for future in futures:
        future.result(10.0)
    executor.shutdown()
    assert most[0] == 3


def test_a_small_task_does_not_overtake_a_large_one():
    executor = LocalExecutor(2)
    hold, order = threading.Event(), []
    first = executor.submit(lambda: hold.wait(5.0))
    large = executor.submit(lambda: order.append("large"), cores=2)
    small = executor.submit(lambda: order.append("small"))
    assert not small.done()
    hold.set()
    for future in (first, large, small):
        future.result(5.0)
    assert order == ["large", "small"]


def test_shutdown_waits_for_what_runs_and_drops_what_waits():
    executor = LocalExecutor(1)
    begun, hold, ran = threading.Event(), threading.Event(), []

    def running():
        begun.set()
        hold.wait(5.0)
        ran.append("running")

    executor.submit(running)
    waiting = executor.submit(lambda: ran.append("waiting"))
    assert begun.wait(5.0)
    threading.Timer(0.05, hold.set).start()
    executor.shutdown()
    assert ran == ["running"]
    assert waiting.done()


def test_a_task_that_can_never_run_is_refused():
    with pytest.raises(ConfigurationError, match="asks for 3 cores"):
        LocalExecutor(2).submit(lambda: None, cores=3)
    with pytest.raises(ConfigurationError):
        LocalExecutor(0)

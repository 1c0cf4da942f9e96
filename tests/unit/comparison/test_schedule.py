"""Order of work, several at a time, and one broken run that stops no other."""

import threading

from sis_engine.comparison.plan import RunName
from sis_engine.comparison.schedule import Job, JobKind, Step, work_through
from sis_engine.errors import SisError, StopRequested


def _run(seed):
    return Job(JobKind.RUN, RunName("", "sis", seed))


def _start(seed):
    return Job(JobKind.START, RunName("", "sis", seed))


def _work(steps, do, *, parallel=1, stop=lambda: False):
    return work_through(steps, do, parallel=parallel, stop=stop, watch=lambda _: None)


def test_work_waits_for_what_comes_before_it():
    order = []
    steps = [Step(_run(1), frozenset({_start(1)})), Step(_start(1)), Step(_start(2))]
    progress = _work(steps, order.append)
    assert order.index(_start(1)) < order.index(_run(1))
    assert set(progress.done) == {_run(1), _start(1), _start(2)}


def test_a_failed_job_is_told_and_the_others_are_done():
    def do(job):
        if job == _run(1):
            raise SisError("it broke", hint="mend it")
        if job == _run(2):
            raise ZeroDivisionError("a defect")

    progress = _work([Step(_run(k)) for k in (1, 2, 3)], do)
    assert progress.done == [_run(3)]
    assert "it broke" in progress.failed[_run(1)]
    assert "ZeroDivisionError" in progress.failed[_run(2)]
    assert not progress.stopped


def test_a_stop_begins_nothing_more_and_fails_nothing():
    stop = threading.Event()

    def do(job):
        stop.set()
        raise StopRequested("as asked")

    progress = _work([Step(_run(k)) for k in (1, 2)], do, stop=stop.is_set)
    assert progress.stopped
    assert not progress.done
    assert not progress.failed


def test_so_many_at_a_time_and_no_more():
    together, most = set(), []
    lock, both = threading.Lock(), threading.Barrier(2, timeout=30)

    def do(job):
        with lock:
            together.add(job)
            most.append(len(together))
        both.wait()  # passes only when two are at work at once
        with lock:
            together.discard(job)

    progress = _work([Step(_run(k)) for k in range(4)], do, parallel=2)
    assert len(progress.done) == 4
    assert max(most) == 2

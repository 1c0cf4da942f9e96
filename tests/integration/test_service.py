"""The daemon with real engines: queue, stop, adoption after a kill."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sis_engine.commands.status import state_of
from sis_engine.service import scheduler as scheduler_module
from sis_engine.service.jobs import Job, JobState, Wanted
from sis_engine.service.places import Places
from sis_engine.service.processes import Engine, is_alive, started_at
from sis_engine.service.queue import Queue
from sis_engine.service.scheduler import Scheduler
from sis_engine.service.settings import ServiceConfig
from sis_engine.service.slots import Slots
from sis_engine.service.submitting import set_up
from sis_engine.service.telling import Happening
from sis_engine.storage.ledger import Ledger
from sis_engine.storage.ownership import holder
from tests.integration.small_campaigns import write_campaign

LONG = {"explore.condition.duration_ps": 500.0, "monitors": [{"type": "temperature"}]}
"""MD that does not end by itself while a test looks."""

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


class Service:
    """A scheduler that a test ticks by hand, on four pretended cores."""

    def __init__(self, places: Places, queue: Queue, config: ServiceConfig) -> None:
        self.places, self.queue = places, queue
        self.told: list[Happening] = []
        self.scheduler = Scheduler(places, queue, config, self.told.append, lambda _: None)
        self.scheduler._slots = Slots((0, 1, 2, 3))

    def until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self.scheduler.tick()
            time.sleep(0.05)

    def state(self, name: str) -> JobState | None:
        job = self.queue.job(name)
        return None if job is None else job.state

    def job(self, name: str) -> Job:
        found = self.queue.job(name)
        assert found is not None
        return found


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    places = Places(tmp_path / "root")
    places.make()
    with Queue(places.queue) as queue:
        made = Service(places, queue, ServiceConfig(retry_after_s=(0.1,), stop_within_s=20.0))
        yield made
        made.scheduler.stop_all(0.0)
    for name in places.campaigns():  # of a test that failed half-way
        owner = holder(places.campaign(name))
        if owner is not None:
            os.kill(owner.pid, signal.SIGKILL)


def submitted(service: Service, tmp_path: Path, name: str, **changes: object) -> str:
    config = write_campaign(tmp_path / f"given-{name}", changes or None)
    set_up(service.places, config, name)
    service.queue.put(Job(name, cores=2, submitted_at=time.time()))
    return name


def works(service: Service, name: str) -> Callable[[], bool]:
    """Has its engine begun to work?"""

    def look() -> bool:
        if holder(service.places.campaign(name)) is None:
            return False
        with Ledger(service.places.campaign(name), read_only=True) as ledger:
            return bool(ledger.stages())

    return look


@pytest.mark.slow
def test_campaigns_run_to_their_end_and_their_watchers_are_told(
    service: Service, tmp_path: Path
) -> None:
    submitted(service, tmp_path, "a")
    service.until(lambda: service.state("a") is JobState.STABLE)
    occasions = [item.occasion for item in service.told]
    assert occasions[-1] == "stable"
    assert "catastrophe" in occasions
    assert service.job("a").process is None
    assert service.scheduler.free == service.scheduler.slots


@pytest.mark.slow
def test_pause_resume_kill_and_adoption(service: Service, tmp_path: Path) -> None:
    submitted(service, tmp_path, "a", **LONG)
    service.until(works(service, "a"))
    engine = service.job("a").process
    assert engine is not None

    # A daemon that dies and comes again finds the engine at work.
    again = Service(service.places, service.queue, ServiceConfig(retry_after_s=(0.1,)))
    assert again.scheduler.adopt() == (f"a: adopted, process {engine.pid}",)
    again.scheduler.tick()
    assert again.job("a").process == engine
    assert is_alive(engine)

    # Killed from outside, it is done again by itself.
    os.killpg(engine.pid, signal.SIGKILL)
    while not service.scheduler._engines["a"].ended():  # its parent reaps it
        time.sleep(0.01)
    again.until(lambda: again.job("a").process not in {None, engine})
    again.until(works(again, "a"))

    # Paused, it leaves a state behind that goes on.
    again.queue.change(again.job("a"), wanted=Wanted.PAUSE)
    again.until(lambda: again.state("a") is JobState.PAUSED)
    assert holder(service.places.campaign("a")) is None
    with Ledger(service.places.campaign("a"), read_only=True) as ledger:
        assert state_of(service.places.campaign("a"), ledger)[0].value == "paused"
    service.scheduler._engines.clear()


@pytest.mark.slow
def test_stopping_the_daemon_ends_every_engine_and_keeps_them_queued(
    service: Service, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        submitted(service, tmp_path, name, **LONG)
    service.until(lambda: works(service, "a")() and works(service, "b")())
    engines = [service.job(name).process for name in ("a", "b")]
    service.scheduler.stop_all(20.0)
    assert [engine is not None and is_alive(engine) for engine in engines] == [False, False]
    assert [service.state(name) for name in ("a", "b")] == [JobState.QUEUED] * 2


def test_an_engine_that_ignores_the_request_is_killed(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hard when the time is over, and a cancelled campaign leaves the queue."""
    submitted(service, tmp_path, "a")
    child = subprocess.Popen(
        [sys.executable, "-c", DEAF], start_new_session=True, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    started = started_at(child.pid)
    assert started is not None
    engine = Engine(scheduler_module.Process(child.pid, started), child)
    monkeypatch.setattr(scheduler_module, "start_engine", lambda *_, **__: engine)
    service.scheduler.tick()
    service.queue.change(service.job("a"), wanted=Wanted.CANCEL)
    service.scheduler._config = ServiceConfig(stop_within_s=0.01)
    service.until(lambda: service.state("a") is None)
    assert child.returncode == -signal.SIGKILL
    child.stdout.close()


def test_a_reused_process_number_is_not_mistaken_for_the_engine() -> None:
    started = started_at(os.getpid())
    assert started is not None
    assert is_alive(scheduler_module.Process(os.getpid(), started))
    assert not is_alive(scheduler_module.Process(os.getpid(), started - 1))


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    started = started_at(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert started_at(child.pid) is None
    assert started is None or not is_alive(scheduler_module.Process(child.pid, started))
    child.wait()


@pytest.mark.slow
def test_the_only_gpu_is_held_by_one_at_a_time_and_by_none_that_labels(tmp_path: Path) -> None:
    places = Places(tmp_path / "root")
    places.make()
    settings = ServiceConfig(gpus=("0",), gpu_turns=True)
    with Queue(places.queue) as queue:
        service = Service(places, queue, settings)
        service.scheduler._slots = Slots((0, 1, 2, 3), ("0",))
        names = ("a", "b")
        for name in names:
            config = write_campaign(tmp_path / f"given-{name}", None)
            set_up(places, config, name)
            queue.put(Job(name, cores=2, gpus=1, submitted_at=time.time()))
        service.until(lambda: all(service.state(name) is JobState.STABLE for name in names))
        service.scheduler.stop_all(0.0)
    turns = []
    for name in names:
        with Ledger(places.campaign(name), read_only=True) as ledger:
            events, stages = ledger.events(), ledger.stages()
        taken = [event.time for event in events if event.kind == "gpu_taken"]
        back = [event.time for event in events if event.kind == "gpu_given_back"]
        if len(back) < len(taken):  # the last one with the process
            back.append(str(stages[-1].ended_at))
        own = list(zip(taken, back, strict=True))
        assert len(own) > 1
        for stage in stages:  # nobody keeps the GPU while labels are made
            if stage.stage == "label":
                assert not any(a < str(stage.ended_at) and stage.started_at < b for a, b in own)
        turns += own
    turns.sort()
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(turns))

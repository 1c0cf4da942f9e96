"""Who runs now: every tick looks at the engines, ends those that should, starts those that fit."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from sis_engine.errors import SisError
from sis_engine.execution.turns import VISIBLE, turns_for
from sis_engine.service.endings import judge, reached, traces_of
from sis_engine.service.jobs import LEAVES, Job, JobState, Process, Wanted
from sis_engine.service.places import Places
from sis_engine.service.processes import Engine, is_alive, start_engine, started_at
from sis_engine.service.queue import Queue
from sis_engine.service.settings import Occasion, ServiceConfig
from sis_engine.service.slots import Slots, next_to_start
from sis_engine.service.telling import Happening, Told, read_told
from sis_engine.storage.ownership import holder

BEAT_EVERY_S = 5.0
"""How often the queue says that the daemon is alive."""


_TOLD: dict[JobState, Occasion] = {
    JobState.PAUSED: "paused",
    JobState.STABLE: "stable",
    JobState.EXHAUSTED: "exhausted",
    JobState.FAILED: "failed",
}


class Tell(Protocol):
    """Hands a happening to the hooks; returns at once."""

    def __call__(self, happening: Happening) -> None: ...


class Scheduler:
    """The one writer of the queue; not thread-safe, the daemon calls it from one thread."""

    def __init__(
        self,
        places: Places,
        queue: Queue,
        config: ServiceConfig,
        tell: Tell,
        log: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._places, self._queue, self._config, self._tell = places, queue, config, tell
        self._log, self._clock = log, clock
        self._slots = config.slots()
        self._engines: dict[str, Engine] = {}
        self._deadlines: dict[str, float] = {}
        self._beaten = 0.0

    # ---------------------------------------------------------------- the daemon's own life

    def adopt(self) -> tuple[str, ...]:
        """After a restart: engines that still run are watched on, the others are done again."""
        lines = []
        for job in self._queue.jobs():
            if job.state is not JobState.RUNNING:
                continue
            engine = self._found(job)
            if engine is not None:
                self._engines[job.name] = engine
                self._queue.change(job, process=engine.process)
                lines.append(f"{job.name}: adopted, process {engine.process.pid}")
            else:
                self._end(job, None)
                lines.append(f"{job.name}: its engine has ended meanwhile")
        return tuple(lines)

    def tick(self) -> None:
        """One round; everything it changes is on disk when it returns."""
        now = self._clock()
        for job in self._queue.jobs():
            if job.state is JobState.RUNNING:
                self._look_safely(job, now)
            elif job.wanted in LEAVES and job.state is JobState.QUEUED:
                self._queue.change(job, state=LEAVES[job.wanted], reason="by a person")
            elif job.wanted is Wanted.CANCEL:
                self._queue.remove(job.name)
        self._start_what_fits(now)
        if now - self._beaten >= BEAT_EVERY_S:
            self._beaten = now
            self._queue.beat("daemon", now)

    def stop_all(self, within_s: float) -> None:
        """Every engine softly, then hard; they stay in the queue and go on with the next daemon."""
        deadline = time.monotonic() + within_s
        for engine in self._engines.values():
            engine.ask_to_stop()
        while time.monotonic() < deadline and not all(e.ended() for e in self._engines.values()):
            time.sleep(0.1)
        for name, engine in self._engines.items():
            engine.kill()
            job = self._queue.job(name)
            if job is not None:
                self._watch_log(job)
                state = LEAVES.get(job.wanted, JobState.QUEUED)
                reason = "the daemon was stopped; it goes on with the next one"
                self._free(job, state=state, reason=reason if job.wanted is Wanted.RUN else "")
        self._engines.clear()

    @property
    def free(self) -> Slots:
        return self._slots.without(j for j in self._queue.jobs() if j.state is JobState.RUNNING)

    @property
    def slots(self) -> Slots:
        return self._slots

    # ---------------------------------------------------------------- one campaign

    def _look_safely(self, job: Job, now: float) -> None:
        """A folder that cannot be read now never stops the others."""
        try:
            self._look_at(job, now)
        except (SisError, OSError) as error:
            self._log(f"{job.name}: looked at again in the next round: {error}")

    def _look_at(self, job: Job, now: float) -> None:
        engine = self._engines.get(job.name) or self._found(job)
        if engine is None:
            self._end(job, None)
            return
        self._engines[job.name] = engine
        job = self._watch_log(job)
        if engine.ended():
            other = self._found(job)
            if other is not None and other.process != engine.process:
                # Somebody else's engine got there first: watch that one.
                self._engines[job.name] = other
                self._queue.change(job, process=other.process)
                return
            self._end(job, engine.exit_code)
            return
        if job.wanted is not Wanted.RUN:
            self._press(job, engine, now)

    def _press(self, job: Job, engine: Engine, now: float) -> None:
        """Softly at first; hard when the time is over."""
        if job.name not in self._deadlines:
            engine.ask_to_stop()
            self._deadlines[job.name] = now + self._config.stop_within_s
        elif now >= self._deadlines[job.name]:
            engine.kill()

    def _found(self, job: Job) -> Engine | None:
        """The engine that runs this campaign, by the lock it holds or by the process we noted."""
        owner = holder(self._places.campaign(job.name))
        if owner is not None and owner.host == socket.gethostname():
            started = started_at(owner.pid)
            if started is not None:
                return Engine(Process(owner.pid, started))
        if job.process is not None and is_alive(job.process):
            return Engine(job.process)  # it has not come as far as the lock
        return None

    def _end(self, job: Job, exit_code: int | None) -> None:
        """Its engine has ended: where does the campaign stand?"""
        self._engines.pop(job.name, None)
        self._deadlines.pop(job.name, None)
        job = self._watch_log(job)
        if job.wanted is Wanted.CANCEL:
            self._queue.remove(job.name)
            return
        folder = self._places.campaign(job.name)
        left = traces_of(folder, exit_code, self._places.said(job.name))
        faults = job.faults if reached(folder) == job.reached else 0
        ending = judge(job, left, faults, self._config)
        self._free(
            job,
            state=ending.state,
            reason=ending.reason,
            faults=faults + 1 if ending.fault else 0,
            not_before=self._clock() + ending.wait_s,
        )
        if ending.state in _TOLD and job.wanted is Wanted.RUN:
            self._tell(Happening(job.name, _TOLD[ending.state], ending.reason, str(folder)))

    def _free(self, job: Job, **changes: Any) -> None:
        self._queue.change(job, process=None, core_ids=(), gpu_ids=(), **changes)

    def _watch_log(self, job: Job) -> Job:
        """Catastrophes since the last look are told."""
        told: Told = read_told(self._places.campaign(job.name), job.told)
        for text in told.catastrophes:
            place = str(self._places.campaign(job.name))
            self._tell(Happening(job.name, "catastrophe", text, place))
        return job if told.until == job.told else self._queue.change(job, told=told.until)

    # ---------------------------------------------------------------- starting

    def _start_what_fits(self, now: float) -> None:
        jobs = self._queue.jobs()
        waiting = {j.name: j for j in jobs if j.state is JobState.QUEUED and j.wanted is Wanted.RUN}
        turns = self._config.gpu_turns
        asked = [replace(job, gpus=0) if turns else job for job in waiting.values()]
        for job, given in next_to_start(asked, self.free, now):
            self._start(waiting[job.name], given)

    def _environment(self, job: Job, given: Slots) -> dict[str, str]:
        """What tells an engine and its programs which GPUs they may use."""
        if not self._slots.gpus:
            return {}
        if self._config.gpu_turns and job.gpus:
            return turns_for(self._places.gpu_turns, self._slots.gpus, job.gpus)
        return {VISIBLE: ",".join(given.gpus)}

    def _start(self, job: Job, given: Slots) -> None:
        folder = self._places.campaign(job.name)
        whole = len(given.cores) == len(self._slots.cores)
        # Noted before it starts: a daemon killed in between looks for it, and starts it anew.
        job = self._queue.change(
            job,
            state=JobState.RUNNING,
            reason="",
            core_ids=given.cores,
            gpu_ids=given.gpus,
            reached=reached(folder),
        )
        running = self._found(job)
        if running is None:
            try:
                running = start_engine(
                    folder,
                    self._places.said(job.name),
                    approve=job.approve,
                    environment=self._environment(job, given),
                    cores=() if whole else given.cores,
                )
            except SisError as error:
                wait = self._config.infrastructure_retry_after_s[0]
                self._free(
                    job, state=JobState.QUEUED, reason=str(error), not_before=self._clock() + wait
                )
                return
        self._engines[job.name] = running
        self._queue.change(job, process=running.process, approve=False)

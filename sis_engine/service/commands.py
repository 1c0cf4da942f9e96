"""What the daemon does for a caller: submit, pause, resume, stop, cancel, list."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sis_engine.errors import ConfigurationError, SisError
from sis_engine.report.jsonable import jsonable
from sis_engine.service.jobs import Job, JobState, Wanted
from sis_engine.service.places import Places
from sis_engine.service.queue import Queue
from sis_engine.service.slots import Slots

Asked = dict[str, Any]


class Commands:
    """Answers requests of the control socket, in the daemon's thread.

    slots: all there are, and those free now
    """

    def __init__(
        self, places: Places, queue: Queue, slots: Callable[[], tuple[Slots, Slots]]
    ) -> None:
        self._places, self._queue, self._slots = places, queue, slots
        self._known: dict[str, Callable[[Asked], Asked]] = {
            "submit": self._submit,
            "resume": self._resume,
            "pause": lambda asked: self._want(asked, Wanted.PAUSE),
            "stop": lambda asked: self._want(asked, Wanted.STOP),
            "cancel": lambda asked: self._want(asked, Wanted.CANCEL),
            "list": self._list,
        }

    def __call__(self, asked: Asked) -> Asked:
        """The answer; whatever goes wrong is an answer too, and the daemon goes on."""
        command = self._known.get(str(asked.get("command")))
        if command is None:
            return {"error": f"no command {asked.get('command')!r}; there are {list(self._known)}"}
        try:
            return command(asked)
        except SisError as error:
            return {"error": error.message, "hint": error.hint}
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def _submit(self, asked: Asked) -> Asked:
        name = str(asked["name"])
        if name not in self._places.campaigns():
            raise ConfigurationError(
                f"there is no campaign {name} in {self._places.root}",
                hint="`sis submit FILE` makes one",
            )
        before = self._queue.job(name)
        if before is not None and before.state in {JobState.RUNNING, JobState.QUEUED}:
            raise SisError(f"{name} is {before.state.value} already")
        total, _ = self._slots()
        job = Job(
            name,
            priority=int(asked.get("priority", 0)),
            cores=min(int(asked.get("cores") or len(total.cores)), len(total.cores)),
            gpus=int(asked.get("gpus", 0)),
            approve=bool(asked.get("approve", False)),
            told=0 if before is None else before.told,
            submitted_at=time.time(),
        )
        if job.gpus > len(total.gpus) or job.cores < 1 or job.gpus < 0:
            raise ConfigurationError(
                f"{name} asks for {job.cores} cores and {job.gpus} GPUs; the service has "
                f"{len(total.cores)} and {len(total.gpus)}",
                hint=f"name them in {self._places.settings}",
            )
        return self._told(self._queue.put(job))

    def _resume(self, asked: Asked) -> Asked:
        job = self._job(asked)
        if job.state is JobState.RUNNING and job.wanted is Wanted.RUN:
            raise SisError(f"{job.name} is running already")
        if job.state is JobState.RUNNING:
            raise SisError(f"{job.name} is stopping; try again when it has")
        return self._told(
            self._queue.change(
                job,
                state=JobState.QUEUED,
                wanted=Wanted.RUN,
                reason="",
                faults=0,
                not_before=0.0,
                approve=bool(asked.get("approve", False)),
            )
        )

    def _want(self, asked: Asked, wanted: Wanted) -> Asked:
        job = self._job(asked)
        running = {JobState.RUNNING, JobState.QUEUED}
        if wanted is Wanted.PAUSE and job.state not in running:
            raise SisError(f"{job.name} is {job.state.value}: there is nothing to pause")
        if wanted is Wanted.STOP and job.state not in running:
            return self._told(self._queue.change(job, state=JobState.STOPPED, reason="by a person"))
        return self._told(self._queue.change(job, wanted=wanted))

    def _list(self, _asked: Asked) -> Asked:
        total, free = self._slots()
        jobs = self._queue.jobs()
        queued = {job.name for job in jobs}
        return {
            "jobs": jsonable(jobs),
            "others": [name for name in self._places.campaigns() if name not in queued],
            "slots": jsonable(total),
            "free": jsonable(free),
        }

    def _job(self, asked: Asked) -> Job:
        name = str(asked["name"])
        job = self._queue.job(name)
        if job is None:
            raise ConfigurationError(
                f"{name} is not in the queue",
                allowed=", ".join(item.name for item in self._queue.jobs()) or "it is empty",
                hint=f"sis submit --existing {name}" if name in self._places.campaigns() else None,
            )
        return job

    def _told(self, job: Job) -> Asked:
        return {"job": jsonable(job)}

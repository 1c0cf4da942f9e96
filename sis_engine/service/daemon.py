"""The daemon of one root folder: scheduler, control socket, and the web server's process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sis_engine.errors import SisError
from sis_engine.service.commands import Commands
from sis_engine.service.control import ControlSocket
from sis_engine.service.jobs import JobState
from sis_engine.service.places import Places
from sis_engine.service.queue import Queue
from sis_engine.service.scheduler import Scheduler
from sis_engine.service.settings import ServiceConfig, read_settings
from sis_engine.service.telling import Teller
from sis_engine.service.watchdog import Systemd
from sis_engine.storage.ownership import acquire

TICK_S = 0.5
WEB_AGAIN_AFTER_S = 5.0
"""A web server that died is started again, not more often than this."""
STOPPED = 3
"""Exit code: stopped and resumable, as that of ``sis run``."""


class WebProcess:
    """The web server: a child that ends with the daemon, however the daemon ends.

    listen: ``--port N`` or ``--unix PATH``; empty: there is none
    """

    def __init__(self, places: Places, listen: tuple[str, ...], log: Callable[[str], None]) -> None:
        self._arguments = [
            sys.executable, "-m", "sis_engine.service.web", str(places.root), *listen,
        ]  # fmt: skip
        self._wanted, self._log = bool(listen), log
        self._child: subprocess.Popen[bytes] | None = None
        self._tried = -WEB_AGAIN_AFTER_S

    def keep(self) -> None:
        """Start it if it does not run."""
        if not self._wanted or (self._child is not None and self._child.poll() is None):
            return
        if time.monotonic() - self._tried < WEB_AGAIN_AFTER_S:
            return
        if self._child is not None:
            self._log(f"the web server ended with {self._child.returncode}; it is started again")
            self.close()
        self._tried = time.monotonic()
        # It ends when the pipe does, so that a killed daemon leaves no port taken.
        self._child = subprocess.Popen(self._arguments, stdin=subprocess.PIPE)

    def close(self) -> None:
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(3.0)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._child = None


def serve(
    root: Path,
    *,
    stop: Callable[[], bool],
    log: Callable[[str], None],
    listen: tuple[str, ...] = (),
    walltime_s: float | None = None,
) -> int:
    """Run until a stop is asked for or the walltime is over; 3, for it can be continued.

    walltime_s: everything has ended by then
    Raises CampaignHeld when another daemon has this root, ConfigurationError for bad settings.
    """
    places = Places(root.absolute())
    config = read_settings(places.settings)
    places.make()
    ends = None if walltime_s is None else time.monotonic() + walltime_s - _needed_s(config)
    with ExitStack() as open_things:
        open_things.enter_context(acquire(places.own))
        queue = open_things.enter_context(Queue(places.queue))
        teller = Teller(config.hooks, log)
        open_things.callback(teller.close)
        scheduler = Scheduler(places, queue, config, teller, log)
        control = open_things.enter_context(ControlSocket(places.socket))
        web = WebProcess(places, listen, log)
        open_things.callback(web.close)
        commands = Commands(places, queue, lambda: (scheduler.slots, scheduler.free))
        systemd = Systemd()
        for line in scheduler.adopt():
            log(line)
        log(f"serving {places.root}, {len(scheduler.slots.cores)} cores")
        systemd.ready("ready")
        while not stop() and (ends is None or time.monotonic() < ends):
            control.answer_all(commands, TICK_S)
            _round(scheduler, queue, web, systemd, log)
        systemd.stopping()
        log("stopping: campaigns are asked to end")
        scheduler.stop_all(config.stop_within_s)
    return STOPPED


def _needed_s(config: ServiceConfig) -> float:
    """What stopping may take: engines, hooks, the web server."""
    return config.stop_within_s + 10.0


def _round(
    scheduler: Scheduler,
    queue: Queue,
    web: WebProcess,
    systemd: Systemd,
    log: Callable[[str], None],
) -> None:
    """One tick. A fault of the disk is said, and the watchdog goes unfed until it is over."""
    try:
        scheduler.tick()
        web.keep()
        states = [job.state for job in queue.jobs()]
    except (SisError, OSError) as error:
        log(f"this round failed: {error}")
        return
    running, queued = states.count(JobState.RUNNING), states.count(JobState.QUEUED)
    systemd.progress(f"{running} running, {queued} queued")

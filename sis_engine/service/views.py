"""A campaign as a watcher sees it: its state, what it waits for, and the command to try."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sis_engine.bookkeeping.outlook import Outlook, duration
from sis_engine.commands.status import open_ledger, standing, timestep_of
from sis_engine.errors import SisError
from sis_engine.report.summary import CampaignSummary
from sis_engine.service.following import last_lines
from sis_engine.service.jobs import Job, JobState, Wanted
from sis_engine.service.places import Places
from sis_engine.service.queue import Queue
from sis_engine.stages.approval import waiting_for
from sis_engine.storage.generation import CHEAP_FIELDS, GenerationRecord, GenerationStore
from sis_engine.storage.ledger import Ledger, StageState

LOG_LINES = 30
MOST_FAILURES = 8


@dataclass(frozen=True)
class Trouble:
    """A warning or an error of a campaign. time: ISO 8601, UTC."""

    time: str
    level: str
    kind: str
    text: str


@dataclass(frozen=True)
class View:
    """One campaign as a watcher sees it.

    state: as the queue has it, where it is queued; else as the ledger has it
    now: what the engine said of the stage in hand, ``at`` in Unix seconds
    version: changes when anything committed does;  heartbeat_s: since the engine said something
    last_progress: Unix time of the last finished stage
    md_steps_per_s: of all replicas together, over the time of EXPLORE
    unreadable: why nothing else is known; ``None``: all is
    """

    name: str
    state: str
    reason: str
    version: str = ""
    summary: CampaignSummary | None = None
    now: Mapping[str, Any] | None = None
    outlook: Outlook | None = None
    job: Job | None = None
    waits_for: tuple[str, ...] = ()
    try_next: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    log: tuple[str, ...] = ()
    heartbeat_s: float | None = None
    last_progress: float | None = None
    md_steps_per_s: float | None = None
    generation_files: int = 0
    unreadable: str | None = None


@dataclass
class _Seen:
    """What was read of one campaign, kept while its ledger says the same."""

    key: tuple[str, ...] = ()
    records: tuple[GenerationRecord, ...] = field(default=(), repr=False)


class Board:
    """All campaigns of a root, read again at each look; committed generations are read once."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._seen: dict[str, _Seen] = {}

    def jobs(self) -> dict[str, Job]:
        """The queue by name; empty where no daemon has been."""
        if not self.places.queue.is_file():
            return {}
        with Queue(self.places.queue, read_only=True) as queue:
            return {job.name: job for job in queue.jobs()}

    def daemon_beat(self) -> float | None:
        """Unix time at which the daemon was alive for sure."""
        if not self.places.queue.is_file():
            return None
        with Queue(self.places.queue, read_only=True) as queue:
            return queue.last_beat("daemon")

    def look(self) -> tuple[View, ...]:
        """Every campaign, in the order of names."""
        jobs = self.jobs()
        names = self.places.campaigns()
        for gone in set(self._seen) - set(names):
            del self._seen[gone]
        return tuple(self.view(name, jobs.get(name)) for name in names)

    def view(self, name: str, job: Job | None) -> View:
        """One campaign; one that cannot be read is shown with the reason."""
        folder = self.places.campaign(name)
        try:
            with open_ledger(folder) as ledger:
                return self._view(name, folder, ledger, job)
        except (SisError, OSError, ValueError) as error:
            return View(name, "failed", str(error), job=job, unreadable=str(error))

    def _view(self, name: str, folder: Path, ledger: Ledger, job: Job | None) -> View:
        records = self._records(name, folder, ledger)
        found = standing(folder, ledger, records)
        state, reason = _state(found.summary.state, found.summary.reason, job)
        waits = _waits_for(ledger, state, job)
        now = found.now
        return View(
            name=name,
            state=state,
            reason=reason,
            version=self._seen[name].key[-1][:16] if records else "",
            summary=found.summary,
            now=now,
            outlook=found.outlook,
            job=job,
            waits_for=waits,
            try_next=try_next(self.places, name, state, queued=job is not None, waits=waits),
            troubles=_troubles(ledger),
            log=last_lines(folder, LOG_LINES),
            heartbeat_s=None if now is None else max(0.0, time.time() - float(now["at"])),
            last_progress=_last_progress(ledger),
            md_steps_per_s=_md_steps_per_s(found.summary, ledger),
            generation_files=len(records),
        )

    def _records(self, name: str, folder: Path, ledger: Ledger) -> tuple[GenerationRecord, ...]:
        rows = ledger.generations()
        key = tuple(row.sha256 for row in rows)
        seen = self._seen.setdefault(name, _Seen())
        if seen.key != key:
            store = GenerationStore(folder, ledger)
            same = seen.key == key[: len(seen.key)]
            kept = seen.records if same else ()
            fresh = [store.load(row, only=CHEAP_FIELDS) for row in rows[len(kept) :]]
            seen.key, seen.records = key, (*kept, *fresh)
        return seen.records


def _state(state: str, reason: str, job: Job | None) -> tuple[str, str]:
    """The ledger knows best while an engine runs; else the queue, that knows what comes next."""
    if job is None or (state == "running" and job.state is JobState.RUNNING):
        return state, reason
    if job.state is JobState.RUNNING:
        return "running", "its engine is starting"
    return job.state.value, job.reason or reason


def _waits_for(ledger: Ledger, state: str, job: Job | None) -> tuple[str, ...]:
    found = []
    approval = waiting_for(ledger)
    if approval is not None and state != "running":
        found.append(f"approval of generation {approval.generation}: {approval.what}")
    if job is not None and job.state is JobState.QUEUED:
        left = job.not_before - time.time()
        slots = f"{job.cores} cores" + (f" and {job.gpus} GPUs" if job.gpus else "")
        if left > 0:
            found.append(f"the end of a back-off, {duration(left)} from now")
        else:
            found.append(f"its turn, with {slots} free")
    if job is not None and job.wanted is not Wanted.RUN and job.state is JobState.RUNNING:
        found.append(f"its engine to end: asked to {job.wanted.value}")
    return tuple(found)


def try_next(
    places: Places, name: str, state: str, *, queued: bool, waits: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Commands that help from here on."""
    folder, root = places.campaign(name), f"--root {places.root}"
    approve = " --approve" if any(item.startswith("approval") for item in waits) else ""
    go_on = f"sis resume {name} {root}" if queued else f"sis run {folder}"
    known = {
        "running": (f"sis logs {name} -f {root}",),
        "paused": (f"{go_on}{approve}", f"sis status {folder} --events"),
        "stopped": (go_on,),
        "failed": (f"sis status {folder} --events", f"sis validate {folder}/campaign.yaml", go_on),
        "exhausted": (f"$EDITOR {folder}/campaign.yaml", go_on),
        "stable": (f"sis export {folder} kit", f"sis report {folder}"),
        "queued": (f"sis list {root}",),
    }
    return known.get(state, (f"sis status {folder}",))


def _last_progress(ledger: Ledger) -> float | None:
    ended = [row.ended_at for row in ledger.stages() if row.state is StageState.DONE]
    last = max((time for time in ended if time is not None), default=None)
    return None if last is None else dt.datetime.fromisoformat(last).timestamp()


def _md_steps_per_s(summary: CampaignSummary, ledger: Ledger) -> float | None:
    """``None`` before the first MD is committed."""
    seconds, timestep_fs = summary.cost.get("explore"), timestep_of(ledger)
    if not seconds or not summary.md_ps or timestep_fs is None:
        return None
    return summary.md_ps * 1000.0 / timestep_fs / seconds


def _troubles(ledger: Ledger) -> tuple[Trouble, ...]:
    rows = [row for row in ledger.events(limit=200) if row.level != "info"]
    return tuple(Trouble(row.time, row.level, row.kind, row.text) for row in rows[-MOST_FAILURES:])


def as_json(view: View) -> dict[str, Any]:
    """JSON objects of a view, with the outlook in words."""
    from sis_engine.report.jsonable import jsonable

    found: dict[str, Any] = jsonable(view)
    if view.outlook is not None:
        found["outlook"] = {**view.outlook.as_json(), "lines": list(view.outlook.lines())}
    return found


def as_text(view: View) -> str:
    """The JSON as one line."""
    return json.dumps(as_json(view), ensure_ascii=False, allow_nan=False)

"""One look at all campaigns for all readers: each gets the same bytes, as events of a stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from sis_engine.bookkeeping.live import read_live
from sis_engine.report.jsonable import jsonable
from sis_engine.report.live_figure import live_figure
from sis_engine.service.views import Board, View, as_json

LOOK_EVERY_S = 2.0
LOOK_LATER_S = 15.0
LOOK_SHARE = 0.005
"""Of one core, of looking and telling all readers: a campaign beside it shall not feel it. Many
readers, or a slow machine, make looks rarer, up to LOOK_LATER_S."""
REST_AFTER_S = 10.0
"""Without a reader for so long there is nothing to look for."""
ALIVE_EVERY_S = 15.0


@dataclass
class Shown:
    """What readers get now: views by name, and events ready to be sent, by kind and name."""

    number: int = 0
    views: dict[str, View] = field(default_factory=dict)
    events: dict[str, bytes] = field(default_factory=dict)
    changed_in: dict[str, int] = field(default_factory=dict)
    beat: float | None = None


class Stream:
    """Looks while there are readers; a reader that is slow misses looks, and holds up nobody."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.shown = Shown()
        self._changed = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looked = 0.0
        self._readers = 0
        self._task: asyncio.Task[None] | None = None

    async def now(self) -> Shown:
        """What there is, not older than one look."""
        async with self._looking:
            if time.monotonic() - self._looked >= LOOK_EVERY_S:
                await self._look()
        return self.shown

    async def events(self, name: str | None) -> AsyncIterator[bytes]:
        """The board, and one campaign in full; at first all, then what changes."""
        self._readers += 1
        try:
            await self.now()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._keep_looking())
            seen = 0
            while True:
                shown, changed = self.shown, self._changed
                kinds = ("board", f"campaign/{name}", f"live/{name}")
                fresh = [kind for kind in kinds if shown.changed_in.get(kind, 0) > seen]
                seen = shown.number
                if fresh:  # together: each piece that is sent costs more than its bytes
                    yield b"".join(shown.events[kind] for kind in fresh)
                if not await _within(changed, ALIVE_EVERY_S):
                    yield _event("alive", {})
        finally:
            self._readers -= 1

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _keep_looking(self) -> None:
        idle_since = time.monotonic()
        while self._readers or time.monotonic() - idle_since < REST_AFTER_S:
            used = time.process_time()
            if self._readers:
                idle_since = time.monotonic()
                await self.now()
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.sleep(more_rest(time.process_time() - used))

    async def _look(self) -> None:
        beat, views, events = await asyncio.to_thread(_look_at, self.board)
        self._looked = time.monotonic()
        shown = self.shown
        changed = {kind for kind, data in events.items() if shown.events.get(kind) != data}
        shown.views, shown.beat = views, beat
        gone = set(shown.events) - set(events)
        shown.events = events
        for kind in gone:
            shown.changed_in.pop(kind, None)
        if changed:
            shown.number += 1
            shown.changed_in.update(dict.fromkeys(changed, shown.number))
            self._changed.set()
            self._changed = asyncio.Event()


def more_rest(used_s: float) -> float:
    """Seconds to wait beyond LOOK_EVERY_S, after a look for which all used ``used_s`` of a core."""
    return min(max(used_s / LOOK_SHARE, LOOK_EVERY_S), LOOK_LATER_S) - LOOK_EVERY_S


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Whether it happens in that time; ``False``: the reader should hear that we live."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _look_at(board: Board) -> tuple[float | None, dict[str, View], dict[str, bytes]]:
    views = {view.name: view for view in board.look()}
    beat = board.daemon_beat()
    events = {"board": _event("board", {"campaigns": [line_of(view) for view in views.values()]})}
    for name, view in views.items():
        events[f"campaign/{name}"] = _event("campaign", as_json(view))
        if view.state == "running":
            live = live_figure(read_live(board.places.campaign(name)))
            events[f"live/{name}"] = _event("live", {"name": name, "figure": jsonable(live)})
    return beat, views, events


def line_of(view: View) -> dict[str, object]:
    """A campaign in one line of the board."""
    summary, now = view.summary, view.now or {}
    return {
        "name": view.name,
        "state": view.state,
        "generation": None if summary is None else summary.generation,
        "stage": now.get("stage") or (None if summary is None else summary.stage),
        "fraction": now.get("fraction"),
        "eta_s": now.get("eta_s"),
        "evaluations": None if summary is None else summary.evaluations_total,
        "longest_life_ps": None if summary is None else summary.longest_life_ps,
        "reason": view.reason,
        "version": view.version,
    }


def _event(kind: str, data: object) -> bytes:
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    return f"event: {kind}\ndata: {text}\n\n".encode()

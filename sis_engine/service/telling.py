"""Whom the service tells: programs and addresses, on the occasions they asked for."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sis_engine.bookkeeping.log import EVENTS_FILE, LOG_FOLDER
from sis_engine.service.settings import CommandHook, Occasion, WebHook

MOST_WAITING = 1000
"""Happenings that may wait for a slow hook; what comes then is dropped, and that is said."""
CATASTROPHE = "catastrophe"
"""Kind of the lines in ``log/events.jsonl`` that tell of one."""


@dataclass(frozen=True)
class Happening:
    """What is told. folder: of the campaign, on this machine."""

    campaign: str
    occasion: Occasion
    text: str
    folder: str


@dataclass(frozen=True)
class Told:
    """What the event log of a campaign said. until: bytes that were read by now."""

    until: int
    catastrophes: tuple[str, ...] = ()


def read_told(folder: Path, after: int) -> Told:
    """Catastrophes in the event log after byte ``after``; a line that is half written waits."""
    try:
        with (folder / LOG_FOLDER / EVENTS_FILE).open("rb") as stream:
            size = stream.seek(0, 2)
            if size < after:  # a new file, since the old one was full
                after = 0
            stream.seek(after)
            whole, newline, _ = stream.read(size - after).rpartition(b"\n")
    except OSError:
        return Told(after)
    found = []
    for line in whole.splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            entry = json.loads(line)
            if entry["kind"] == CATASTROPHE:
                found.append(str(entry["text"]))
    return Told(after + len(whole) + len(newline), tuple(found))


class Teller:
    """A thread that tells the hooks one after the other; a hook that fails stops nobody."""

    def __init__(
        self,
        hooks: Sequence[CommandHook | WebHook],
        log: Callable[[str], None],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hooks, self._log, self._sleep = tuple(hooks), log, sleep
        self._waiting: queue.Queue[Happening | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="hooks", daemon=True)
        self._thread.start()

    def __call__(self, happening: Happening) -> None:
        """Returns at once."""
        self._log(f"{happening.campaign}: {happening.occasion}: {happening.text}")
        try:
            self._waiting.put_nowait(happening)
        except queue.Full:
            self._log(f"{happening.campaign}: {MOST_WAITING} messages wait; this one is dropped")

    def close(self, within_s: float = 5.0) -> None:
        """Let what waits be told, for a while."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(within_s)

    def _run(self) -> None:
        while (happening := self._waiting.get()) is not None:
            for hook in self._hooks:
                if happening.occasion not in hook.on:
                    continue
                trouble = (
                    run_command(hook, happening)
                    if isinstance(hook, CommandHook)
                    else post(hook, happening, self._sleep)
                )
                if trouble is not None:
                    self._log(trouble)


def run_command(hook: CommandHook, happening: Happening) -> str | None:
    """Run it with the happening on standard input; what went wrong, or ``None``."""
    try:
        subprocess.run(
            hook.command,
            input=json.dumps(asdict(happening)).encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=hook.timeout_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"the hook {hook.command[0]} failed: {error}"
    return None


def post(
    hook: WebHook, happening: Happening, sleep: Callable[[float], None] = time.sleep
) -> str | None:
    """POST it, again after each failure but the last; what went wrong, or ``None``."""
    request = urllib.request.Request(  # noqa: S310 - the settings allow http and https only
        hook.webhook,
        data=json.dumps(asdict(happening)).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    for wait_s in (*hook.retry_after_s, None):
        try:
            with urllib.request.urlopen(request, timeout=hook.timeout_s):  # noqa: S310 - see above
                return None
        except (urllib.error.URLError, OSError, ValueError) as error:
            if wait_s is None:
                tries = len(hook.retry_after_s) + 1
                return f"the webhook {hook.webhook} failed {tries} times; the last: {error}"
            sleep(wait_s)
    return None

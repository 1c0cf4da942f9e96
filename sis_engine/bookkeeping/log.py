"""``log/`` of a campaign: what was said, as text for people and as JSON lines for programs."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from pathlib import Path

LOG_FOLDER = "log"
TEXT_FILE = "console.txt"
EVENTS_FILE = "events.jsonl"

MOST_BYTES = 16 * 2**20
"""A file that is longer becomes ``….1``, the one before it ``….2``, and so on."""
KEPT = 4
"""How many older files are kept of each."""


class CampaignLog:
    """Appends; nothing that goes wrong here (a full disk, say) stops a campaign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / LOG_FOLDER

    def write(self, kind: str, text: str, **facts: str | float | None) -> None:
        """One event: a line of text and a JSON object with the same time."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        entry = {"time": now, "kind": kind, **facts, "text": text}
        self._append(TEXT_FILE, f"{now}  {text}")
        self._append(EVENTS_FILE, json.dumps(entry, ensure_ascii=False))

    def say(self, text: str) -> None:
        """A line of progress: only for people."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self._append(TEXT_FILE, f"{now}  {text}")

    def _append(self, name: str, line: str) -> None:
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / name).open("a", encoding="utf-8") as stream:
                stream.write(f"{line}\n")
                long = stream.tell() > MOST_BYTES
            if long:
                self._turn(name)

    def _turn(self, name: str) -> None:
        for number in range(KEPT - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                (self.folder / f"{name}.{number}").replace(self.folder / f"{name}.{number + 1}")
        (self.folder / name).replace(self.folder / f"{name}.1")

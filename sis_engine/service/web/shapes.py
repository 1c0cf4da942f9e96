"""What the API answers, for its OpenAPI description."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class Line(BaseModel):
    """A campaign in one line. fraction, eta_s: of the stage in hand;  eta_s in seconds"""

    name: str
    state: str
    generation: int | None
    stage: str | None
    fraction: float | None
    eta_s: float | None
    evaluations: int | None
    longest_life_ps: float | None
    reason: str
    version: str


class Campaigns(BaseModel):
    """All campaigns. daemon_beat: Unix time at which the daemon was alive; null: never seen"""

    campaigns: list[Line]
    daemon_beat: float | None


class Campaign(BaseModel):
    """One campaign in full; summary, now and outlook are those of ``sis status --json``."""

    name: str
    state: str
    reason: str
    version: str
    summary: dict[str, Any] | None
    now: dict[str, Any] | None
    outlook: dict[str, Any] | None
    job: dict[str, Any] | None
    waits_for: list[str]
    try_next: list[str]
    troubles: list[dict[str, str]]
    log: list[str]
    heartbeat_s: float | None
    last_progress: float | None
    md_steps_per_s: float | None
    generation_files: int
    unreadable: str | None


class Event(BaseModel):
    """One entry of the ledger's event log."""

    seq: int
    time: str
    level: str
    kind: str
    text: str


class Drawn(BaseModel):
    """A figure: inline SVG whose colours are classes of the page's style sheet."""

    id: str
    title: str
    caption: str
    panels: list[str]
    note: str
    layout: str


class Fault(BaseModel):
    """Why there is no answer."""

    detail: str

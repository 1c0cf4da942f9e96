"""uvicorn with limits: a connection that does not finish its question in time is closed."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sis_engine.service.places import short_path

if TYPE_CHECKING:
    from starlette.types import ASGIApp

QUESTION_WITHIN_S = 10.0
"""From the first byte (or the connection) to the end of the headers."""
MOST_HEADER_BYTES = 8_192
MOST_AT_ONCE = 600
"""Connections, and requests in hand, of each; a reader of the page takes one of both."""


class TimedProtocol(H11Protocol):
    """HTTP/1.1 whose questions have to come in time (against readers slow on purpose)."""

    question_within_s = QUESTION_WITHIN_S

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        if self._late is None and self._idle():
            self._expect()
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect(self) -> None:
        self._late = self.loop.call_later(self.question_within_s, self._hang_up)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _hang_up(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.abort()


def listening(port: int | None, unix: Path | None) -> socket.socket:
    """A socket on 127.0.0.1, or a unix socket that only its owner can open."""
    if unix is None:
        found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", port or 0))
        return found
    unix.unlink(missing_ok=True)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with short_path(unix) as name:
            found.bind(name)
    finally:
        os.umask(before)
    return found


def make_server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=TimedProtocol,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_level="critical",
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_AT_ONCE,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        )
    )


def end_with_parent(pipe: int, end: Callable[[], None]) -> None:
    """A thread that calls ``end`` when the other end of the pipe is closed, by death too."""

    def wait() -> None:
        while os.read(pipe, 1024):
            pass
        end()

    threading.Thread(target=wait, name="parent", daemon=True).start()

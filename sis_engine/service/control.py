"""The control socket: one JSON object a line, answered by one; only its owner can open it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sis_engine.service.places import short_path

MOST_BYTES = 65_536
"""A request is a line of at most this; more is refused."""
PATIENCE_S = 10.0
"""A caller that is silent for so long is hung up on."""
MOST_CALLERS = 32


@dataclass
class Request:
    """What somebody asked; the daemon's thread answers by setting ``answer``."""

    asked: dict[str, Any]
    answer: dict[str, Any] | None = None
    answered: threading.Event = field(default_factory=threading.Event)


class ControlSocket:
    """Takes requests in threads of its own; the daemon's thread answers them between rounds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._requests: queue.Queue[Request] = queue.Queue()
        self._callers = threading.BoundedSemaphore(MOST_CALLERS)
        self._closed = threading.Event()
        path.unlink(missing_ok=True)  # the daemon's lock says that nobody else listens
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            with short_path(path) as name:
                self._socket.bind(name)
        finally:
            os.umask(before)
        self._socket.listen(MOST_CALLERS)
        self._thread = threading.Thread(target=self._listen, name="control", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):  # wakes the thread that waits for callers
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5.0)
        self._path.unlink(missing_ok=True)

    def answer_all(self, answer: Callable[[dict[str, Any]], dict[str, Any]], wait_s: float) -> None:
        """Answer what was asked; wait at most ``wait_s`` for the first request."""
        try:
            request = self._requests.get(timeout=wait_s)
        except queue.Empty:
            return
        while True:
            request.answer = answer(request.asked)
            request.answered.set()
            try:
                request = self._requests.get_nowait()
            except queue.Empty:
                return

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            if not self._callers.acquire(blocking=False):
                caller.close()
                continue
            threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        try:
            with caller, contextlib.suppress(OSError):
                caller.settimeout(PATIENCE_S)
                caller.sendall(json.dumps(self._answered(caller)).encode() + b"\n")
        finally:
            self._callers.release()

    def _answered(self, caller: socket.socket) -> dict[str, Any]:
        with caller.makefile("rb") as stream:
            line = stream.readline(MOST_BYTES + 1)
        if len(line) > MOST_BYTES:
            return {"error": f"a request has at most {MOST_BYTES} bytes"}
        try:
            asked = json.loads(line)
        except ValueError as error:
            return {"error": f"not a line of JSON: {error}"}
        if not isinstance(asked, dict):
            return {"error": f"expected an object, found {type(asked).__name__}"}
        request = Request(asked)
        self._requests.put(request)
        if not request.answered.wait(PATIENCE_S) or request.answer is None:
            return {"error": "the daemon is busy; try again"}
        return request.answer

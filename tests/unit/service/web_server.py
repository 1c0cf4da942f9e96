"""The real web server over a root folder, in a thread of the test."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sis_engine.service.places import Places
from sis_engine.service.web.app import make_app
from sis_engine.service.web.server import listening, make_server

TOKEN = "for-tests-" * 5


@dataclass(frozen=True)
class Site:
    """Where it listens."""

    port: int

    def get(
        self, path: str, headers: dict[str, str] | None = None, *, token: bool = True
    ) -> tuple[int, str]:
        """Status and text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        given = {"Authorization": f"Bearer {TOKEN}"} if token else {}
        try:
            connection.request("GET", path, headers={**given, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def open(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=300)


@contextmanager
def served(places: Places) -> Iterator[Site]:
    places.make()
    sock = listening(0, None)
    server = make_server(make_app(places, token=TOKEN, hosts=("127.0.0.1", "localhost")))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])))
    with sock:
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield Site(sock.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()

"""Tells systemd that the daemon is ready, that it makes progress, and that it stops."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Systemd:
    """``sd_notify`` without a library: datagrams to NOTIFY_SOCKET; silent where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # a name in the abstract namespace
            self._address = "\0" + self._address[1:]

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def progress(self, status: str) -> None:
        """Feeds the watchdog: called at the end of a round of the scheduler, from its thread."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.sendto(message.encode(), self._address)

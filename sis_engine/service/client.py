"""Talks to the daemon of a root folder."""

from __future__ import annotations

import json
import socket
from typing import Any

from sis_engine.errors import SisError
from sis_engine.service.control import PATIENCE_S
from sis_engine.service.places import Places, short_path


class NoDaemon(SisError):
    """Nobody answers for this root folder."""


def ask(places: Places, command: str, **asked: Any) -> dict[str, Any]:
    """The daemon's answer. Raises NoDaemon, or SisError with what it refused."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(2 * PATIENCE_S)
            with short_path(places.socket) as name:
                line.connect(name)
            line.sendall(json.dumps({"command": command, **asked}).encode() + b"\n")
            with line.makefile("rb") as stream:
                answer = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise NoDaemon(
            f"no daemon answers for {places.root}: {error or type(error).__name__}",
            hint=f"start one: sis serve {places.root}; another root: --root or SIS_ROOT",
        ) from error
    if "error" in answer:
        raise SisError(str(answer["error"]), hint=answer.get("hint"))
    return dict(answer)

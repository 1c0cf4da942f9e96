"""``python -m sis_engine.service.web ROOT --port N | --unix PATH``: started by the daemon.

It ends when its standard input does, so that it never outlives the daemon.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from pathlib import Path

from sis_engine.errors import SisError
from sis_engine.service.places import Places
from sis_engine.service.settings import read_settings
from sis_engine.service.web.app import make_app
from sis_engine.service.web.server import end_with_parent, listening, make_server
from sis_engine.service.web.token import token_of

NICER = 10
"""Watching gives way to working."""
LOCAL = ("localhost", "127.0.0.1", "[::1]")


def main(arguments: list[str]) -> int:
    """Serve until asked to end."""
    given = _parsed(arguments)
    give_way(NICER)
    places = Places(Path(given.root))
    try:
        hosts = (*LOCAL, *read_settings(places.settings).hosts)
        socket = listening(given.port, given.unix)
    except (SisError, OSError) as error:
        sys.stderr.write(f"sis serve: the web server cannot start: {error}\n")
        return 1
    token = token_of(places.token)
    server = make_server(make_app(places, token=token, hosts=hosts))
    if given.unix is None:
        address = f"http://127.0.0.1:{socket.getsockname()[1]}"
        (places.own / "address").write_text(f"{address}\n")
        sys.stderr.write(f"sis serve: open {address}/login?token={token}\n")
    else:
        sys.stderr.write(f"sis serve: listening on {given.unix}\n")

    def end() -> None:
        server.should_exit = True

    if not sys.stdin.isatty():
        end_with_parent(0, end)
    with socket:
        asyncio.run(server.serve(sockets=[socket]))
    return 0


def give_way(nicer: int) -> None:
    """Lower this process's priority: in its session, and where Linux groups sessions, of its own.

    With autogroups (Debian has them on) sessions share the processor evenly, whatever their nice.
    """
    os.nice(nicer)
    group = Path("/proc/self/autogroup")
    if os.getsid(0) == os.getpid():  # else it would be the daemon's too
        with contextlib.suppress(OSError):
            group.write_text(f"{nicer}")


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sis_engine.service.web")
    parser.add_argument("root")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int)
    where.add_argument("--unix", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

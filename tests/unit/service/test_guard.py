"""The door of the web server, without a server."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from sis_engine.service.web.guard import Guard
from sis_engine.service.web.token import cookie_name, token_of

TOKEN = "right-" * 8
HOST = (b"host", b"localhost:8765")
BEARER = (b"authorization", b"Bearer " + TOKEN.encode())


def asked(
    path: str = "/api/campaigns",
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    query: bytes = b"",
) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers; 200 is the application's."""
    sent: list[Any] = []

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": query, "headers": list(headers),
    }  # fmt: skip
    guard = Guard(application, token=TOKEN, hosts=("localhost", "127.0.0.1", "[::1]"))
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"])


@pytest.mark.parametrize(
    "host", [b"localhost", b"localhost:1", b"127.0.0.1:8765", b"[::1]:8765", b"LocalHost"]
)
def test_whoever_has_the_token_is_let_in_under_a_known_name(host: bytes) -> None:
    status, headers = asked("/api/campaigns", (b"host", host), BEARER)
    assert status == 200
    assert b"default-src 'none'" in headers[b"content-security-policy"]
    assert headers[b"cache-control"] == b"no-store"


@pytest.mark.parametrize("host", [b"evil.org", b"localhost.evil.org", b"", b"127.0.0.2", b"[::2]"])
def test_a_foreign_host_is_refused(host: bytes) -> None:
    assert asked("/", (b"host", host), BEARER)[0] == 403


def test_no_host_or_two_are_refused() -> None:
    assert asked("/", BEARER)[0] == 403
    assert asked("/", HOST, HOST, BEARER)[0] == 403


@pytest.mark.parametrize(
    "header",
    [
        (b"x", b"y"),
        (b"authorization", b"Bearer wrong"),
        (b"authorization", b"Basic " + TOKEN.encode()),
        (b"cookie", b"sis_token=" + TOKEN.encode()),
        (b"cookie", cookie_name(TOKEN).encode() + b"=wrong"),
        (b"cookie", b"\xff;;=\x00"),
    ],
)
def test_without_the_token_nothing_is_shown(header: tuple[bytes, bytes]) -> None:
    for path in ("/", "/metrics", "/assets/dashboard.js", "/api/openapi.json"):
        assert asked(path, HOST, header)[0] == 401


def test_the_login_gives_a_cookie_that_opens_the_page() -> None:
    status, headers = asked("/login", HOST, query=b"token=" + TOKEN.encode())
    assert (status, headers[b"location"]) == (303, b"/")
    cookie = headers[b"set-cookie"]
    assert b"HttpOnly" in cookie
    assert b"SameSite=Strict" in cookie
    assert asked("/", HOST, (b"cookie", cookie.partition(b";")[0]))[0] == 200
    assert asked("/login", HOST, query=b"token=wrong")[0] == 401
    assert asked("/login", HOST)[0] == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/campaigns/..%2fx", "/api/campaigns/%2e%2e/x", "/../etc/passwd", "/api/./campaigns",
        "//etc", "/assets/..\\x", "/api/campaigns/a%00", "relative",
    ],
)  # fmt: skip
def test_paths_that_try_something_are_refused(path: str) -> None:
    assert asked(path, HOST, BEARER)[0] == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_it_is_only_read(method: str) -> None:
    assert asked("/api/campaigns", HOST, BEARER, method=method)[0] == 405


def test_long_headers_and_addresses_are_refused() -> None:
    assert asked("/", HOST, BEARER, (b"x", b"y" * 10_000))[0] == 431
    assert asked("/", HOST, BEARER, query=b"q" * 2_000)[0] == 414


def test_the_token_is_random_private_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "token"
    first = token_of(file)
    assert len(first) >= 40
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token_of(file) == first
    assert token_of(tmp_path / "other") != first


def test_a_token_that_others_could_read_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "token"
    first = token_of(file)
    file.chmod(0o644)
    assert token_of(file) != first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

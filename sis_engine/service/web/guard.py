"""What every request has to pass before the application sees it."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from sis_engine.service.web.token import cookie_name

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_HEADER_BYTES = 8_000
MOST_QUERY_BYTES = 1_000
LOGIN = "/login"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Nothing from elsewhere, nothing inline, in nobody's frame."""

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True)
class Refusal:
    """An answer that is given at the door."""

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Guard:
    """Size, method, path, host, token, in this order; and headers that keep browsers strict.

    hosts: names and addresses under which this server may be asked for, without port
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Iterable[str]) -> None:
        self._app, self._token = app, token
        self._hosts = frozenset(host.lower() for host in hosts)
        self._cookie = cookie_name(token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        answer = self._refused(scope) or self._login(scope) or self._unknown(scope)
        if answer is not None:
            await _say(answer, send)
            return

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                extra = [item for item in HEADERS if item[0] not in known]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, receive, strict)

    def _refused(self, scope: Scope) -> Refusal | None:
        headers = scope["headers"]
        if sum(len(name) + len(value) for name, value in headers) > MOST_HEADER_BYTES:
            return Refusal(431, f"headers have at most {MOST_HEADER_BYTES} bytes")
        if len(scope["raw_path"]) + len(scope["query_string"]) > MOST_QUERY_BYTES:
            return Refusal(414, f"addresses have at most {MOST_QUERY_BYTES} bytes")
        if scope["method"] not in {"GET", "HEAD"}:
            return Refusal(405, "this server is only read", ((b"allow", b"GET, HEAD"),))
        if not _is_plain(scope["raw_path"]):
            return Refusal(400, "no address here has such characters")
        if self._host(headers) not in self._hosts:
            return Refusal(403, "not a name of this server")
        return None

    def _host(self, headers: list[tuple[bytes, bytes]]) -> str | None:
        """The host asked for, without port; ``None``: none, or more than one."""
        named = [value for name, value in headers if name == b"host"]
        if len(named) != 1:
            return None
        host = named[0].decode("latin-1").lower()
        if host.startswith("["):
            return host.partition("]")[0] + "]"
        return host.partition(":")[0]

    def _login(self, scope: Scope) -> Refusal | None:
        """``/login?token=…`` gives the browser a cookie and sends it to the page."""
        if scope["path"] != LOGIN:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        if not self._right(given[0]):
            return _UNKNOWN
        cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        place = ((b"location", b"/"), (b"set-cookie", cookie.encode()))
        return Refusal(303, "", place)

    def _unknown(self, scope: Scope) -> Refusal | None:
        headers = dict(scope["headers"])
        scheme, _, bearer = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() == "bearer" and self._right(bearer.strip()):
            return None
        try:
            cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            return _UNKNOWN
        found = cookies.get(self._cookie)
        return None if found is not None and self._right(found.value) else _UNKNOWN

    def _right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


_UNKNOWN = Refusal(
    401,
    "Open the address that `sis serve` printed, or send the token:\n"
    '  curl -H "Authorization: Bearer $(cat ROOT/.service/token)" …\n',
    ((b"www-authenticate", b"Bearer"),),
)


def _is_plain(path: bytes) -> bool:
    """No path of ours needs escapes, dots as steps, or empty steps: they are only tried on."""
    steps = path.split(b"/")[1:]
    return (
        path.startswith(b"/")
        and not any(byte in path for byte in b"%\\")
        and not any(step in {b".", b".."} for step in steps)
        and not any(step == b"" for step in steps[:-1])
    )


async def _say(refusal: Refusal, send: Send) -> None:
    text = refusal.text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        *HEADERS,
        *refusal.headers,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})

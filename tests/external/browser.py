"""A headless Chromium, driven through its own pipe: no driver, no web socket."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

PLUMBED = 'exec "$@" 3<&"$TO_BROWSER" 4>&"$FROM_BROWSER"'
"""The browser reads commands from descriptor 3 and answers on 4."""


class Page:
    """One page. complaints: what the console and the policy of the page had to say."""

    def __init__(self, to_browser: BinaryIO, from_browser: BinaryIO) -> None:
        self._out, self._in = to_browser, from_browser
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._rest = b""
        self.complaints: list[str] = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        attached = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **given: Any) -> dict[str, Any]:
        """The result of a command."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": given}
        if self._session is not None:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                found: dict[str, Any] = answer["result"]
                return found
            self._notice(answer)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            data = os.read(self._in.fileno(), 1 << 16)
            if not data:
                raise AssertionError("the browser ended")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def _notice(self, event: dict[str, Any]) -> None:
        method, given = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(given["exceptionDetails"])[:500])
        if method == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.complaints.append(f"{given['entry']['text']} {given['entry'].get('url', '')}")

    def open(self, address: str) -> None:
        self.do("Page.navigate", url=address)

    def value(self, expression: str) -> Any:
        """Of a JavaScript expression."""
        found = self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait for an expression to be true, and its value; the test's own timeout ends it."""
        while not (found := self.value(expression)):
            time.sleep(0.1)
        return found

    def look_like(
        self, width: int, height: int, *, dark: bool = False, phone: bool = False
    ) -> None:
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=phone,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])

    def save(self, file: Path) -> None:
        """The whole page as PNG."""
        found = self.do("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def opened(browser: str, profile: Path) -> Iterator[Page]:
    """A page of a new browser, which ends with the block."""
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    arguments = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-background-networking", "--no-first-run", "--hide-scrollbars",
        f"--user-data-dir={profile}", "--remote-debugging-pipe",
    ]  # fmt: skip
    process = subprocess.Popen(
        ["/bin/bash", "-c", PLUMBED, "browser", *arguments],
        env={**os.environ, "TO_BROWSER": str(commands), "FROM_BROWSER": str(answers)},
        pass_fds=(commands, answers), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(commands)
    os.close(answers)
    with os.fdopen(to_browser, "wb") as out, os.fdopen(from_browser, "rb", buffering=0) as back:
        try:
            yield Page(out, back)
        finally:
            process.terminate()
            process.wait()

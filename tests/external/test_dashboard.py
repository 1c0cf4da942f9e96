"""The page in a real browser: it draws, follows the stream, and its own policy refuses nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sis_engine.service.places import Places
from tests.integration.small_campaigns import run, write_campaign
from tests.unit.service.web_server import TOKEN, served

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [pytest.mark.external, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> str:
    if BROWSER is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing: apt-get install chromium")
        pytest.skip("chromium is not installed")
    return BROWSER


def test_the_page_shows_the_campaign_that_the_stream_tells_of(browser: str, tmp_path: Path) -> None:
    places = Places(tmp_path / "root")
    places.make()
    config = write_campaign(tmp_path / "given")
    assert run(places.campaign("first"), config).state.value == "stable"
    with served(places) as site:
        done = subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu",
                "--disable-background-networking", "--no-first-run",
                f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0",
                "--virtual-time-budget=20000", "--timeout=60000", "--dump-dom",
                f"http://127.0.0.1:{site.port}/login?token={TOKEN}",
            ],
            capture_output=True, text=True, timeout=500, check=True,
        )  # fmt: skip
    page = done.stdout
    assert 'id="name">first<' in page
    assert "state-stable" in page
    assert page.count("<svg") >= 4
    assert "sis export" in page
    assert '<canvas id="canvas"' in page.partition("</template>")[0]
    assert "Content Security Policy" not in done.stderr
    assert "Uncaught" not in done.stderr

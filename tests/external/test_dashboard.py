"""The page in a real browser: it draws, follows the stream, and its own policy refuses nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sis_engine.service.places import Places
from tests.external.browser import opened
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
    with served(places) as site, opened(browser, tmp_path / "profile") as page:
        page.look_like(390, 844, phone=True)
        page.open(f"http://127.0.0.1:{site.port}/login?token={TOKEN}")
        page.until("document.getElementById('figures')?.querySelectorAll('svg').length > 3")
        page.until("document.querySelector('#viewer-place canvas') !== null")
        assert page.value("document.getElementById('name').textContent") == "first"
        assert page.value("document.getElementById('state-word').textContent") == "stable"
        assert "sis export" in page.value("document.getElementById('try').textContent")
        assert page.value("document.documentElement.scrollWidth") == 390  # nothing sticks out
        # A campaign that comes later appears by itself.
        shutil.copytree(places.campaign("first"), places.campaign("second"))
        page.until("document.querySelectorAll('#lines li').length === 2")
        assert page.complaints == []

"""How often the web server looks: its share of a core is bounded, whatever a look costs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sis_engine.service.web import stream
from sis_engine.service.web.stream import (
    LOOK_EVERY_S,
    LOOK_LATER_S,
    LOOK_SHARE,
    Stream,
    more_rest,
)


@pytest.mark.parametrize("used_s", [0.0, 0.005, 0.0099])
def test_a_cheap_look_is_taken_as_often_as_can_be(used_s):
    assert more_rest(used_s) == 0.0


@pytest.mark.parametrize("used_s", [0.011, 0.02, 0.07])
def test_a_dear_one_stays_within_the_share(used_s):
    between_s = LOOK_EVERY_S + more_rest(used_s)
    assert used_s / between_s == pytest.approx(LOOK_SHARE)


def test_however_dear_it_is_a_reader_hears_of_a_change():
    assert LOOK_EVERY_S + more_rest(60.0) == LOOK_LATER_S


def test_it_goes_on_looking_for_a_reader_however_long_it_rests(monkeypatch):
    """A rest longer than REST_AFTER_S was once taken for an hour without readers."""
    looks = 0

    def look_at(_board: Any) -> Any:
        nonlocal looks
        looks += 1
        return None, {}, {"board": f"{looks}".encode()}

    monkeypatch.setattr(stream, "_look_at", look_at)
    monkeypatch.setattr(stream, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(stream, "REST_AFTER_S", 0.02)
    monkeypatch.setattr(stream, "more_rest", lambda _used_s: 0.05)

    async def read() -> list[bytes]:
        told = Stream(object())  # type: ignore[arg-type] - nobody asks it
        found = []
        async for event in told.events(None):
            found.append(event)
            if len(found) == 4:
                break
        await told.close()
        return found

    assert asyncio.run(asyncio.wait_for(read(), 20.0)) == [b"1", b"2", b"3", b"4"]

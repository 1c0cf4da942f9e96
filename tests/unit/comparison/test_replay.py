"""What stored MD does not tell of another sampler is said, not guessed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sis_engine.comparison.replay import _untold
from sis_engine.plugins import Kind, configure


def given(*monitors: str) -> Any:
    verdicts = tuple(SimpleNamespace(monitor=name) for name in monitors)
    return SimpleNamespace(explorations=(), verdicts=verdicts)


PAPER = configure(Kind.SAMPLER, {"type": "sis-paper"}, key="sampler")
SIS = configure(Kind.SAMPLER, {"type": "sis"}, key="sampler")


def test_md_that_an_unknown_monitor_ended_would_have_gone_on():
    assert _untold(PAPER, given("geometry", "energy")) == (
        "the stored MD was ended by energy, geometry; with this sampler's monitors it had gone on"
    )


@pytest.mark.parametrize("monitors", [(), ("temperature",), ("temperature", "energy")])
def test_what_its_own_monitors_ended_or_nothing_did_is_told(monitors):
    assert _untold(PAPER, given(*monitors)) is None


def test_a_sampler_that_answers_every_monitor_is_always_told():
    assert _untold(SIS, given("geometry")) is None

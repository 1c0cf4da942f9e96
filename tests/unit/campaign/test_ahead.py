from __future__ import annotations

import sys

import pytest

from sis_engine.campaign import ahead


def test_what_is_wanted_late_is_loaded_and_exists() -> None:
    ahead.load_ahead().join(timeout=60.0)
    assert set(ahead.WANTED) <= set(sys.modules)


def test_a_module_that_cannot_be_loaded_is_no_fault_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "WANTED", ("no_such_module_of_ours",))
    thread = ahead.load_ahead()
    thread.join(timeout=60.0)
    assert not thread.is_alive()

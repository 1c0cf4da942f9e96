from __future__ import annotations

import importlib
import sys

import pytest

from sis_engine.campaign import ahead


def test_what_is_wanted_late_is_loaded_and_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = importlib.import_module
    monkeypatch.setattr(ahead.importlib, "import_module", lambda name: asked.append(real(name)))
    thread = ahead.load_ahead()
    thread.join(timeout=60.0)
    assert asked == [sys.modules[name] for name in ahead.WANTED]


def test_a_module_that_cannot_be_loaded_is_no_fault_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "WANTED", ("no_such_module_of_ours",))
    thread = ahead.load_ahead()
    thread.join(timeout=60.0)
    assert not thread.is_alive()

"""Modules that are wanted late, loaded early: while programs work, the engine has time."""

from __future__ import annotations

import importlib
import threading

WANTED = ("scipy.spatial", "scipy.stats", "sis_engine.commands.reporting")
"""Of the first audit and the report: a second of imports."""


def load_ahead() -> threading.Thread:
    """Import what a campaign will want, in a thread of its own. What fails, fails where wanted."""
    thread = threading.Thread(target=_load, name="load-ahead")
    thread.start()
    return thread


def _load() -> None:
    for name in WANTED:
        try:
            importlib.import_module(name)
        except Exception:  # noqa: BLE001 - whoever needs it imports it again, and tells
            return

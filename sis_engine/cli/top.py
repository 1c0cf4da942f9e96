"""``sis top``."""

from __future__ import annotations

from pathlib import Path


def show_top(root: Path, *, every_s: float, once: bool) -> int:
    raise NotImplementedError

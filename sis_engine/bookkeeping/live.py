"""Temperature and energy of the MD that runs now, for who watches: ``log/live.json``.

A thinned curve for each replica, replaced at most every two seconds and never waited for: losing it
loses nothing. What is committed is in the generation file.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sis_engine.bookkeeping.log import LOG_FOLDER

LIVE_FILE = "live.json"
WRITE_EVERY_S = 2.0
MOST_POINTS = 240
"""Of one replica; then every second one is dropped, and half as many are kept from there on."""
MOST_REPLICAS = 24


@dataclass
class LiveCurve:
    """One replica so far. times_ps, temperatures_k, energies (eV; ``None``: not told)."""

    times_ps: list[float] = field(default_factory=list)
    temperatures_k: list[float | None] = field(default_factory=list)
    energies: list[float | None] = field(default_factory=list)
    stride: int = 1
    seen: int = 0

    def add(self, time_ps: float, temperature_k: float | None, energy: float | None) -> None:
        self.seen += 1
        if (self.seen - 1) % self.stride:
            return
        self.times_ps.append(time_ps)
        self.temperatures_k.append(temperature_k)
        self.energies.append(energy)
        if len(self.times_ps) >= MOST_POINTS:
            for values in (self.times_ps, self.temperatures_k, self.energies):
                del values[1::2]
            self.stride *= 2


class LiveTraces:
    """Takes what the explorer says of its progress."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOG_FOLDER / LIVE_FILE
        self._generation = 0
        self._window: tuple[float | None, float | None] | None = None
        self._curves: dict[str, LiveCurve] = {}
        self._written = -WRITE_EVERY_S

    def begin(self, generation: int, stage: str) -> None:
        """A stage begins; the curves of the last MD go when there is new MD."""
        if stage == "explore":
            self._generation, self._window, self._curves = generation, None, {}
            self._write()

    def take(self, facts: Mapping[str, float | str]) -> None:
        """One report of progress; only those of a replica's MD count."""
        if "window_low_k" in facts or "window_high_k" in facts:
            self._window = (_number(facts, "window_low_k"), _number(facts, "window_high_k"))
        replica, time_ps = facts.get("replica"), _number(facts, "time_ps")
        temperature = _number(facts, "temperature_k")
        if not isinstance(replica, str) or time_ps is None or temperature is None:
            return
        if replica not in self._curves and len(self._curves) >= MOST_REPLICAS:
            return
        curve = self._curves.setdefault(replica, LiveCurve())
        curve.add(time_ps, temperature, _number(facts, "potential_energy"))
        if time.monotonic() - self._written >= WRITE_EVERY_S:
            self._write()

    def _write(self) -> None:
        """What cannot be written just now is tried again with the next report."""
        found = {
            "generation": self._generation,
            "window_k": self._window,
            "replicas": {
                name: {
                    "time_ps": curve.times_ps,
                    "temperature_k": curve.temperatures_k,
                    "energy": curve.energies,
                }
                for name, curve in self._curves.items()
            },
        }
        unfinished = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps(found), encoding="utf-8")
            unfinished.replace(self._path)
            self._written = time.monotonic()
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)


@dataclass(frozen=True)
class Live:
    """What :class:`LiveTraces` wrote. window_k: of temperature; ``None``: not known."""

    generation: int
    window_k: tuple[float | None, float | None] | None
    curves: Mapping[str, LiveCurve]


def read_live(folder: Path) -> Live | None:
    """The MD that runs now, or ran last; ``None``: there was none, or it cannot be read."""
    try:
        found: dict[str, Any] = json.loads((folder / LOG_FOLDER / LIVE_FILE).read_text("utf-8"))
        window = found["window_k"]
        return Live(
            int(found["generation"]),
            None if window is None else (window[0], window[1]),
            {
                str(name): LiveCurve(item["time_ps"], item["temperature_k"], item["energy"])
                for name, item in found["replicas"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _number(facts: Mapping[str, float | str], name: str) -> float | None:
    value = facts.get(name)
    return value if isinstance(value, float) and math.isfinite(value) else None

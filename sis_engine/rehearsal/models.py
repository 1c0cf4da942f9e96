"""Models that are hopeless, perfect, diverge or forget: the same end, killed on the way or not."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sis_engine.rehearsal.given import Changes, Ordeal, Undisturbed, prepare
from sis_engine.rehearsal.life import live
from sis_engine.rehearsal.remains import look
from sis_engine.rehearsal.trial import Trial

if TYPE_CHECKING:
    from sis_engine.rehearsal.programme import Compared

KILLS = 5
WAYS: dict[str, tuple[Changes, frozenset[str]]] = {
    "MD is unstable from step 0": (
        {"trainer.hole_margin_angstrom": -1.0},
        frozenset({"paused", "exhausted"}),
    ),
    "MD is never unstable": (
        {"trainer.hole_strength": 0.0, "trainer.depth_error": 0.0},
        frozenset({"stable"}),
    ),
    "training diverges": ({"trainer.diverges": True}, frozenset({"paused"})),
    "training forgets": (
        {"trainer.forgets": True},
        frozenset({"paused", "exhausted", "stable"}),
    ),
}
"""What the model is like: changes of the campaign's file, and the states that it may end in."""


def names() -> tuple[str, ...]:
    return tuple(WAYS)


def modelled(place: Path, compared: Compared, way: str) -> Trial:
    """One such campaign undisturbed, one killed several times: both end in the same state."""
    del compared  # it has an undisturbed campaign of its own
    begun = time.monotonic()
    changes, allowed = WAYS[way]
    whole = prepare(place / "whole", changes)
    end = live(whole)
    state = end.last_line.partition(":")[0]
    stage = prepare(place / "killed", changes)
    ordeal = Ordeal(stage, Undisturbed(look(whole.folder), end.cpu_s))
    if state not in allowed:
        ordeal.differences.append(f"undisturbed, it ended as {end.last_line!r}")
    lot = random.Random(way)  # noqa: S311 - times of kills, nothing secret
    kills = 0
    for _ in range(KILLS):
        kills += ordeal.live(kill_after_s=lot.uniform(0.1, 0.7) * end.cpu_s).killed
    last = ordeal.to_the_end(frozenset({end.code}))
    if last.last_line != end.last_line:
        ordeal.differences.append(f"ended as {last.last_line!r}, undisturbed {end.last_line!r}")
    return Trial(
        name=f"model: {way}",
        fault=way,
        outcome=f"{state}, killed or not",
        injected=1,
        kills=kills,
        differences=tuple(ordeal.differences),
        recomputed=ordeal.recomputed,
        orphans=tuple(ordeal.orphans),
        seconds=time.monotonic() - begun,
    )

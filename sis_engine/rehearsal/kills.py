"""SIGKILL at random times, again and again, until the campaign has ended in spite of it."""

from __future__ import annotations

import random
import time
from pathlib import Path

from sis_engine.rehearsal.given import Changes, Ordeal, Undisturbed, prepare
from sis_engine.rehearsal.life import ENDED
from sis_engine.rehearsal.trial import Trial

MEAN_LIFE = 1.0 / 15.0
"""Mean time to the next kill, in CPU times of the undisturbed campaign."""


def killed_at_random(
    place: Path,
    compared: Undisturbed,
    *,
    seed: int,
    number: int,
    most: int,
    changes: Changes | None = None,
) -> Trial:
    """The ``number``-th campaign of this seed: killed until it ends, ``most`` times at the most."""
    begun = time.monotonic()
    lot = random.Random(f"{seed}-{number}")  # noqa: S311 - times of kills, nothing secret
    ordeal = Ordeal(prepare(place, changes), compared)
    kills = 0
    while kills < most:
        wait_s = lot.expovariate(1.0 / (MEAN_LIFE * compared.cpu_s))
        end = ordeal.live(kill_after_s=wait_s)
        if not end.killed:
            if end.code not in ENDED:
                ordeal.differences.append(f"exit code {end.code}: {end.last_line}")
            break
        kills += 1
    ordeal.to_the_end()
    return Trial(
        name=f"kill-{seed}-{number}",
        fault="SIGKILL at a random time",
        outcome="went on to the same end",
        kills=kills,
        differences=tuple(ordeal.differences),
        recomputed=ordeal.recomputed,
        orphans=tuple(ordeal.orphans),
        seconds=time.monotonic() - begun,
    )

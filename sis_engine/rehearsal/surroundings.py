"""What the machine does to a campaign: other engines, stale locks, clocks, folders that go."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sis_engine.rehearsal import disks
from sis_engine.rehearsal.given import Ordeal, prepare
from sis_engine.rehearsal.life import ENDED, LONGEST_S, Life, Stage, live
from sis_engine.rehearsal.mounted import in_own_mounts
from sis_engine.rehearsal.trial import Trial
from sis_engine.storage.ownership import LOCK_FILE

if TYPE_CHECKING:
    from sis_engine.rehearsal.programme import Compared

ENGINES = 50
FIVE_HOURS_S = 5 * 3600
BEGUN = 0.3
"""Part of the undisturbed campaign after which something happens to it."""


def fifty_engines(ordeal: Ordeal) -> tuple[str, int]:
    """All at once on a campaign that was begun: one has it, the others are told who."""
    live(ordeal.stage, kill_after_s=BEGUN * ordeal.compared.cpu_s)
    lives = [Life(ordeal.stage, tag=f"-{k}") for k in range(ENGINES)]
    ends = [item.end() for item in lives]
    ran = sum(end.code in ENDED for end in ends)
    told = sum(end.code == 1 and "CampaignHeld" in end.said for end in ends)
    if not ran or ran + told != ENGINES:
        ordeal.differences.append(f"{ran} ran, {told} were told that it is held, of {ENGINES}")
    return "one ran, the others were told who holds it; the same end", ENGINES


def stale_lock(ordeal: Ordeal) -> tuple[str, int]:
    """The lock names a process that lives, but that is another one by now: nobody holds it."""
    live(ordeal.stage, kill_after_s=BEGUN * ordeal.compared.cpu_s)
    note = {"pid": os.getppid(), "host": socket.gethostname(), "user": "a", "started_at": "b"}
    (ordeal.stage.folder / LOCK_FILE).write_text(json.dumps(note))
    end = ordeal.live()
    if end.code not in ENDED:
        ordeal.differences.append(f"exit code {end.code}: {end.last_line}")
    return "taken, and on to the same end", 1


def clock_forward(ordeal: Ordeal) -> tuple[str, int]:
    return _clock(ordeal, FIVE_HOURS_S)


def clock_back(ordeal: Ordeal) -> tuple[str, int]:
    return _clock(ordeal, -FIVE_HOURS_S)


def _clock(ordeal: Ordeal, seconds: int) -> tuple[str, int]:
    end = ordeal.live(clock_jump_s=seconds)
    if end.code not in ENDED:
        ordeal.differences.append(f"exit code {end.code}: {end.last_line}")
    return "went on to the same end", 1


def vanished_folder(ordeal: Ordeal) -> tuple[str, int]:
    """Taken away from a running engine, as by an unmounted file system; then it is back."""
    folder = ordeal.stage.folder
    life = Life(ordeal.stage)
    _until((folder / "work" / "0000" / "train-1").is_dir, life)
    away = folder.with_name("away")
    folder.rename(away)
    end = life.end()
    if end.code not in {3, *ENDED} or "Traceback" in end.said:
        ordeal.differences.append(f"exit code {end.code}: {end.said[-300:]}")
    shutil.rmtree(folder, ignore_errors=True)
    away.rename(folder)
    return "no traceback; back again, on to the same end", 1


def _until(there: Callable[[], bool], life: Life) -> None:
    """Wait for it, unless the life has ended or goes on for too long without it."""
    used_s = 0.0
    while not there() and used_s < LONGEST_S and not life.ends_within(used_s):
        used_s += 0.01


TRIALS: dict[str, Callable[[Ordeal], tuple[str, int]]] = {
    "fifty engines at once": fifty_engines,
    "a process number in the lock that is another's now": stale_lock,
    "the clock jumps five hours on": clock_forward,
    "the clock jumps five hours back": clock_back,
    "the folder vanishes": vanished_folder,
    **disks.TRIALS,
}
_NEED_LIBRARY = frozenset({clock_forward, clock_back})


def names(*, with_library: bool) -> tuple[str, ...]:
    """Of the trials that can be led here."""
    return tuple(name for name, work in TRIALS.items() if with_library or work not in _NEED_LIBRARY)


def disturbed(place: Path, compared: Compared, name: str) -> Trial:
    """One campaign with this happening to it."""
    if name not in disks.TRIALS:
        return _led(prepare(place), compared, name)
    stage = prepare(place)
    found = in_own_mounts(stage.folder, disks.SIZE_BYTES, lambda: _led(stage, compared, name))
    return found or Trial(name, name, "not rehearsed: nothing may be mounted here")


def _led(stage: Stage, compared: Compared, name: str) -> Trial:
    begun = time.monotonic()
    ordeal = Ordeal(stage, compared.whole)
    outcome, times = TRIALS[name](ordeal)
    ordeal.to_the_end()
    return Trial(
        name=name,
        fault=name,
        outcome=outcome,
        injected=times,
        differences=tuple(ordeal.differences),
        recomputed=ordeal.recomputed,
        orphans=tuple(ordeal.orphans),
        seconds=time.monotonic() - begun,
    )

"""A disk that fills up or becomes read-only, on a small file system of the trial's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sis_engine.rehearsal.given import Ordeal
from sis_engine.rehearsal.life import ENDED, End, Life
from sis_engine.rehearsal.mounted import fill, make_read_only, make_room
from sis_engine.rehearsal.programs import PARTS, let_down

SIZE_BYTES = 32 << 20
"""Several times what the campaign needs."""
AFTER = 0.15
"""Part of the undisturbed campaign after which the disk fills up in each life."""
TIMES = 5
FULL = ("No space left on device", "disk is full")
"""How the system and SQLite say it."""
PAUSED = 3
SCRATCH = "work/*/*/*/scratch.dat"


def fills_up(ordeal: Ordeal) -> tuple[str, int]:
    """While the engine runs, again and again; a person makes room each time."""
    folder, met = ordeal.stage.folder, 0

    def fill_it(life: Life) -> None:
        nonlocal met
        if not life.ends_within(AFTER * ordeal.compared.cpu_s):
            fill(folder)
            met += 1

    for _ in range(TIMES):
        end = ordeal.live(meanwhile=fill_it)
        make_room(folder)
        _judge(ordeal, end)
    return "paused with the reason; room made, on to the same end", met


def is_full(ordeal: Ordeal) -> tuple[str, int]:
    """Before the engine starts: a campaign that was begun, and not a byte is left."""
    folder = ordeal.stage.folder
    ordeal.live(kill_after_s=2 * AFTER * ordeal.compared.cpu_s)
    fill(folder)
    end = ordeal.live()
    make_room(folder)
    _judge(ordeal, end)
    return "stopped with the reason; room made, on to the same end", 1


def filled_by_program(ordeal: Ordeal, part: str) -> tuple[str, int]:
    """Its program writes until nothing fits any more; a person deletes what it wrote."""
    folder = ordeal.stage.folder
    end = ordeal.live(first=let_down(part, "fill_the_disk"))
    for scratch in folder.glob(SCRATCH):
        scratch.unlink()
    _judge(ordeal, end)
    return "paused with the reason; room made, on to the same end", 1


def read_only(ordeal: Ordeal) -> tuple[str, int]:
    """Mounted read-only, as a file system is after an error of its disk."""
    folder = ordeal.stage.folder
    ordeal.live(kill_after_s=2 * AFTER * ordeal.compared.cpu_s)
    make_read_only(folder, read_only=True)
    end = ordeal.live()
    make_read_only(folder, read_only=False)
    if end.code != PAUSED or "Read-only" not in end.said:
        ordeal.differences.append(f"exit code {end.code}: {end.last_line}")
    return "paused with the reason; writable again, on to the same end", 1


def _judge(ordeal: Ordeal, end: End) -> None:
    """On a full disk: it ended, or it stopped and said why."""
    if end.code not in ENDED and (end.code != PAUSED or not any(text in end.said for text in FULL)):
        ordeal.differences.append(f"exit code {end.code}: {end.last_line}")


TRIALS: dict[str, Callable[[Ordeal], tuple[str, int]]] = {
    "the disk fills up": fills_up,
    "the disk is full at the start": is_full,
    "the file system is read-only": read_only,
    **{f"{part} fills the disk": partial(filled_by_program, part=part) for part in PARTS},
}

"""What a rehearsal consists of: units, each one campaign that something is done to."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sis_engine.rehearsal.given import Changes, Undisturbed
from sis_engine.rehearsal.interposer import IN_PROGRAMS, MODES, Fault
from sis_engine.rehearsal.kills import killed_at_random
from sis_engine.rehearsal.operations import failed_operation
from sis_engine.rehearsal.trial import Trial

ONE_GENERATION: Changes = {"budget.generations": 1}
"""Every operation is met in one turn of the loop; thousands of runs are enough."""
KILLS_EACH = 25
"""Most kills of one campaign."""


@dataclass(frozen=True)
class Wanted:
    """How much of it. stride: every how manieth k;  sample: so many faults only, drawn by lot

    with_library: without the faults in C no operation can be made to fail
    """

    seed: int
    kills: int
    stride: int
    sample: int | None
    with_library: bool


@dataclass(frozen=True)
class Compared:
    """The undisturbed campaigns. whole: two generations;  short: one

    programs: the short one, its parts running programs
    half_way: folder of one that was killed, for :func:`sis_engine.rehearsal.damage.damaged`
    """

    whole: Undisturbed
    short: Undisturbed
    programs: Undisturbed
    half_way: Path


def faults(compared: Compared, wanted: Wanted) -> Iterator[Fault]:
    """Every fault, from the first operation to the last of each kind, or a sample of them."""
    if not wanted.with_library:
        return
    counts, started = dict(compared.short.seen), dict(compared.programs.seen)
    counts |= {item.value: started.get(item.value, 0) for item in IN_PROGRAMS}
    found = [
        Fault(operation, mode, k)
        for operation, modes in MODES.items()
        for mode in modes
        for k in range(1, counts.get(operation.value, 0) + 1, wanted.stride)
    ]
    if wanted.sample is None:
        yield from found
        return
    lot = random.Random(wanted.seed)  # noqa: S311 - a sample of trials, nothing secret
    kinds = sorted({(f.operation.value, f.mode.value) for f in found})
    for operation, mode in lot.sample(kinds, min(wanted.sample, len(kinds))):
        of_kind = [f for f in found if (f.operation.value, f.mode.value) == (operation, mode)]
        yield lot.choice(of_kind)


def fail(place: Path, compared: Compared, fault: Fault) -> Trial:
    return failed_operation(place, compared.short, fault, changes=ONE_GENERATION)


def kill(place: Path, compared: Compared, seed: int, number: int, most: int) -> Trial:
    return killed_at_random(place, compared.whole, seed=seed, number=number, most=most)

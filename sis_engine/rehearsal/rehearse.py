"""Lead all trials of a rehearsal, several at a time, each noted as it ends; go on where it was."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sis_engine.errors import StopRequested
from sis_engine.rehearsal import models, programme, programs
from sis_engine.rehearsal.damage import DAMAGES, FILES, damaged, killed_half_way
from sis_engine.rehearsal.given import NOTHING, Changes, Undisturbed, undisturbed
from sis_engine.rehearsal.life import First, nothing
from sis_engine.rehearsal.programme import KILLS_EACH, ONE_GENERATION, Compared, Wanted
from sis_engine.rehearsal.remains import adopt_orphans
from sis_engine.rehearsal.surroundings import disturbed, names
from sis_engine.rehearsal.trial import Trial, table, tally
from sis_engine.storage.atomic import write_text

JOURNAL = "trials.jsonl"
TABLE = "faults.md"
Unit = tuple[str, Callable[..., Trial], tuple[object, ...]]
"""Its trial's name, what leads it, and what that is given after the place and the comparison."""
How = tuple[Path, Changes, First]
"""What :func:`undisturbed` is given."""


@dataclass
class Journal:
    """Trials as they end, a line each; a torn last line is led again."""

    path: Path
    trials: list[Trial] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> Journal:
        found = cls(folder / JOURNAL)
        if found.path.exists():
            for line in found.path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    found.trials.append(Trial.from_line(line))
                except (ValueError, KeyError, TypeError):
                    continue
            write_text(found.path, "".join(f"{item.as_line()}\n" for item in found.trials))
        return found

    def add(self, trial: Trial) -> None:
        self.trials.append(trial)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(f"{trial.as_line()}\n")

    @property
    def names(self) -> frozenset[str]:
        return frozenset(item.name for item in self.trials)

    @property
    def kills(self) -> int:
        return sum(item.kills for item in self.trials if item.name.startswith("kill-"))


@dataclass(frozen=True)
class Bench:
    """Where a rehearsal is led. scratch: for campaigns, best in memory;  tell: a person, a line

    stop: asked after each trial, for what has begun is awaited in any case
    """

    folder: Path
    scratch: Path
    jobs: int
    tell: Callable[[str], None]
    stop: Callable[[], bool]

    def stop_here(self) -> None:
        if self.stop():
            raise StopRequested(f"{self.folder}: stopped; what was led is noted there")


def rehearse(bench: Bench, wanted: Wanted, parts: Sequence[str]) -> list[Trial]:
    """All trials, those of an earlier run of this rehearsal included.

    Raises StopRequested when asked to stop: all that ended by then is in the journal.
    """
    bench.folder.mkdir(parents=True, exist_ok=True)
    journal = Journal.of(bench.folder)
    if tuple(parts) == ("kills",) and journal.kills >= wanted.kills:
        return journal.trials
    bench.scratch.mkdir(parents=True, exist_ok=True)
    try:
        (name, how), *others = _needed(bench.scratch / "undisturbed", parts)
        # Before there are workers, so that they find imported what it imports.
        first = {name: undisturbed(*how)}
        bench.stop_here()
        with _workers(bench.jobs) as pool:
            compared = _compared(pool, first, others, bench.scratch / "half-way")
            bench.stop_here()
            bench.tell(f"undisturbed: {max(compared.whole.cpu_s, compared.short.cpu_s):.1f} s")
            lead = _Lead(bench, pool, compared, journal)
            if "damage" in parts:
                pool.submit(killed_half_way, compared.half_way, compared.whole).result()
            lead.all(_units(compared, wanted, parts))
            if "kills" in parts:
                lead.kills(wanted)
    finally:
        shutil.rmtree(bench.scratch, ignore_errors=True)
    return journal.trials


def _units(compared: Compared, wanted: Wanted, parts: Sequence[str]) -> list[Unit]:
    """All but the kills, whose number is known as they come."""
    found: list[Unit] = []
    if "operations" in parts:
        found += _operations(compared, wanted)
    if "damage" in parts:
        found += _damages(wanted)
    if "surroundings" in parts:
        found += _surroundings(wanted)
    if "programs" in parts:
        found += _programs(wanted)
    if "models" in parts:
        found += _models(wanted)
    return found


def _operations(compared: Compared, wanted: Wanted) -> list[Unit]:
    return [(str(fault), programme.fail, (fault,)) for fault in programme.faults(compared, wanted)]


def _damages(wanted: Wanted) -> list[Unit]:
    kinds = [(kind, damage) for kind in FILES for damage in DAMAGES]
    if wanted.sample is not None:
        lot = random.Random(wanted.seed)  # noqa: S311 - a sample of trials, nothing secret
        kinds = lot.sample(kinds, wanted.sample)
    return [(f"damage: {kind}: {how}", damaged, (kind, how)) for kind, how in kinds]


def _surroundings(wanted: Wanted) -> list[Unit]:
    found = names(with_library=wanted.with_library)
    if wanted.sample is not None:
        found = found[:1]
    return [(name, disturbed, (name,)) for name in found]


def _programs(wanted: Wanted) -> list[Unit]:
    found = programs.names()
    if wanted.sample is not None:
        lot = random.Random(wanted.seed)  # noqa: S311 - a sample of trials, nothing secret
        found = tuple(lot.sample(found, 2))
    return [(f"program: {part} {way}", programs.misbehaved, (part, way)) for part, way in found]


def _models(wanted: Wanted) -> list[Unit]:
    found = models.names() if wanted.sample is None else models.names()[:1]
    return [(f"model: {way}", models.modelled, (way,)) for way in found]


@contextlib.contextmanager
def _workers(jobs: int) -> Iterator[concurrent.futures.ProcessPoolExecutor]:
    """Whatever ends the block, what has not begun by then is dropped."""
    pool = concurrent.futures.ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("fork"), initializer=adopt_orphans
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _needed(place: Path, parts: Sequence[str]) -> list[tuple[str, How]]:
    """The undisturbed campaigns that these parts compare with: name, and how each is led."""
    whole = set(parts) - {"operations"}
    found: list[tuple[str, How]] = []
    if "operations" in parts:
        found = [
            ("short", (place / "short", ONE_GENERATION, nothing)),
            ("programs", (place / "programs", ONE_GENERATION, programs.good_programs)),
        ]
    return [*found, ("whole", (place / "whole", {}, nothing))] if whole else found


def _compared(
    pool: concurrent.futures.Executor,
    first: dict[str, Undisturbed],
    others: Sequence[tuple[str, How]],
    half_way: Path,
) -> Compared:
    """The first has been led; the others are led side by side."""
    running = {name: pool.submit(undisturbed, *how) for name, how in others}
    found = first | {name: future.result() for name, future in running.items()}
    whole, short, started = (found.get(name, NOTHING) for name in ("whole", "short", "programs"))
    return Compared(whole, short, started, half_way)


@dataclass
class _Lead:
    bench: Bench
    pool: concurrent.futures.ProcessPoolExecutor
    compared: Compared
    journal: Journal

    def all(self, units: Iterable[Unit]) -> None:
        """Lead those that are not in the journal."""
        left = [unit for unit in units if unit[0] not in self.journal.names]
        running = [self._begin(unit) for unit in left]
        for ended in concurrent.futures.as_completed(running):
            self._note(ended.result())
            self.bench.stop_here()

    def kills(self, wanted: Wanted) -> None:
        """Campaigns until there were enough kills."""
        number = 0
        while (missing := wanted.kills - self.journal.kills) > 0:
            units: list[Unit] = []
            while len(units) < self.bench.jobs:
                name = f"kill-{wanted.seed}-{number}"
                if name not in self.journal.names:
                    most = min(KILLS_EACH, -(-missing // self.bench.jobs))
                    units.append((name, programme.kill, (wanted.seed, number, most)))
                number += 1
            self.all(units)

    def _begin(self, unit: Unit) -> concurrent.futures.Future[Trial]:
        name, work, given = unit
        place = self.bench.scratch / name.replace(" ", "-").replace(":", "").replace("/", "-")
        return self.pool.submit(_led, place, work, self.compared, given)

    def _note(self, trial: Trial) -> None:
        self.journal.add(trial)
        wrong = (*trial.differences, *trial.orphans)
        told = f"{trial.name}: {'; '.join(wrong) if wrong else trial.outcome}"
        self.bench.tell(f"{len(self.journal.trials)}  {told}  ({trial.seconds:.1f} s)")


def _led(
    place: Path, work: Callable[..., Trial], compared: Compared, given: tuple[object, ...]
) -> Trial:
    trial = work(place, compared, *given)
    if not trial.differences:
        shutil.rmtree(place, ignore_errors=True)
    return trial


def write_table(folder: Path, trials: Sequence[Trial]) -> Path:
    """``faults.md``: what was done how often, and what came of it."""
    found = tally(trials)
    told = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in vars(found).items())
    path = folder / TABLE
    write_text(path, f"{table(trials)}\n\nTogether: {told}.\n")
    return path


def scratch_folder(folder: Path) -> Path:
    """In memory where that is possible: a death of the process loses nothing there that a disk
    would keep, and nothing waits for the disk.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a name of our own below it
    root = memory if os.access(memory, os.W_OK) else folder
    return root / f"sis-rehearsal-{os.getpid()}-{time.monotonic_ns() % 10**6}"

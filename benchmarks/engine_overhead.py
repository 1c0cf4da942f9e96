"""What the engine itself costs: time outside label, train, admit, MD and audit, over all of it.

    python benchmarks/engine_overhead.py [runs/quickstart]

Read off the ledger of a finished campaign. Start-up (imports, reading and checking the campaign)
and the final report lie outside the ledger's clock: both are done again here, timed and added, to
the engine's time and to the whole (the report in a process that has loaded what a campaign has).
The interval is a bootstrap over generations. The last line is JSON. Exit code
0: within the goal; 1: not; 2: there is no finished campaign to read.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sis_engine.bookkeeping import folder as campaign_folder
from sis_engine.bookkeeping.wallclock import WALL_S
from sis_engine.commands.reporting import write_report
from sis_engine.execution.cores import available_cores
from sis_engine.records import Purpose
from sis_engine.setup.assembly import assemble
from sis_engine.setup.versions import machine
from sis_engine.storage.generation import GenerationStore
from sis_engine.storage.ledger import Ledger, StageRow

GOAL = 0.02
WORK = ("label", "test", "train", "admit", "explore")
"""Stages that are work of labeler, trainer or MD engine; attempts are called train-1, train-2."""
RESAMPLES = 2000
NOT_THERE = """{folder} holds no finished campaign: {why}.
Make it with:  make quickstart
or name another:  python benchmarks/engine_overhead.py FOLDER"""


class Generation(NamedTuple):
    """Seconds of one generation: from its first stage to the next one's; work is part of wall."""

    number: int
    wall_s: float
    work_s: float


class NoCampaign(Exception):
    """There is nothing to measure; the message says why."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs/quickstart"))
    folder = parser.parse_args().folder
    try:
        generations, outside_s = read(folder)
    except NoCampaign as reason:
        sys.stderr.write(NOT_THERE.format(folder=folder, why=reason) + "\n")
        return 2
    outside_s += timed_outside(folder)
    value = share(generations, outside_s)
    low, high = interval(generations, outside_s)
    print(
        json.dumps(
            {
                "name": "engine_overhead",
                "value": round(value, 5),
                "interval": [round(low, 5), round(high, 5)],
                "goal": GOAL,
                "unit": "share of wall time",
            }
        )
    )
    return 0 if value <= GOAL else 1


def read(folder: Path) -> tuple[list[Generation], float]:
    """Generations, and the seconds of the ledger's clock that belong to none of them."""
    if not campaign_folder.exists(folder):
        raise NoCampaign("no ledger.sqlite in it")
    with Ledger(folder, read_only=True) as ledger:
        state = ledger.meta("state")
        if state not in {"stable", "exhausted"}:
            raise NoCampaign(f"its state is {state or 'running'}")
        rows = [row for row in ledger.stages() if row.seconds is not None]
        generations = generations_of(ledger, rows, audit_seconds(folder, ledger))
        clock_s = float(ledger.meta(WALL_S) or 0.0)
        labels_s = sum(item.seconds for item in ledger.counts())
    if sum(item.wall_s for item in generations) > 1.05 * clock_s + 5.0:
        raise NoCampaign("it was interrupted; its generations' times hold the pauses")
    tell(rows, generations, clock_s, labels_s)
    return generations, max(0.0, clock_s - sum(item.wall_s for item in generations))


def generations_of(
    ledger: Ledger, rows: list[StageRow], audits: dict[int, float]
) -> list[Generation]:
    """Each lasts until the next one's first stage; the last until it was committed."""
    numbers = [row.number for row in ledger.generations()]
    own = {n: [row for row in rows if row.generation == n] for n in numbers}
    begins = [min(seconds_of(row.started_at) for row in own[n]) for n in numbers]
    commits = [seconds_of(event.time) for event in ledger.events() if event.kind == "committed"]
    found = []
    for n, begin, end in zip(numbers, begins, [*begins[1:], commits[-1]], strict=True):
        work = sum(row.seconds or 0.0 for row in own[n] if row.stage.split("-")[0] in WORK)
        found.append(Generation(n, end - begin, work + audits[n]))
    return found


def audit_seconds(folder: Path, ledger: Ledger) -> dict[int, float]:
    """Labels of the audits, by generation: they are bought while the sampler decides.

    Like the stage *label* they count until all of them are in the bank. Campaigns from before that
    was recorded: by the labeler's own clock, as if all cores had had one throughout.
    """
    found = {}
    for record in GenerationStore(folder, ledger).load_all(only={"number", "audits"}):
        known = [item.seconds for item in record.audits if item.seconds is not None]
        counts = ledger.counts(record.number)
        alone = sum(item.seconds for item in counts if item.purpose is Purpose.AUDIT)
        found[record.number] = sum(known) if known else alone / available_cores()
    return found


def seconds_of(stamp: str) -> float:
    return dt.datetime.fromisoformat(stamp).timestamp()


def timed_outside(folder: Path) -> float:
    """Seconds of start-up and of the report, measured now."""
    program = Path(sys.executable).with_name("sis")
    began = time.perf_counter()
    with Ledger(folder, read_only=True) as ledger:
        original = ledger.meta("config_file") or ""
    if Path(original).is_file():
        asked = [str(program), "validate", original]
        subprocess.run(asked, check=True, capture_output=True, timeout=600)
    start_s = time.perf_counter() - began
    if Path(original).is_file():
        assemble(Path(original))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="overhead-") as scratch:
        write_report(folder, Path(scratch))
    report_s = time.perf_counter() - began
    print(f"measured now: start-up {start_s:.1f} s, report {report_s:.1f} s")
    return start_s + report_s


def share(generations: list[Generation], outside_s: float) -> float:
    wall = sum(item.wall_s for item in generations) + outside_s
    work = sum(item.work_s for item in generations)
    return (wall - work) / wall


def interval(generations: list[Generation], outside_s: float) -> tuple[float, float]:
    """Bootstrap 95 % over generations; what is outside of them stays."""
    rng = np.random.default_rng(1)
    drawn = [
        share(
            [generations[i] for i in rng.integers(len(generations), size=len(generations))],
            outside_s,
        )
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def tell(
    rows: list[StageRow], generations: list[Generation], clock_s: float, labels_s: float
) -> None:
    """The machine, the versions, and where the time went. labels_s: by the labeler's own clock."""
    print(f"machine: {machine()}; Python {platform.python_version()}")
    print(f"sis-engine {version('sis-engine')}; {len(generations)} generations, {clock_s:.1f} s")
    names = sorted({row.stage.split("-")[0] for row in rows})
    for name in names:
        total = sum(row.seconds or 0.0 for row in rows if row.stage.split("-")[0] == name)
        kind = "work" if name in WORK else "engine, but for the audit's labels"
        print(f"  {name:8} {total:9.2f} s  {kind}")
    print(f"  all labels, audit and suspects too, by the labeler's own clock: {labels_s:.2f} s")
    for item in generations:
        own = item.wall_s - item.work_s
        print(f"  generation {item.number}: {item.wall_s:.2f} s, engine {own:.2f} s")


if __name__ == "__main__":
    sys.exit(main())

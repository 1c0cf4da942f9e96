"""What the engine adds to Parsl for each label, and what 100,000 queued requests cost in memory.

    python benchmarks/parsl_overhead.py [--labels 1000] [--queued 100000] [--repeats 3] [--quick]

Single points of a cheap teacher (Lennard-Jones, 20 atoms) by two workers on this machine, in turn:
*bare*: every label a Parsl task of its own, sent and returned by Parsl, nothing durable; *engine*:
the same labels through bank, spool and groups, each durable on its own. Both use one pool, whose
workers are up and have labelled before the clock starts; the engine's source of labels lives as
long as the pool, as in a campaign. Value: (engine - bare) / labels, milliseconds, median of the
repetitions; below 0 where groups save more than durability costs. Memory: the engine's growth while
it waits for a queue that starts nothing. The last line is JSON. Exit code 0: both goals are met; 1:
not.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from labelers.teacher.labeler import TeacherLabeler
from sis_engine.errors import StopRequested
from sis_engine.execution.parsl_pool import ParslFuture, ParslPool
from sis_engine.execution.pools import LabelPool, LocalProvider
from sis_engine.interfaces import Context, SinglePoints
from sis_engine.labelling.side_by_side import SideBySide
from sis_engine.records import Frame, Origin, Purpose, System
from sis_engine.remote.account import Account
from sis_engine.setup.label_source import Elsewhere, pooled_label_source
from sis_engine.setup.versions import machine
from sis_engine.storage.bank import LabelBank

GOAL_MS = 10.0
GOAL_GIB = 1.0
N_WARM = 16
"""Labels before the clock starts: both workers have begun then."""
TEACHER = {
    "type": "teacher",
    "shortest_angstrom": 0.1,
    "potential": {
        "type": "ase",
        "calculator": "ase.calculators.lj.LennardJones",
        "arguments": {"sigma": 2.0, "epsilon": 0.01, "rc": 6.0},
    },
}


def system() -> System:
    grid = 2.5 * np.array([(i, j, k) for i in range(5) for j in range(2) for k in range(2)])
    return System("cluster", Frame(("Ar",) * 20, grid.astype(float), None, (False,) * 3))


def points(n: int, plan: str) -> SinglePoints:
    """So many different frames."""
    given, rng = system(), np.random.default_rng(list(plan.encode()))
    frames = tuple(
        Frame(
            given.frame.species,
            given.frame.positions + 0.05 * rng.normal(size=(20, 3)),
            None,
            given.frame.pbc,
        )
        for _ in range(n)
    )
    origins = tuple(Origin(Purpose.COMMAND, 0, given.name, plan, k) for k in range(n))
    return SinglePoints(given, frames, origins)


def teacher() -> TeacherLabeler:
    return TeacherLabeler(TeacherLabeler.Config.model_validate(TEACHER))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--queued", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="60 labels, 5,000 queued, once")
    asked = parser.parse_args()
    if asked.quick:
        asked.labels, asked.queued, asked.repeats = 60, 5000, 1
    print(f"machine: {machine()}; load average at the start: {os.getloadavg()[0]:.2f}")
    gib = queued_gib(asked.queued)
    print(f"{asked.queued} queued requests: {gib:.3f} GiB more")
    overhead = overheads(asked.labels, asked.repeats)
    value = float(np.median(overhead))
    print(
        json.dumps(
            {
                "name": "parsl_overhead",
                "value": round(value, 3),
                "interval": [round(min(overhead), 3), round(max(overhead), 3)],
                "goal": GOAL_MS,
                "unit": "ms a label beyond bare Parsl",
                "queued": asked.queued,
                "queued_gib": round(gib, 3),
                "goal_gib": GOAL_GIB,
            }
        )
    )
    return 0 if value <= GOAL_MS and gib <= GOAL_GIB else 1


# --------------------------------------------------------------------------- time


def overheads(n: int, repeats: int) -> list[float]:
    """Milliseconds a label, of each repetition."""
    found = []
    with tempfile.TemporaryDirectory(prefix="parsl-overhead-") as scratch:
        folder = Path(scratch)
        pool = ParslPool(
            "label",
            LabelPool(provider=LocalProvider(), workers_per_node=2, group_s=2.0),
            folder / "parsl",
            "127.0.0.1",
        )
        try:
            with LabelBank(folder / "labels") as bank:
                place = Elsewhere(pool, TEACHER, folder, folder / "spool", Account("label"))
                source = pooled_label_source(
                    teacher(), bank, place, cores=1, exact=True, note=lambda *_: None
                )
                bare(pool, points(N_WARM, "warm"))
                engine(source, points(N_WARM, "warmer"), folder)
                for k in range(repeats):
                    task = points(n, f"repeat-{k}")
                    plain, ours = bare(pool, task), engine(source, task, folder)
                    found.append(1000.0 * (ours - plain) / n)
                    print(f"  bare {plain:.2f} s, engine {ours:.2f} s: {found[-1]:.2f} ms a label")
                assert bank.count() == N_WARM + repeats * n
        finally:
            pool.shutdown()
    return found


def bare(pool: ParslPool, task: SinglePoints) -> float:
    began = time.perf_counter()
    settings = json.dumps(TEACHER)
    futures = [
        pool.submit(functools.partial(_one, settings, frame.species, frame.positions))
        for frame in task.frames
    ]
    for future in futures:
        assert np.isfinite(future.result(600.0)[0])
    return time.perf_counter() - began


def _one(settings: str, species: tuple[str, ...], positions: Any) -> Any:
    """On a worker: energy and forces of one frame, by a labeler that is kept."""
    import tempfile as temporary
    from pathlib import Path as Place

    from sis_engine import interfaces, records
    from sis_engine.execution.job_worker import part
    from sis_engine.plugins import Kind

    labeler = part(Kind.LABELER, settings, None)
    frame = records.Frame(species, positions, None, (False,) * 3)
    origin = records.Origin(records.Purpose.COMMAND, 0, "cluster", "bare", 0)
    asked = interfaces.SinglePoints(records.System("cluster", frame), (frame,), (origin,))
    (found,) = labeler.label(asked, interfaces.Context(Place(temporary.gettempdir())))
    return found.label.energy, found.label.forces


def engine(source: SideBySide, task: SinglePoints, folder: Path) -> float:
    began = time.perf_counter()
    assert sum(1 for _ in source.label(task, Context(folder))) == len(task.frames)
    return time.perf_counter() - began


# --------------------------------------------------------------------------- memory


class SilentPool:
    """A pool whose scheduler starts nothing: what is handed out waits for ever."""

    name = "label"
    slots = 64

    def __init__(self) -> None:
        self.config = LabelPool(provider=LocalProvider())

    def submit(self, task: Any, *, cores: int = 1) -> ParslFuture:
        del task, cores
        return ParslFuture(Future())

    def check(self) -> None:
        """It says nothing."""


def queued_gib(n: int) -> float:
    """What waiting for so many labels adds to this process, the frames themselves included."""
    with tempfile.TemporaryDirectory(prefix="parsl-queue-") as scratch:
        folder = Path(scratch)
        before = _peak_gib()
        asked = [0]

        def stop() -> bool:
            asked[0] += 1
            return asked[0] > 5

        with LabelBank(folder / "labels") as bank:
            place = Elsewhere(SilentPool(), TEACHER, folder, folder / "spool", Account("label"))  # type: ignore[arg-type]
            source = pooled_label_source(
                teacher(), bank, place, cores=1, exact=True, note=lambda *_: None
            )
            try:
                for _ in source.label(points(n, "queued"), Context(folder, stop=stop)):
                    pass
            except StopRequested:
                pass
        return _peak_gib() - before


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    sys.exit(main())

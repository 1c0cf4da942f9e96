"""How labelling scales with workers: measured here, and carried to 1,000 nodes by a model.

    python benchmarks/scaling.py [--workers 1 2 4 8 16] [--label-s 1] [--rounds 20]
        [--write FILE] [--quick]

A label here takes a set time and no core, so that there may be more workers than cores: what is
seen is the engine, its spool and Parsl, not the machine. Model: wall = queue + labels x (cost +
worker's overhead) / workers + labels x serial part. The engine's own processor time, all of its
threads together, grows with time (it looks after its pool) and with labels; the latter is the
serial part, which cannot be shared out (least squares over the points). The worker's overhead is
what a task takes beside its label. Value: the worst ratio of measured to predicted labels/s; below
1 the model promises too much. The last line is JSON. Exit code 0: within the goal; 1: not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from parsl_overhead import points
from scipy.optimize import nnls

from labelers.teacher.labeler import TeacherLabeler
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.execution.pools import LabelPool, LocalProvider
from sis_engine.interfaces import Context
from sis_engine.remote.account import Account
from sis_engine.setup.label_source import Elsewhere, pooled_label_source
from sis_engine.setup.versions import machine
from sis_engine.storage.bank import LabelBank

GOAL = 0.85
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Point:
    """What was measured with so many workers.

    engine_s: its processor time, in all;  overhead_s: of one label
    """

    workers: int
    labels: int
    wall_s: float
    engine_s: float
    overhead_s: float


@dataclass(frozen=True)
class Law:
    """Seconds of one label: in a worker beside the label, and in the engine.

    idle_share: of a core, what the engine takes whatever is labelled
    """

    overhead_s: float
    serial_s: float
    idle_share: float

    def wall_s(self, labels: int, cost_s: float, workers: int, queue_s: float = 0.0) -> float:
        shared = labels * (cost_s + self.overhead_s) / workers
        return queue_s + shared + labels * self.serial_s


class SleepingPool(ParslPool):
    """Whose workers take no core: as many as are asked for."""

    @property
    def slots(self) -> int:
        return self.config.workers_per_node or 1


def law_of(points: Sequence[Point]) -> Law:
    """The law that these points lie nearest to."""
    at = np.array([(point.labels, point.wall_s) for point in points])
    serial_s, idle = nnls(at, np.array([point.engine_s for point in points]))[0]
    overhead = float(np.median([point.overhead_s for point in points]))
    return Law(overhead, float(serial_s), float(idle))


def settings(label_s: float) -> dict[str, Any]:
    return {
        "type": "teacher",
        "shortest_angstrom": 0.1,
        "potential": {
            "type": "ase",
            "calculator": "sleeping.Sleeping",
            "arguments": {"seconds": label_s, "epsilon": 0.1, "r0": 2.5, "rho0": 4.0},
            "trusted": True,
        },
    }


def measured(workers: int, label_s: float, rounds: int) -> Point:
    """So many labels for each worker; the first, which starts it, is not counted."""
    with tempfile.TemporaryDirectory(prefix="scaling-") as scratch:
        folder = Path(scratch)
        # Workers sleep, so that a core has room for any number of them: Parsl is told of as many.
        init = (f"export PYTHONPATH={HERE}:$PYTHONPATH", f"export PARSL_CORES={workers}")
        provider = LocalProvider(worker_init=init)
        config = LabelPool(provider=provider, workers_per_node=workers, group=1)
        pool = SleepingPool("label", config, folder / "parsl", "127.0.0.1")
        asked = settings(label_s)
        labeler = TeacherLabeler(TeacherLabeler.Config.model_validate(asked))
        account = Account("label")
        try:
            with LabelBank(folder / "labels") as bank:
                place = Elsewhere(pool, asked, folder, folder / "spool", account)
                source = pooled_label_source(
                    labeler, bank, place, cores=1, exact=True, note=lambda *_: None
                )
                for _ in source.label(points(2 * workers, "warm"), Context(folder)):
                    pass
                n, before = rounds * workers, account.facts
                task = points(n, "measured")
                began, cpu = time.perf_counter(), time.process_time()
                assert sum(1 for _ in source.label(task, Context(folder))) == n
                wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        finally:
            pool.shutdown()
    after = account.facts
    beside = (after.worker_s - before.worker_s) - (after.label_s - before.label_s)
    return Point(workers, n, wall, cpu, max(0.0, beside / n))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--label-s", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=20, help="labels for each worker")
    parser.add_argument("--write", type=Path, help="the points and the law, for docs/scaling.md")
    parser.add_argument("--quick", action="store_true", help="1 and 2 workers, labels of 0.2 s")
    asked = parser.parse_args()
    if asked.quick:
        asked.workers, asked.label_s, asked.rounds = [1, 2], 0.2, 3
    sys.path.insert(0, str(HERE))
    load = os.getloadavg()[0]
    print(f"machine: {machine()}; load average at the start: {load:.2f}")
    found = [measured(workers, asked.label_s, asked.rounds) for workers in asked.workers]
    law = law_of(found)
    ratios = []
    for item in found:
        predicted = law.wall_s(item.labels, asked.label_s, item.workers)
        ratios.append(predicted / item.wall_s)
        print(
            f"  {item.workers:3} workers: {item.labels / item.wall_s:.3f} labels/s, predicted "
            f"{item.labels / predicted:.3f}; {item.engine_s:.2f} s of the engine's processor time, "
            f"a label: {1e3 * item.overhead_s:.1f} ms beside it in a worker"
        )
    print(
        f"a label: {1e3 * law.serial_s:.2f} ms of the engine; besides, "
        f"{100.0 * law.idle_share:.1f} % of a core"
    )
    if asked.write is not None:
        told = {
            "machine": machine(),
            "load_average": round(load, 2),
            "label_s": asked.label_s,
            "law": asdict(law),
            "points": [asdict(item) for item in found],
        }
        asked.write.write_text(json.dumps(told, indent=1) + "\n")
    print(
        json.dumps(
            {
                "name": "scaling",
                "value": round(min(ratios), 3),
                "interval": [round(min(ratios), 3), round(max(ratios), 3)],
                "goal": GOAL,
                "unit": "measured over predicted labels/s",
                "serial_ms": round(1e3 * law.serial_s, 2),
                "overhead_ms": round(1e3 * law.overhead_s, 1),
            }
        )
    )
    return 0 if min(ratios) >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())

"""Labels a second by two one-core workers, here and in a pool, against the best single worker.

    python benchmarks/label_throughput.py [--labels 192] [--repeats 3] [--quick] [--slurm PARTITION]

GFN1-xTB single points of a cluster, in turn and shuffled anew in each repetition: one worker with
one thread; one worker with two; two workers with one thread each, in this process; the same as a
campaign has it, every label durable; and a pool of two one-core workers (Parsl on this machine,
warm; with ``--slurm`` two jobs of one core each), every label durable too. Value: labels a second
of two workers over those of the best single one, medians of the repetitions; interval: bootstrap
over repetitions. The pool is compared with what makes the same promise here, and, without a goal,
with labels that are kept nowhere. The last line is JSON. Exit code 0: within both goals; 1: not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from labelers.xtb.labeler import XtbLabeler
from sis_engine.execution.parsl_pool import ParslPool
from sis_engine.execution.pools import LabelPool, LocalProvider, SlurmProvider
from sis_engine.interfaces import Context, SinglePoints
from sis_engine.labelling.side_by_side import SideBySide
from sis_engine.records import Frame, Origin, Purpose, System
from sis_engine.remote.account import Account
from sis_engine.setup.label_source import Elsewhere, label_source, pooled_label_source
from sis_engine.setup.versions import machine
from sis_engine.storage.bank import LabelBank
from sis_engine.structures import read_structure

STRUCTURE = Path(__file__).parents[1] / "configs" / "structures" / "lifsi-dol-cluster.xyz"
SETTINGS = {"type": "xtb", "method": "GFN1-xTB", "threads": 2}
GOAL, POOL_GOAL = 1.05, 0.95
RESAMPLES = 2000


class Bench:
    """One labeler, one pool, one folder; every call labels frames that nobody has labelled yet."""

    def __init__(self, folder: Path, pool: ParslPool, n: int) -> None:
        self.folder = folder
        self.pool = pool
        self.n = n
        self.labeler = XtbLabeler(XtbLabeler.Config.model_validate(SETTINGS))
        self._system = System("cluster", read_structure(STRUCTURE))
        self._calls = 0
        self._bank = LabelBank(folder / "labels")
        place = Elsewhere(pool, SETTINGS, folder, folder / "spool", Account("label"))
        self._pooled = pooled_label_source(
            self.labeler, self._bank, place, cores=1, exact=False, note=lambda *_: None
        )
        self._local = label_source(
            self.labeler, self._bank, cores=2, exact=True, note=lambda *_: None
        )

    def close(self) -> None:
        self._bank.close()

    def task(self) -> SinglePoints:
        self._calls += 1
        rng, given = np.random.default_rng(self._calls), self._system.frame
        shape = given.positions.shape
        frames = tuple(
            Frame(
                given.species,
                given.positions + 0.02 * rng.normal(size=shape),
                given.cell,
                given.pbc,
            )
            for _ in range(self.n)
        )
        plan = f"call-{self._calls}"
        origins = tuple(Origin(Purpose.COMMAND, 0, "cluster", plan, k) for k in range(self.n))
        return SinglePoints(self._system, frames, origins)

    def here(self, workers: int, threads: int) -> float:
        """Labels a second."""
        task = self.task()
        context = Context(self.folder, threads=threads)

        def one(k: int) -> int:
            part = SinglePoints(task.system, task.frames[k : k + 1], task.origins[k : k + 1])
            return len(list(self.labeler.label(part, context)))

        began = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            assert sum(pool.map(one, range(self.n))) == self.n
        return self.n / (time.perf_counter() - began)

    def durable(self, source: SideBySide, threads: int) -> float:
        """Labels a second of a campaign's source: each is in the bank when it is counted."""
        task = self.task()
        began = time.perf_counter()
        context = Context(self.folder, threads=threads)
        assert sum(1 for _ in source.label(task, context)) == self.n
        return self.n / (time.perf_counter() - began)

    def here_durable(self) -> float:
        return self.durable(self._local, 2)

    def pooled(self) -> float:
        return self.durable(self._pooled, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="6 labels, twice")
    parser.add_argument(
        "--slurm",
        metavar="PARTITION",
        help="the pool's workers are jobs there; a Slurm of one's own on this machine: "
        "python -m tests.external.slurm.cluster start FOLDER; export SLURM_CONF=FOLDER/slurm.conf",
    )
    asked = parser.parse_args()
    if asked.quick:
        asked.labels, asked.repeats = 6, 2
    print(f"machine: {machine()}; load average at the start: {os.getloadavg()[0]:.2f}")
    rates = measured(asked.labels, asked.repeats, pool_settings(asked.slurm))
    for name, found in rates.items():
        print(
            f"  {name:22} {np.median(found):7.3f} labels/s  ({min(found):.3f} … {max(found):.3f})"
        )
    rng = np.random.default_rng(1)
    drawn = [
        ratio(rates, "two workers", rng.integers(asked.repeats, size=asked.repeats))
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    every = np.arange(asked.repeats)
    value = ratio(rates, "two workers", every)
    at = {name: float(np.median(found)) for name, found in rates.items()}
    pool = at["pool of two workers"] / at["two workers, durable"]
    print(
        json.dumps(
            {
                "name": "label_throughput",
                "value": round(value, 4),
                "interval": [round(float(low), 4), round(float(high), 4)],
                "goal": GOAL,
                "unit": "labels/s of two workers over the best single worker",
                "pool_over_two_durable_workers": round(pool, 4),
                "pool_over_two_workers": round(at["pool of two workers"] / at["two workers"], 4),
                "pool_goal": POOL_GOAL,
                "pool": f"Slurm, partition {asked.slurm}" if asked.slurm else "this machine",
            }
        )
    )
    return 0 if value >= GOAL and pool >= POOL_GOAL else 1


def ratio(rates: dict[str, list[float]], name: str, chosen: np.ndarray) -> float:
    median = {key: float(np.median(np.array(found)[chosen])) for key, found in rates.items()}
    return median[name] / max(median["one worker, 1 thread"], median["one worker, 2 threads"])


def pool_settings(partition: str | None) -> LabelPool:
    """Two one-core workers, here or in two jobs of a Slurm."""
    if partition is None:
        return LabelPool(provider=LocalProvider(), workers_per_node=2, group_s=5.0)
    jobs = SlurmProvider(
        partition=partition, cores_per_node=1, max_blocks=2, min_blocks=2, status_every_s=1.0
    )
    return LabelPool(provider=jobs, workers_per_node=1, group_s=5.0)


def measured(n: int, repeats: int, config: LabelPool) -> dict[str, list[float]]:
    """Labels a second of every way, one number a repetition."""
    with tempfile.TemporaryDirectory(prefix="throughput-") as scratch:
        folder = Path(scratch)
        pool = ParslPool("label", config, folder / "parsl", "127.0.0.1")
        bench = Bench(folder, pool, n)
        ways: dict[str, Callable[[], float]] = {
            "one worker, 1 thread": lambda: bench.here(1, 1),
            "one worker, 2 threads": lambda: bench.here(1, 2),
            "two workers": lambda: bench.here(2, 1),
            "two workers, durable": bench.here_durable,
            "pool of two workers": bench.pooled,
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        order = np.random.default_rng(1)
        try:
            for way in ways.values():
                way()  # libraries are loaded, workers are up
            for _ in range(repeats):
                for number in order.permutation(len(ways)):
                    name = list(ways)[number]
                    rates[name].append(ways[name]())
        finally:
            bench.close()
            pool.shutdown()
    return rates


if __name__ == "__main__":
    sys.exit(main())

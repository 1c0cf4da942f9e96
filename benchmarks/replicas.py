"""Replicas side by side against one after another: total steps/s of the default model, measured.

    python benchmarks/replicas.py [--campaign runs/q] [--replicas 8] [--repeats 5] [--quick]

Every arrangement (replicas at once x threads each) that `sis doctor --bench` looks at, in turn and
shuffled anew in each repetition, with the engine's own LAMMPS explorer: real processes, cold MD of
the model, steps counted between two instants at which all of them run. Value: total steps/s of the
best arrangement with several at once over the best with one, medians of the repetitions; interval:
bootstrap over repetitions. Without a campaign the default model is trained for a short time first:
its speed does not depend on how good it is. The last line is JSON. Exit code 0: within the goal.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sis_engine.commands.bench import newest_model, options
from sis_engine.execution.cores import available_cores
from sis_engine.execution.replica_packing import Measured, best, has_gpu
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.explorer import LammpsExplorer
from sis_engine.interfaces import Context, MdTask
from sis_engine.records import Arrangement, Condition, Ensemble, Model, Replica, System
from sis_engine.setup.versions import machine

GOAL = 1.5
RESAMPLES = 2000
PACKAGES = ("deepmd-kit", "torch", "lammps")


@contextmanager
def default_model(train_s: float) -> Iterator[tuple[System, Model]]:
    """The trainer's defaults on a few labels of the quickstart's cluster."""
    from model_speed import STRUCTURE, reference, trained

    from sis_engine.records import Dataset, DatasetPart, Split
    from sis_engine.structures import read_structure
    from trainers.deepmd.config import DeepmdConfig
    from trainers.deepmd.trainer import DeepmdTrainer

    frames = reference(60, 2, 1)
    dataset = Dataset((DatasetPart("t", Split.TRAINING, 0, frames),))
    with tempfile.TemporaryDirectory(prefix="replicas-model-") as scratch:
        trainer = DeepmdTrainer(DeepmdConfig(threads=1, device="cuda" if has_gpu() else "cpu"))
        try:
            made = trained("default", trainer, dataset, frames, train_s, Path(scratch))
        finally:
            trainer.close()
        yield System("cluster", read_structure(STRUCTURE)), made.model


@contextmanager
def model_of(campaign: Path | None, train_s: float) -> Iterator[tuple[System, Model]]:
    if campaign is None:
        with default_model(train_s) as found:
            yield found
        return
    with newest_model(campaign) as (parts, model):
        yield parts.systems[0], model


def measured(
    system: System, model: Model, asked: argparse.Namespace
) -> dict[Arrangement, list[float]]:
    """Steps/s of every arrangement, one number a repetition."""
    explorer = LammpsExplorer(LammpsConfig())
    replica = Replica("r", system, system.frame, Condition("md", Ensemble.NVT, 300.0, 0.5, 1.0), 1)
    task = MdTask(model, (replica,))
    ways = options(asked.replicas, available_cores())
    rates: dict[Arrangement, list[float]] = {way: [] for way in ways}
    rng = np.random.default_rng(1)
    for _ in range(asked.repeats):
        for index in rng.permutation(len(ways)):
            with tempfile.TemporaryDirectory(prefix="replicas-") as scratch:
                context = Context(Path(scratch), threads=available_cores())
                speed = explorer.steps_per_s(task, ways[index], context)
            rates[ways[index]].append(speed)
            print(f"  {Measured(ways[index], speed).told()}", flush=True)
    return rates


def ratio(rates: dict[Arrangement, np.ndarray], drawn: np.ndarray) -> float:
    """The best with several at once over the best with one."""
    median = {way: float(np.median(found[drawn])) for way, found in rates.items()}
    several = max(rate for way, rate in median.items() if way.workers > 1)
    return several / max(rate for way, rate in median.items() if way.workers == 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--campaign", type=Path, help="time the newest model of this campaign")
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a model of 2 s, twice")
    asked = parser.parse_args()
    if asked.quick:
        asked.repeats = 2
    print(f"machine: {machine()}; load average at the start: {os.getloadavg()[0]:.2f}")
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES), flush=True)
    with model_of(asked.campaign, 2.0 if asked.quick else 30.0) as (system, model):
        rates = {way: np.array(found) for way, found in measured(system, model, asked).items()}
    for way, found in rates.items():
        print(
            f"{Measured(way, float(np.median(found))).told()}: {min(found):.0f} … {max(found):.0f}"
        )
    chosen = best(
        [Measured(way, float(np.median(found))) for way, found in rates.items()], asked.replicas
    )
    print(f"the rule takes {chosen.told()}")
    every = np.arange(asked.repeats)
    rng = np.random.default_rng(2)
    draws = [
        ratio(rates, rng.integers(asked.repeats, size=asked.repeats)) for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    value = ratio(rates, every)
    print(
        json.dumps(
            {
                "name": "replicas",
                "value": round(value, 3),
                "interval": [round(float(low), 3), round(float(high), 3)],
                "goal": GOAL,
                "unit": "total steps/s of replicas side by side over one after another",
                "replicas": asked.replicas,
                "at_once": chosen.arrangement.workers,
                "threads_each": chosen.arrangement.threads,
                "gpu": has_gpu(),
            }
        )
    )
    return 0 if value >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())

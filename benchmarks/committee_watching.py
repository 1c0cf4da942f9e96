"""What a committee that watches costs: MD by one model, watched by four, against that model alone.

    python benchmarks/committee_watching.py [--quick] [--members 4] [--every 10] [--pairs 8]

Models of the default kind that differ in seed are trained for 20 steps on noise: they are as fast
as good ones, and differ. Both sides run the same driver, start, seed, number of steps and trace
through the LAMMPS explorer, in pairs of alternating order; the rate is LAMMPS's own loop time.
Before anything is timed it is checked that every look is there and that the members disagree.
``--quick``: two pairs of short runs by copies of one model, for a test of the script. The last
line is JSON: the geometric mean of alone/watched over pairs (how many times as long the watched MD
takes), its one-sided 95 % limits, and the goal for the upper one. Exit code 0: within the goal; 1:
not (never in a quick run).
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from noise_model import (
    Rates,
    add_model_options,
    frame_from,
    model_in,
    print_surroundings,
    rate_in,
    replica_of,
    trained_on_noise,
)
from scipy import stats

from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.explorer import LammpsExplorer
from sis_engine.interfaces import Context, MdTask
from sis_engine.records import Exit, Exploration, Frame, Model, Quantity, Replica, Sampling

GOAL = 1.4


@dataclass(frozen=True)
class Bench:
    """One replica to run, by the first of the models alone or watched by all."""

    replica: Replica
    models: tuple[Model, ...]
    sampling: Sampling
    workdir: Path

    def run(self, name: str, *, watched: bool) -> tuple[Rates, Exploration]:
        folder = self.workdir / name
        folder.mkdir()
        (found,) = LammpsExplorer(LammpsConfig()).explore(
            MdTask(
                self.models[0],
                (self.replica,),
                (),
                self.sampling,
                self.models[1:] if watched else (),
            ),
            Context(folder),
        )
        if found.exit is not Exit.COMPLETED:
            raise SystemExit(f"the benchmark's MD ended early: {found.message}")
        (log,) = folder.rglob("log.lammps")
        return rate_in(log), found

    def pair(self, number: int) -> tuple[Rates, Rates]:
        """(watched, alone); odd pairs begin with the model alone."""
        rates = {}
        for watched in (False, True) if number % 2 else (True, False):
            rates[watched], _ = self.run(f"pair-{number}-{watched}", watched=watched)
        return rates[True], rates[False]


def main() -> int:
    given = arguments()
    frame = frame_from(given.structure)
    with tempfile.TemporaryDirectory(prefix="committee-watching-") as scratch:
        workdir = Path(scratch)
        models = models_of(given, frame, workdir)
        sampling = replace(
            Sampling(), deviation_every_steps=given.every, trace_every_steps=given.every
        )
        bench = Bench(replica_of(frame, given), models, sampling, workdir)
        print_surroundings(models[0], frame, (), given)
        check_looks(bench, given)
        pairs = []
        for k in range(given.pairs):
            watched, alone = bench.pair(k)
            pairs.append((watched, alone))
            print(
                f"pair {k + 1}: watched {watched.wall:.1f}, alone {alone.wall:.1f} steps/s, "
                f"{alone.wall / watched.wall:.3f} times as long",
                flush=True,
            )
    rates = np.array(pairs)[:, :, 1 if given.clock == "processor" else 0]
    return report(rates, given)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short test of the script")
    parser.add_argument("--members", type=int, default=4, help="models, the driver included")
    parser.add_argument("--every", type=int, default=10, help="MD steps between two looks")
    add_model_options(parser)
    parser.add_argument("--steps", type=int, default=2000, help="MD steps a run")
    parser.add_argument("--pairs", type=int, default=8, help="interleaved pairs")
    parser.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="what the ratio is of; processor time bears other jobs on the machine",
    )
    parsed = parser.parse_args()
    if parsed.quick:
        parsed.pairs, parsed.steps = 2, 100
    if parsed.pairs < 2 or parsed.members < 2:
        parser.error("at least two pairs and two members")
    return parsed


def models_of(given: argparse.Namespace, frame: Frame, workdir: Path) -> tuple[Model, ...]:
    """So many model files; in a quick run copies of the first."""
    first = trained_on_noise(frame, given, workdir, seed=1)
    paths = [first]
    for seed in range(2, given.members + 1):
        if given.quick:
            paths.append(Path(shutil.copy(first, workdir / f"copy-{seed}.pth")))
        else:
            paths.append(trained_on_noise(frame, given, workdir, seed=seed))
    return tuple(model_in(path, given) for path in paths)


def check_looks(bench: Bench, given: argparse.Namespace) -> None:
    """Nothing is timed that does not do its work; this warms the file cache too."""
    _, found = bench.run("first-look", watched=True)
    looks = found.trace.series(Quantity.MODEL_DEVIATION)
    wanted = given.steps // given.every + 1
    if looks is None or len(looks) < wanted:
        raise SystemExit(f"{0 if looks is None else len(looks)} looks are in the trace of {wanted}")
    if not given.quick and not (looks > 0.0).all():
        raise SystemExit("the members agree bit by bit: they are the same model")
    print(f"{len(looks)} looks, largest deviation {looks.max():.3g} eV/Å", flush=True)
    bench.run("first-alone", watched=False)


def report(rates: np.ndarray, given: argparse.Namespace) -> int:
    """rates: (pairs, 2), steps/s watched and alone."""
    logs = np.log(rates[:, 1] / rates[:, 0])
    mean, error = logs.mean(), logs.std(ddof=1) / math.sqrt(len(logs))
    reach = stats.t.ppf(0.95, len(logs) - 1) * error
    low, high = math.exp(mean - reach), math.exp(mean + reach)
    print(f"upper 95 % limit {high:.3f}, goal {GOAL}: {'reached' if high <= GOAL else 'missed'}")
    print(
        json.dumps(
            {
                "name": "committee_watching",
                "value": round(math.exp(mean), 4),
                "interval": [round(low, 4), round(high, 4)],
                "goal": GOAL,
                "unit": f"times as long as one model's MD, {given.members} members, every "
                f"{given.every} steps, {given.clock} time",
            }
        )
    )
    return 0 if given.quick or high <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())

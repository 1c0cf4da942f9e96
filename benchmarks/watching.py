"""What watching costs: MD with the default rules and ring against plain ``lmp``.

    python benchmarks/watching.py [--model model.pth --elements Li,F,S,O,N,C,H] [--pairs 600]

Without ``--model`` a DeePMD model of the default kind is trained for 20 steps on noise: it is as
fast as a good one. Two processes that run the same MD differ by some 10 % on this kind of machine
(where their memory lies), so that both sides run in one: the engine's own script, in which rules,
ring, frames and trace are taken away for one block of steps (the thermo of plain MD instead) and
put back for the next, in alternating order. Blocks are short: what else the machine does then meets
both of a pair. The rate is LAMMPS's own loop time. The last line is JSON: watched/plain (the
Hodges-Lehmann estimate over pairs of blocks, on the logarithm), its one-sided 95 % limits, and the
goal for the lower. Exit code 0: reached; 1: missed.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from noise_model import (
    add_model_options,
    frame_from,
    model_in,
    print_surroundings,
    replica_of,
    trained_on_noise,
)
from scipy import stats

from sis_engine.execution.program import ProgramRun, find_program, run_program
from sis_engine.explorers.lammps.cell import box_of
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.input import DYNAMICS, PIPE, RING, data_text, script
from sis_engine.explorers.lammps.launch import Launch
from sis_engine.explorers.lammps.snapshots import Ring
from sis_engine.interfaces import MdTask, MonitorContext
from sis_engine.plugins import Kind, available, configure
from sis_engine.records import Frame, HaltRule, Model, PairDistance, Replica, Sampling, Support

GOAL = 0.98
MONITORS = ("temperature", "energy", "heat", "conserved", "blow_up", "geometry")
NEVER = 10**9


def main() -> int:
    given = arguments()
    frame = frame_from(given.structure)
    with tempfile.TemporaryDirectory(prefix="watching-") as scratch:
        workdir = Path(scratch)
        path = given.model.absolute() if given.model else trained_on_noise(frame, given, workdir)
        model = model_in(path, given)
        replica = replica_of(frame, given)
        rules = default_rules(replica, model)
        print_surroundings(model, frame, rules, given)
        seconds = blocks(replica, rules, model, given, workdir)
    return report(seconds, given.steps)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a DeePMD model file (default: train one)")
    add_model_options(parser)
    parser.add_argument("--steps", type=int, default=40, help="MD steps a block")
    parser.add_argument("--pairs", type=int, default=600, help="pairs of blocks, at least 50")
    parsed = parser.parse_args()
    if parsed.pairs < 50:
        parser.error("at least 50 pairs")
    return parsed


def default_rules(replica: Replica, model: Model) -> tuple[HaltRule, ...]:
    """The rules of all default monitors, with limits that a model of noise does not break.

    Only limits on energies, heat and temperature are moved: they cost the same. Distances keep
    theirs, because the histogram is as long as the largest of them.
    """
    support = support_of(replica.start)
    context = MonitorContext(
        replica.system,
        replica.condition,
        support,
        0,
        model.elements,
        model.sel,
        model.cutoff_angstrom,
    )
    rules: list[HaltRule] = []
    for name in MONITORS:
        if name not in available(Kind.MONITOR):
            raise SystemExit(f"the monitor {name} is not installed: pip install -e .")
        monitor = configure(Kind.MONITOR, {"type": name}, key=name)
        rules += monitor.halt_rules(context)
    return tuple(relaxed(rule) for rule in rules)


def relaxed(rule: HaltRule) -> HaltRule:
    if rule.quantity.value in ("shortest_distance", "neighbours"):
        return rule
    return replace(rule, limit=math.copysign(1e9, 1 if rule.relation.value == "above" else -1))


def support_of(frame: Frame) -> Support:
    """As if the structure, its distances 10 % shorter, were what the labels cover."""
    distances = np.linalg.norm(frame.positions[:, None] - frame.positions[None], axis=2)
    distances[np.diag_indices(frame.n_atoms)] = np.inf
    species = np.array(frame.species)
    found = [
        PairDistance((a, b), float(0.9 * distances[species == a][:, species == b].min()))
        for a in sorted(set(frame.species))
        for b in sorted(set(frame.species))
        if a <= b and (a != b or np.sum(species == a) > 1)
    ]
    return Support("bench", 1000, -1.0, 1.0, 0.0, 0.5, 10.0, tuple(found))


def blocks(
    replica: Replica,
    rules: tuple[HaltRule, ...],
    model: Model,
    given: argparse.Namespace,
    workdir: Path,
) -> np.ndarray:
    """Loop seconds of (watched, plain) blocks, (pairs, 2), from one run."""
    launch = Launch(find_program("lmp"), LammpsConfig())
    sampling, box = Sampling(), box_of(replica.start)
    task = MdTask(model, (replica,), rules, sampling)
    text, _ = script(replica, task, launch.config)
    data = data_text(replica.start, box, model, replica.velocities, skewed=box.is_skewed)
    (workdir / "start.data").write_text(data)
    (workdir / "in.lammps").write_text("\n".join(alternating(text, sampling, given)) + "\n")
    with Ring(workdir / PIPE, workdir / RING, sampling.ring_size) as ring:
        run_program(
            ProgramRun(
                (
                    *launch.command(model),
                    "-in",
                    "in.lammps",
                    "-log",
                    "log.lammps",
                    "-screen",
                    "none",
                ),
                workdir,
                environment=launch.environment(model, 1),
            )
        )
    del ring
    return seconds_in((workdir / "log.lammps").read_text(), given)


def alternating(text: str, sampling: Sampling, given: argparse.Namespace) -> Iterator[str]:
    """The engine's script, its one run cut into blocks; a warm block of each kind comes first."""
    lines = text.splitlines()
    begin = lines.index(f'print "{DYNAMICS}"')
    head = lines[:begin]
    first_dynamic = next(
        k for k, line in enumerate(head) if line.startswith("variable sis_drift e")
    )
    watching = [line for line in head[first_dynamic + 1 :] if not line.startswith("dump")]
    sparse = next(line for line in head if line.startswith("dump sis_sparse")).split()[4]
    ring = str(sampling.ring_every_steps)
    on = [
        *watching,
        *(f"dump_modify {d} every {n}" for d, n in (("sis_ring", ring), ("sis_sparse", sparse))),
    ]
    fixes = [line.split()[1] for line in watching if line.startswith("fix ")]
    off = [
        *(f"unfix {name}" for name in fixes),
        *(f"dump_modify {name} every {NEVER}" for name in ("sis_ring", "sis_sparse")),
        "thermo_style custom step temp pe ke ecouple econserve",
        "thermo_modify temp sis_temp format float %.15g flush yes",
    ]
    yield from head
    is_on = True
    for k in range(-1, given.pairs):
        for watched in (True, False) if k % 2 else (False, True):
            if watched != is_on:
                yield from on if watched else off
                is_on = watched
            yield f'print "BLOCK {k} {int(watched)}"'
            yield f"run {given.steps}"


def seconds_in(log: str, given: argparse.Namespace) -> np.ndarray:
    """Loop seconds of every block but the warm ones."""
    found = re.findall(
        r"^BLOCK (-?\d+) ([01])$.*?^Loop time of (\S+) on \d+ procs for (\d+) steps",
        log,
        re.MULTILINE | re.DOTALL,
    )
    seconds = np.full((given.pairs, 2), np.nan)
    for pair, watched, spent, steps in found:
        if int(steps) != given.steps:
            raise SystemExit(f"block {pair} ended after {steps} of {given.steps} steps")
        if int(pair) >= 0:
            seconds[int(pair), 1 - int(watched)] = float(spent)
    if np.isnan(seconds).any():
        raise SystemExit("blocks are missing in the log")
    return seconds


def report(seconds: np.ndarray, steps: int) -> int:
    logs = np.log(seconds[:, 1] / seconds[:, 0])
    value, low, high = (math.exp(x) for x in hodges_lehmann(logs))
    for name, spent in zip(("watched", "plain"), seconds.T, strict=True):
        rates = steps / spent
        print(
            f"{name}: {np.median(rates):.1f} steps/s, from {rates.min():.1f} to {rates.max():.1f}"
        )
    print(f"{len(logs)} pairs, which scatter by {logs.std(ddof=1):.1%}")
    verdict = "reached" if low >= GOAL else "missed"
    print(f"lower 95 % limit {low:.4f}, goal {GOAL}: {verdict}")
    print(
        json.dumps(
            {
                "name": "watching",
                "value": round(value, 5),
                "interval": [round(low, 5), round(high, 5)],
                "goal": GOAL,
                "unit": "steps/s watched over steps/s plain, wall time",
            }
        )
    )
    return 0 if low >= GOAL else 1


def hodges_lehmann(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float, float]:
    """Centre of a symmetric distribution and its one-sided limits, each of this confidence.

    The median of all Walsh averages and the limits that the signed-rank test gives: a few blocks
    in which the machine did something else move them little (Hollander, Wolfe, Chicken,
    Nonparametric Statistical Methods, 3rd ed., 3.2 and 3.3; normal approximation).
    """
    n = len(values)
    first, second = np.triu_indices(n)
    walsh = np.sort((values[first] + values[second]) / 2.0)
    deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24.0)
    rank = round(n * (n + 1) / 4.0 - stats.norm.ppf(confidence) * deviation)
    return float(np.median(walsh)), float(walsh[rank]), float(walsh[-rank - 1])


if __name__ == "__main__":
    sys.exit(main())

"""What watching costs: MD with the default rules and ring against plain ``lmp``.

    python benchmarks/watching.py [--model model.pth --elements Li,F,S,O,N,C,H] [--pairs 8]

Without ``--model`` a DeePMD model of the default kind is trained for 20 steps on noise: it is as
fast as a good one. Both sides run the same model, integrator, thermo interval and number of steps
in pairs of alternating order; the rate is LAMMPS's own loop time. The last line is JSON: the
geometric mean of watched/plain over pairs, its one-sided 95 % limits, and the goal for the lower.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.io import read
from scipy import stats

from sis_engine.execution.program import ProgramRun, find_program, run_program
from sis_engine.explorers.lammps.cell import box_of
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.explorer import LammpsExplorer, report_version
from sis_engine.explorers.lammps.input import data_text, setup_lines
from sis_engine.explorers.lammps.integrator import integrator_lines, velocity_lines
from sis_engine.interfaces import Context, MonitorContext
from sis_engine.plugins import Kind, available, configure
from sis_engine.records import (
    Condition,
    Ensemble,
    Exit,
    Frame,
    HaltRule,
    LammpsPair,
    Model,
    ModelFile,
    ModelForm,
    PairDistance,
    Replica,
    Sampling,
    Support,
    System,
)

GOAL = 0.98


class Rates(NamedTuple):
    """MD steps per second of wall time, and of processor time (for a busy machine)."""

    wall: float
    processor: float


MONITORS = ("temperature", "energy", "heat", "conserved", "blow_up", "geometry")
ELEMENTS = ("Li", "F", "S", "O", "N", "C", "H")


def main() -> int:
    given = arguments()
    frame = frame_from(given.structure)
    with tempfile.TemporaryDirectory(prefix="watching-") as scratch:
        workdir = Path(scratch)
        model = model_of(given, frame, workdir)
        replica = replica_of(frame, given)
        rules = default_rules(replica, model)
        print_surroundings(model, frame, rules, given)
        run_watched(replica, rules, model, workdir)  # warm the file cache, check nothing fires
        pairs = []
        for k in range(given.pairs):
            pairs.append(one_pair(k, replica, rules, model, workdir))
            watched, plain = pairs[-1]
            print(
                f"pair {k + 1}: watched {watched.wall:.1f}, plain {plain.wall:.1f} steps/s, "
                f"ratio {watched.wall / plain.wall:.4f} "
                f"(of processor time {watched.processor / plain.processor:.4f})",
                flush=True,
            )
    report(np.array(pairs)[:, :, 1 if given.clock == "processor" else 0], given.clock)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a DeePMD model file (default: train one)")
    parser.add_argument("--elements", default=",".join(ELEMENTS), help="its type map")
    parser.add_argument("--cutoff", type=float, default=6.0, help="its cutoff, Å")
    parser.add_argument("--sel", type=int, default=40, help="its neighbour limit")
    parser.add_argument("--structure", type=Path, help="structure file (default: 32 atoms made up)")
    parser.add_argument("--steps", type=int, default=2000, help="MD steps a run")
    parser.add_argument("--pairs", type=int, default=8, help="interleaved pairs, at least 8")
    parser.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="what the ratio is of; processor time bears other jobs on the machine",
    )
    parsed = parser.parse_args()
    if parsed.pairs < 8:
        parser.error("at least 8 pairs")
    return parsed


def frame_from(path: Path | None) -> Frame:
    """The structure given, or 32 atoms of the quickstart's elements 1.9 Å apart."""
    if path is not None:
        atoms = read(path)
    else:
        grid = np.array([(i, j, k) for i in range(4) for j in range(4) for k in range(2)])
        symbols = ["Li", "N", *["F"] * 2, *["S"] * 2, *["O"] * 8, *["C"] * 6, *["H"] * 12]
        atoms = Atoms(symbols, 1.9 * grid)
    cell = atoms.cell[:] if any(atoms.pbc) else None
    return Frame(tuple(atoms.get_chemical_symbols()), atoms.positions, cell, tuple(atoms.pbc))


def replica_of(frame: Frame, given: argparse.Namespace) -> Replica:
    """Short timesteps and no minimisation: the steps cost the same, and nothing can fire."""
    timestep_fs = 0.05
    condition = Condition(
        "bench",
        Ensemble.NVT,
        300.0,
        timestep_fs,
        given.steps * timestep_fs / 1000.0,
        minimise=False,
        velocity_factor=1.0,
    )
    return Replica("watched", System("bench", frame), frame, condition, seed=1)


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
    from dataclasses import replace

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


def one_pair(
    k: int, replica: Replica, rules: tuple[HaltRule, ...], model: Model, workdir: Path
) -> tuple[Rates, Rates]:
    """(watched, plain); odd pairs begin with plain."""
    if k % 2:
        plain = run_plain(replica, model, workdir / f"plain{k}")
        return run_watched(replica, rules, model, workdir), plain
    watched = run_watched(replica, rules, model, workdir)
    return watched, run_plain(replica, model, workdir / f"plain{k}")


def run_watched(
    replica: Replica, rules: tuple[HaltRule, ...], model: Model, workdir: Path
) -> Rates:
    explorer = LammpsExplorer(LammpsConfig())
    (result,) = explorer.explore(model, [replica], rules, Sampling(), Context(workdir))
    if result.exit is not Exit.COMPLETED:
        raise SystemExit(f"the benchmark's MD ended early: {result.message}")
    newest = max(workdir.glob("watched*/log.lammps"), key=lambda path: path.stat().st_mtime)
    return rate_in(newest)


def run_plain(replica: Replica, model: Model, directory: Path) -> Rates:
    """The same MD as anybody would write it: no rules, no frames, the same thermo."""
    directory.mkdir()
    explorer, box = LammpsExplorer(LammpsConfig()), box_of(replica.start)
    n_steps = round(replica.condition.duration_ps * 1000.0 / replica.condition.timestep_fs)
    lines = [
        *setup_lines(replica.start, model, explorer.config, "start.data"),
        f"timestep {replica.condition.timestep_fs / 1000.0!r}",
        "group sis_mobile union all",
        "compute sis_temp sis_mobile temp",
        *velocity_lines(replica),
        *integrator_lines(replica, explorer.config, box),
        f"thermo {Sampling().trace_every_steps}",
        "thermo_style custom step temp pe ke ecouple econserve",
        "thermo_modify temp sis_temp format float %.15g flush yes",
        # The watched run evaluates its start before the timed loop. So must this one: torch
        # compiles in its first evaluations, and would do so inside this loop only.
        "run 0 post no",
        f"run {n_steps}",
    ]
    (directory / "in.lammps").write_text("\n".join(lines) + "\n")
    (directory / "start.data").write_text(
        data_text(replica.start, box, model, None, skewed=box.is_skewed)
    )
    program = str(find_program("lmp"))
    run_program(
        ProgramRun(
            (program, "-in", "in.lammps", "-log", "log.lammps", "-screen", "none"),
            directory,
            environment=explorer.environment(model),
        )
    )
    return rate_in(directory / "log.lammps")


def rate_in(log: Path) -> Rates:
    """Steps/s of the longest loop in a log (the first one is ``run 0``)."""
    loops = re.findall(
        r"Loop time of (\S+) on \d+ procs for (\d+) steps(?:(?!Loop time).)*?(\S+)% CPU use",
        log.read_text(),
        re.DOTALL,
    )
    seconds, steps, use = max(loops, key=lambda loop: int(loop[1]))
    wall = int(steps) / float(seconds)
    return Rates(wall, wall / (float(use) / 100.0))


def model_of(given: argparse.Namespace, frame: Frame, workdir: Path) -> Model:
    path = given.model.absolute() if given.model else trained_on_noise(frame, given, workdir)
    return model_in(path, given)


def model_in(path: Path, given: argparse.Namespace) -> Model:
    """A compressed model file with what LAMMPS has to know of it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Model(
        id=path.name,
        trainer="deepmd",
        elements=tuple(given.elements.split(",")),
        files=(ModelFile(ModelForm.COMPRESSED, path, digest),),
        deployed=ModelForm.COMPRESSED,
        lammps=LammpsPair("deepmd {file}"),
        cutoff_angstrom=given.cutoff,
        sel=(given.sel,),
    )


def trained_on_noise(frame: Frame, given: argparse.Namespace, workdir: Path, seed: int = 1) -> Path:
    """A compressed dpa1 model without attention, as the quickstart trains."""
    directory = workdir / f"model-{seed}"
    data = directory / "data" / "set.000"
    data.mkdir(parents=True)
    elements = given.elements.split(",")
    rng = np.random.default_rng(0)
    n_frames, n_atoms = 8, frame.n_atoms
    noise = rng.normal(0, 0.05, (n_frames, n_atoms, 3))
    np.save(data / "coord.npy", (frame.positions + noise).reshape(n_frames, -1))
    np.save(data / "force.npy", rng.normal(0, 1.0, (n_frames, n_atoms * 3)))
    np.save(data / "energy.npy", rng.normal(0, 1.0, n_frames))
    np.save(data / "box.npy", np.tile((np.eye(3) * 100.0).ravel(), (n_frames, 1)))
    types = [str(elements.index(s)) for s in frame.species]
    (directory / "data" / "type.raw").write_text("\n".join(types) + "\n")
    (directory / "data" / "type_map.raw").write_text("\n".join(elements) + "\n")
    (directory / "data" / "nopbc").touch()
    (directory / "input.json").write_text(json.dumps(training_input(elements, given, seed)))
    dp = (str(find_program("dp")), "--pt")
    for command in (
        ("train", "input.json", "--skip-neighbor-stat"),
        ("freeze", "-o", "frozen.pth"),
        ("compress", "-i", "frozen.pth", "-o", "model.pth"),
    ):
        run_program(
            ProgramRun(
                (*dp, *command),
                directory,
                stdout=f"{command[0]}.out",
                environment=(("OMP_NUM_THREADS", "1"),),
            )
        )
    return directory / "model.pth"


def training_input(elements: list[str], given: argparse.Namespace, seed: int) -> dict[str, object]:
    descriptor = {
        "type": "dpa1",
        "sel": given.sel,
        "rcut": given.cutoff,
        "rcut_smth": 0.5,
        "neuron": [16, 32, 64],
        "axis_neuron": 8,
        "tebd_dim": 8,
        "attn_layer": 0,
        "tebd_input_mode": "strip",
        "set_davg_zero": True,
        "type_one_side": True,
        "seed": seed,
        "activation_function": "tanh",
        "resnet_dt": False,
    }
    return {
        "model": {
            "type_map": elements,
            "descriptor": descriptor,
            "fitting_net": {"neuron": [64, 64, 64], "resnet_dt": True, "seed": seed},
        },
        "learning_rate": {"type": "exp", "start_lr": 1e-3, "stop_lr": 1e-5, "decay_steps": 10},
        "loss": {
            "type": "ener",
            "start_pref_e": 0.02,
            "limit_pref_e": 1,
            "start_pref_f": 1000,
            "limit_pref_f": 1,
            "start_pref_v": 0,
            "limit_pref_v": 0,
        },
        "training": {
            "training_data": {"systems": ["data"], "batch_size": 4},
            "numb_steps": 20,
            "seed": 1,
            "disp_file": "lcurve.out",
            "disp_freq": 10,
            "save_freq": 20,
        },
    }


def print_surroundings(
    model: Model, frame: Frame, rules: tuple[HaltRule, ...], given: argparse.Namespace
) -> None:
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.split(":", 1)[1].strip()
            break
    load = os.getloadavg()[0]
    print(f"machine: {processor}, {os.cpu_count()} cores, load {load:.1f}, {platform.platform()}")
    lammps = report_version(find_program("lmp")).version
    deepmd = subprocess.run(
        (sys.executable, "-c", "import importlib.metadata as m; print(m.version('deepmd-kit'))"),
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    print(f"versions: LAMMPS {lammps}, DeePMD-kit {deepmd}, Python {platform.python_version()}")
    print(f"model: {model.id}, {frame.n_atoms} atoms, {given.steps} steps a run, one thread")
    kinds = sorted({rule.quantity.value for rule in rules})
    print(
        f"rules: {len(rules)} ({', '.join(kinds)}); ring of {Sampling().ring_size} frames "
        f"every {Sampling().ring_every_steps} steps",
        flush=True,
    )


def report(pairs: np.ndarray, clock: str) -> None:
    logs = np.log(pairs[:, 0] / pairs[:, 1])
    mean, error = logs.mean(), logs.std(ddof=1) / math.sqrt(len(logs))
    reach = stats.t.ppf(0.95, len(logs) - 1) * error
    low, high = math.exp(mean - reach), math.exp(mean + reach)
    for name, rates in (("watched", pairs[:, 0]), ("plain", pairs[:, 1])):
        print(f"{name}: {rates.mean():.1f} steps/s, from {rates.min():.1f} to {rates.max():.1f}")
    verdict = "reached" if low >= GOAL else "missed"
    print(f"lower 95 % limit {low:.4f}, goal {GOAL}: {verdict}")
    print(
        json.dumps(
            {
                "name": "watching",
                "value": round(math.exp(mean), 5),
                "interval": [round(low, 5), round(high, 5)],
                "goal": GOAL,
                "unit": f"steps/s watched over steps/s plain, {clock} time",
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())

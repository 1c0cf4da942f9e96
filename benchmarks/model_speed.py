"""The default DeePMD model against its example se_e2_a and a compressed one-sided se_e2_a.

    python benchmarks/model_speed.py [--quick] [--train-s 120] [--pairs 8]

Labels: GFN2-xTB on reference MD of LiFSI + 1,3-dioxolane at 300 K; the test trajectory has its own
seed. All models train for the same time on one thread, then run the same MD in LAMMPS on one
thread, in turns. The example's nets are large: a one-sided se_e2_a with the default's own sizes,
optimiser and precision is shown beside them, without a goal. The last line is JSON: name, value,
interval, goal, unit; the value is the smaller of the two ratios over their goals, so 1 is the goal.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase.io import read

from labelers.xtb.config import XtbConfig
from labelers.xtb.labeler import XtbLabeler
from sis_engine.analysis.metrics import errors_of
from sis_engine.execution.program import ProgramRun, find_program, run_program
from sis_engine.interfaces import Context, Segment
from sis_engine.records import (
    Dataset,
    DatasetPart,
    Errors,
    Frame,
    FrameSet,
    Labelled,
    Model,
    Origin,
    Purpose,
    SegmentSpec,
    Split,
    Start,
    System,
    TrainingSchedule,
)
from sis_engine.reference_md import ReferenceMD
from sis_engine.storage.splits import frame_set
from trainers.deepmd.config import DeepmdConfig
from trainers.deepmd.trainer import DeepmdTrainer

STRUCTURE = Path(__file__).parents[1] / "configs" / "structures" / "lifsi-dol-cluster.xyz"
EXAMPLE: dict[str, Any] = {
    "descriptor": {
        "type": "se_e2_a",
        "neuron": (25, 50, 100),
        "axis_neuron": 16,
        "type_one_side": False,
    },
    "fitting": {"neuron": (240, 240, 240)},
    "cutoff_angstrom": 6.0,
    "cutoff_smooth_angstrom": 0.5,
    "compress": False,
    "optimizer": {"type": "adam"},
    "activation": "tanh",
    "precision": "float64",
}
"""DeePMD-kit's examples/water/se_e2_a; ``sel`` is counted in these data."""

ONE_SIDED = {
    **EXAMPLE,
    "descriptor": {**EXAMPLE["descriptor"], "type_one_side": True},
    "compress": True,
}
SAME_SIZE = {
    "descriptor": {"type": "se_e2_a", "neuron": (8, 16, 32), "axis_neuron": 4},
    "cutoff_angstrom": 6.0,
}
MODELS: dict[str, dict[str, Any]] = {
    "default": {},
    "example se_e2_a": EXAMPLE,
    "one-sided se_e2_a, compressed": ONE_SIDED,
    "one-sided se_e2_a, compressed, of the default's size": SAME_SIZE,
}
GOALS = {"example se_e2_a": 5.0, "one-sided se_e2_a, compressed": 1.5}
PROBE_STEPS = 10


@dataclass(frozen=True)
class Trained:
    """A model, its error on the test trajectory, and how long it was trained."""

    model: Model
    errors: Errors
    steps: int
    seconds: float


def reference(n_steps: int, stride: int, seed: int) -> FrameSet:
    """Every ``stride``-th frame of reference MD at 300 K, the first tenth left out."""
    atoms = read(STRUCTURE)
    species = tuple(atoms.get_chemical_symbols())
    system = System("cluster", Frame(species, atoms.get_positions()))
    spec = SegmentSpec(n_steps, 0.5, 300.0, damping_fs=50.0, thermostat="langevin", seed=seed)
    origin = Origin(Purpose.INITIAL, 0, system.name, f"seed-{seed}", 0)
    labeler = ReferenceMD(XtbLabeler.from_config(XtbConfig()))
    task = Segment(system, Start(system.frame), spec, origin)
    results = list(labeler.label(task, Context(Path())))
    kept = [item for item in results if isinstance(item, Labelled)][n_steps // 10 :: stride]
    return frame_set(kept, system)


def trained(
    name: str, trainer: DeepmdTrainer, dataset: Dataset, test: FrameSet, train_s: float, work: Path
) -> Trained:
    """Train for ``train_s`` seconds of training proper: the time of a step is measured first."""
    base = TrainingSchedule(PROBE_STEPS, 1e-3, 1e-5, (0.02, 1.0), (1000.0, 1.0), seed=1)
    folder = work / name.replace(" ", "_").replace("'", "")
    folder.mkdir()
    context = Context(folder, threads=1)
    times = []
    for steps in (1, PROBE_STEPS, 3 * PROBE_STEPS):  # the first pays for what is done once
        trainer.train(dataset, None, replace(base, steps=steps), context)
        times.append(_training_seconds(trainer))
    step_s = max(1e-4, (times[2] - times[1]) / (2 * PROBE_STEPS))
    steps = max(PROBE_STEPS, round((train_s - times[1]) / step_s))
    result = trainer.train(dataset, None, replace(base, steps=steps), context)
    said = trainer.predict(result.model, result.model.deployed, test, context)
    return Trained(result.model, errors_of(said, test), steps, _training_seconds(trainer))


def _training_seconds(trainer: DeepmdTrainer) -> float:
    return sum(seconds for name, seconds in trainer.timings if name.startswith("train"))


def write_lammps(folder: Path, model: Model, n_steps: int) -> None:
    """The same NVT run for every model, from the same start, with the same velocities."""
    atoms = read(STRUCTURE)
    low, high = atoms.positions.min(axis=0) - 20.0, atoms.positions.max(axis=0) + 20.0
    masses = dict(zip(atoms.get_chemical_symbols(), atoms.get_masses(), strict=True))
    lines = ["benchmark", "", f"{len(atoms)} atoms", f"{len(model.elements)} atom types", ""]
    lines += [f"{low[i]} {high[i]} {n}lo {n}hi" for i, n in enumerate("xyz")]
    lines += ["", "Masses", ""]
    lines += [f"{i} {masses[symbol]}" for i, symbol in enumerate(model.elements, 1)]
    lines += ["", "Atoms # atomic", ""]
    for number, (symbol, at) in enumerate(
        zip(atoms.get_chemical_symbols(), atoms.positions, strict=True), 1
    ):
        kind = model.elements.index(symbol) + 1
        lines.append(f"{number} {kind} {at[0]} {at[1]} {at[2]}")
    (folder / "start.data").write_text("\n".join(lines) + "\n")
    (folder / "in.lammps").write_text(
        f"""units metal
atom_style atomic
atom_modify map yes
boundary f f f
read_data start.data
pair_style deepmd {model.deployed_file.path.resolve()}
pair_coeff * * {" ".join(model.elements)}
neighbor 1.0 bin
timestep 0.0005
velocity all create 300.0 11
fix md all nvt temp 300.0 300.0 0.05
thermo 1000
run {max(10, n_steps // 10)}
run {n_steps}
"""
    )


def steps_per_second(model: Model, n_steps: int, folder: Path) -> float:
    """Speed of the second ``run`` of a plain LAMMPS, by its own clock."""
    folder.mkdir(parents=True)
    write_lammps(folder, model, n_steps)
    threads = (("OMP_NUM_THREADS", "1"), ("DP_INTRA_OP_PARALLELISM_THREADS", "1"))
    lmp = str(find_program("lmp"))
    run_program(
        ProgramRun(
            arguments=(lmp, "-in", "in.lammps", "-log", "log.lammps"),
            directory=folder,
            environment=(*threads, ("DP_INTER_OP_PARALLELISM_THREADS", "1")),
            wall_timeout_s=600.0,
        )
    )
    loops = re.findall(
        r"Loop time of (\S+) on .* for (\d+) steps", (folder / "log.lammps").read_text()
    )
    return float(loops[-1][1]) / float(loops[-1][0])


def interval(ratios: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the median ratio."""
    draws = np.random.default_rng(0).choice(ratios, size=(4000, len(ratios)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return float(low), float(high)


def report(models: dict[str, Trained], speeds: dict[str, np.ndarray], *, quick: bool) -> int:
    """Print all figures; the exit code is 1 where a goal is missed (never in a quick run)."""
    own = models["default"].errors.force_rmse
    worst: tuple[float, tuple[float, float]] | None = None
    right = True
    for name in [name for name in models if name != "default"]:
        goal = GOALS.get(name)
        ratios = speeds["default"] / speeds[name]
        low, high = interval(ratios)
        theirs = models[name].errors.force_rmse
        verdict = "no worse" if own <= theirs else "WORSE"
        aim = "no goal" if goal is None else f"goal {goal}"
        print(
            f"default / {name}: {np.median(ratios):.2f} [{low:.2f}, {high:.2f}], {aim}; "
            f"test force RMSE {own:.3f} against {theirs:.3f} eV/Å: {verdict}"
        )
        if goal is None:
            continue
        right = right and own <= theirs
        share = (float(np.median(ratios)) / goal, (low / goal, high / goal))
        worst = share if worst is None or share[0] < worst[0] else worst
    if worst is None:
        return 1
    line = {
        "name": "model_speed",
        "value": round(worst[0], 3),
        "interval": [round(bound, 3) for bound in worst[1]],
        "goal": 1.0,
        "unit": "smallest ratio of steps/s over its goal (5 and 1.5)",
        "error_no_worse": right,
    }
    print(json.dumps(line))
    return 0 if quick or (right and worst[1][0] >= 1.0) else 1


def measured_speeds(
    models: dict[str, Trained], pairs: int, n_md: int, work: Path
) -> dict[str, np.ndarray]:
    """Steps/s of every model, in turns; ``n_md`` steps of the default, as long for the others."""
    names = list(models)
    folders = {name: name.replace(" ", "_").replace("'", "") for name in names}
    probe = {
        name: steps_per_second(models[name].model, 30, work / "probe" / folders[name])
        for name in names
    }
    steps = {name: max(20, round(n_md * probe[name] / probe["default"])) for name in names}
    speeds = {name: np.zeros(pairs) for name in names}
    for turn in range(pairs):
        for name in names:
            folder = work / "md" / f"{turn}-{folders[name]}"
            speeds[name][turn] = steps_per_second(models[name].model, steps[name], folder)
    return speeds


def measure(arguments: argparse.Namespace, work: Path) -> int:
    quick = arguments.quick
    train_s, pairs = (2.0, 2) if quick else (arguments.train_s, arguments.pairs)
    n_label, n_md = (40, 20) if quick else (1000, arguments.md_steps)
    sets = [reference(n_label, 2, seed) for seed in (1, 2)]
    test = reference(n_label, 5, 3)
    dataset = Dataset(
        tuple(DatasetPart(f"t{i}", Split.TRAINING, 0, item) for i, item in enumerate(sets))
    )
    print(f"{dataset.n_frames(Split.TRAINING)} training, {test.n_frames} test frames", flush=True)
    models: dict[str, Trained] = {}
    first: DeepmdTrainer | None = None
    short = {"optimizer": {"type": "lkf", "polish_steps": 10}}
    for name, full in MODELS.items():
        changes = short if quick and name == "default" else full
        trainer = DeepmdTrainer(DeepmdConfig(**{"threads": 1, "device": "cpu", **changes}))
        if first is None:
            first = trainer
        trainer.share_worker(first)
        found = models[name] = trained(name, trainer, dataset, test, train_s, work)
        print(
            f"{name}: {found.steps} steps in {found.seconds:.1f} s; test force RMSE "
            f"{found.errors.force_rmse:.3f} eV/Å (relative "
            f"{found.errors.relative_force_rmse:.3f}), energy "
            f"{found.errors.energy_rmse_per_atom * 1e3:.1f} meV/atom",
            flush=True,
        )
    if first is not None:
        first.close()
    speeds = measured_speeds(models, pairs, n_md, work)
    for name, values in speeds.items():
        print(f"{name}: {np.median(values):.0f} steps/s ({values.min():.0f}-{values.max():.0f})")
    return report(models, speeds, quick=quick)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds, for a test of the script")
    parser.add_argument("--train-s", type=float, default=120.0)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--md-steps", type=int, default=4000)
    arguments = parser.parse_args()
    packages = ("deepmd-kit", "torch", "lammps", "tblite")
    print(f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(", ".join(f"{name} {version(name)}" for name in packages), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        return measure(arguments, Path(folder))


if __name__ == "__main__":
    sys.exit(main())

"""What the benchmarks of watched MD share: a model as fast as a good one, and its replica."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.io import read

from sis_engine.execution.program import ProgramRun, find_program, run_program
from sis_engine.explorers.lammps.doctor import report_version
from sis_engine.records import (
    Condition,
    Ensemble,
    Frame,
    HaltRule,
    Model,
    ModelFile,
    ModelForm,
    Replica,
    Sampling,
    System,
)
from trainers.deepmd.trainer import LAMMPS

ELEMENTS = ("Li", "F", "S", "O", "N", "C", "H")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--elements", default=",".join(ELEMENTS), help="the models' type map")
    parser.add_argument("--cutoff", type=float, default=6.0, help="their cutoff, Å")
    parser.add_argument("--sel", type=int, default=40, help="their neighbour limit")
    parser.add_argument("--structure", type=Path, help="structure file (default: 32 atoms made up)")


class Rates(NamedTuple):
    """MD steps per second of wall time, and of processor time (for a busy machine)."""

    wall: float
    processor: float


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


def model_in(path: Path, given: argparse.Namespace) -> Model:
    """A compressed model file with what LAMMPS has to know of it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Model(
        id=path.name,
        trainer="deepmd",
        elements=tuple(given.elements.split(",")),
        files=(ModelFile(ModelForm.COMPRESSED, path, digest),),
        deployed=ModelForm.COMPRESSED,
        lammps=LAMMPS,
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
        ("compress", "-i", "frozen.pth", "-o", "model.pth", "-t", "input.json"),
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

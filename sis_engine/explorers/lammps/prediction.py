"""Energies and forces of given frames, by the engine that runs MD, in one process."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sis_engine.errors import ProgramFailed
from sis_engine.execution.program import (
    ProgramOutcome,
    ProgramRun,
    failure,
    run_program,
    tail,
)
from sis_engine.explorers.directory import fresh_directory
from sis_engine.explorers.lammps.cell import Box, box_bounds, box_of
from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.explorers.lammps.input import data_text, setup_lines
from sis_engine.explorers.lammps.integrator import BAR_PER_GPA
from sis_engine.explorers.lammps.output import last_row, read_rows
from sis_engine.explorers.lammps.snapshots import snapshots
from sis_engine.interfaces import Context
from sis_engine.records import FloatArray, Frame, FrameSet, Model, Prediction
from sis_engine.units import EV_PER_ANGSTROM3_GPA

_COLUMNS = "step pe vol c_sis_w[1] c_sis_w[2] c_sis_w[3] c_sis_w[4] c_sis_w[5] c_sis_w[6]"
_N_COLUMNS = len(_COLUMNS.split())


def predict(
    command: tuple[str, ...],
    environment: tuple[tuple[str, str], ...],
    model: Model,
    frames: FrameSet,
    config: LammpsConfig,
    context: Context,
) -> Prediction:
    """``rerun`` of all frames: energies (eV), forces (eV/Å), virials (eV) if all is periodic."""
    directory = fresh_directory(context.workdir, "predict")
    boxes = [box_of(frame_of(frames, k)) for k in range(frames.n_frames)]
    skewed = any(box.is_skewed for box in boxes)
    _write_input(directory, model, frames, config, boxes, skewed=skewed)
    run = ProgramRun(
        arguments=(*command, "-in", "in.lammps", "-log", "log.lammps", "-screen", "none"),
        directory=directory,
        environment=environment,
        silent_timeout_s=config.silent_timeout_s,
        watch=("log.lammps",),
        check=False,
    )

    def follow() -> None:
        row = last_row(tail(directory / "log.lammps"), _N_COLUMNS)
        if row is not None:
            context.progress(row[0], frames.n_frames, "predicting with LAMMPS")

    outcome = run_program(run, stop=context.stop, on_poll=follow)
    return _read(run, outcome, frames, boxes)


def frame_of(frames: FrameSet, index: int) -> Frame:
    """One frame of a set."""
    return Frame(
        species=frames.species,
        positions=frames.positions[index],
        cell=None if frames.cells is None else frames.cells[index],
        pbc=frames.pbc,
    )


def _write_input(
    directory: Path,
    model: Model,
    frames: FrameSet,
    config: LammpsConfig,
    boxes: list[Box],
    *,
    skewed: bool,
) -> None:
    first = frame_of(frames, 0)
    data = data_text(first, boxes[0], model, None, skewed=skewed)
    (directory / "start.data").write_text(data)
    with (directory / "frames.dump").open("w") as file:
        for index, box in enumerate(boxes):
            file.write(_snapshot(frame_of(frames, index), box, index, skewed=skewed))
    lines = [
        *setup_lines(first, model, config, "start.data"),
        "compute sis_w all pressure NULL virial",
        "dump sis_f all custom 1 forces.bin id fx fy fz",
        "dump_modify sis_f sort id",
        "thermo 1",
        f"thermo_style custom {_COLUMNS}",
        "thermo_modify format float %.17g flush yes line one lost error",
        "rerun frames.dump dump x y z box yes",
    ]
    (directory / "in.lammps").write_text("\n".join(lines) + "\n")


def _snapshot(frame: Frame, box: Box, step: int, *, skewed: bool) -> str:
    """A frame as a LAMMPS dump, positions unwrapped as given; LAMMPS wraps them."""
    bounds = box_bounds(frame, box)
    lines = ["ITEM: TIMESTEP", str(step), "ITEM: NUMBER OF ATOMS", str(frame.n_atoms)]
    periodicity = " ".join("pp" if periodic else "ss" for periodic in frame.pbc)
    if skewed:
        xy, xz, yz = (float(box.lower[k]) for k in ((1, 0), (2, 0), (2, 1)))
        bounds = bounds + np.array(
            [
                [min(0.0, xy, xz, xy + xz), max(0.0, xy, xz, xy + xz)],
                [min(0.0, yz), max(0.0, yz)],
                [0.0, 0.0],
            ]
        )
        lines.append(f"ITEM: BOX BOUNDS xy xz yz {periodicity}")
        tilts = [f" {tilt!r}" for tilt in (xy, xz, yz)]
    else:
        lines.append(f"ITEM: BOX BOUNDS {periodicity}")
        tilts = ["", "", ""]
    lines += [f"{low!r} {high!r}{t}" for (low, high), t in zip(bounds.tolist(), tilts, strict=True)]
    lines.append("ITEM: ATOMS id x y z")
    for k, row in enumerate(box.to_lammps(frame.positions).tolist()):
        lines.append(f"{k + 1} " + " ".join(map(repr, row)))
    return "\n".join(lines) + "\n"


def _read(
    run: ProgramRun, outcome: ProgramOutcome, frames: FrameSet, boxes: list[Box]
) -> Prediction:
    directory, log = run.directory, run.directory / "log.lammps"
    text = log.read_text(errors="replace") if log.exists() else ""
    rows = [row for row in read_rows(text) if len(row) == _N_COLUMNS]
    dump = directory / "forces.bin"
    tables = [item.table for item, _ in snapshots(dump.read_bytes())] if dump.exists() else []
    if outcome.exit_code != 0 or len(rows) != frames.n_frames or len(tables) != frames.n_frames:
        errors = [line for line in text.splitlines() if line.startswith("ERROR")]
        if outcome.exit_code != 0 and not errors:
            raise failure(run, outcome)
        raise ProgramFailed(
            f"LAMMPS predicted {len(rows)} of {frames.n_frames} frames (exit code "
            f"{outcome.exit_code}): {errors[0] if errors else 'it did not say why'}",
            directory=directory,
            hint="read log.lammps there",
        )
    forces = np.stack([boxes[k].from_lammps(tables[k][:, 1:4]) for k in range(frames.n_frames)])
    virials = None
    if all(frames.pbc):
        virials = np.stack([_virial(np.array(row), box) for row, box in zip(rows, boxes)])  # noqa: B905
    return Prediction(energies=np.array([row[1] for row in rows]), forces=forces, virials=virials)


def _virial(row: FloatArray, box: Box) -> FloatArray:
    """-dE/d(strain), eV, in the frame's axes, from the configurational pressure tensor, bar."""
    xx, yy, zz, xy, xz, yz = row[3:9] * (row[2] / (BAR_PER_GPA * EV_PER_ANGSTROM3_GPA))
    tensor = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    virial: FloatArray = box.rotation.T @ tensor @ box.rotation
    return virial

"""Relaxes a packed box and runs a little reference MD in it, by GFN1-xTB."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ase import Atoms

from labelers.xtb.labeler import XtbLabeler
from sis_engine.interfaces import Context, Optimisation, Segment
from sis_engine.records import (
    Frame,
    Labelled,
    OptimiseSpec,
    Origin,
    Purpose,
    SegmentSpec,
    Start,
    System,
)
from sis_engine.reference_md import ReferenceMD

OPTIMISE = OptimiseSpec(max_force=0.5, max_steps=300)
HEAT = SegmentSpec(
    n_steps=300,
    timestep_fs=1.0,
    temperature_k=300.0,
    thermostat="langevin",
    damping_fs=50.0,
    seed=1,
)


def equilibrated(atoms: Atoms) -> Atoms:
    """The last frame of 0.3 ps of GFN1-xTB Langevin MD at 300 K, from the relaxed box."""
    labeler = XtbLabeler(XtbLabeler.Config(method="GFN1-xTB"))
    source = ReferenceMD(labeler)
    frame = Frame(
        tuple(atoms.get_chemical_symbols()), atoms.positions, atoms.cell.array, (True,) * 3
    )
    system = System("box", frame)
    origin = Origin(Purpose.INITIAL, 0, "box", "equilibrate", 0)
    with tempfile.TemporaryDirectory() as scratch:
        context = Context(Path(scratch))
        frame = _last(source, Optimisation(system, Start(frame), OPTIMISE, origin), context)
        frame = _last(source, Segment(system, Start(frame), HEAT, origin), context)
    result_atoms = Atoms(list(frame.species), frame.positions, cell=frame.cell, pbc=True)
    result_atoms.info = atoms.info | {"equilibrated": "GFN1-xTB, relaxed, 0.3 ps Langevin at 300 K"}
    return result_atoms


def _last(source: ReferenceMD, task: Optimisation | Segment, context: Context) -> Frame:
    """The last frame of a task, with a line on stderr now and then."""
    frame = task.start.frame
    for step, result in enumerate(source.label(task, context)):
        if not isinstance(result, Labelled):
            raise SystemExit(f"step {step}: {result.message}")
        frame = result.frame
        if step % 20 == 0:
            sys.stderr.write(
                f"{type(task).__name__} {step}: {result.label.energy:.2f} eV, "
                f"{result.temperature_k or 0.0:.0f} K, {result.seconds:.2f} s\n"
            )
    return frame

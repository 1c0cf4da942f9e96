"""Periodic LiFSI in 1,3-dioxolane, Li slabs in it and bulk Li; liquids are packed by Packmol.

Molarities are moles of salt per litre of *solvent*, as electrolytes are mixed. Numbers of
molecules follow from additive volumes: dioxolane 69.9 cm³/mol (74.08 g/mol, 1.06 g/cm³ at 298 K);
LiFSI 80 cm³/mol, an estimate of its apparent volume in ethers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bcc100, bulk
from ase.io import read
from molecules import (
    DOL_G_PER_MOL,
    LIFSI_G_PER_MOL,
    dioxolane,
    fsi,
    relaxed,
    without_calculator,
)

DOL_CM3_PER_MOL = 69.9
LIFSI_CM3_PER_MOL = 80.0
CM3_PER_MOL_IN_ANGSTROM3 = 1.0 / 0.602214076
LITHIUM_ANGSTROM = 3.44
"""Lattice constant of bcc Li by PBE; 3.51 Å by experiment at 298 K."""
SLAB_LAYERS, SLAB_REPEAT, SLAB_GAP_ANGSTROM = 6, 4, 2.2
PACKMOL_HINT = "pip install packmol (20.15 or newer, for its `pbc` keyword)"


@dataclass(frozen=True)
class Mixture:
    """Numbers of formula units."""

    n_salt: int
    n_dioxolane: int

    @property
    def volume_angstrom3(self) -> float:
        molar = self.n_salt * LIFSI_CM3_PER_MOL + self.n_dioxolane * DOL_CM3_PER_MOL
        return molar * CM3_PER_MOL_IN_ANGSTROM3

    def density(self, volume_angstrom3: float) -> float:
        """g/cm³ in a given volume."""
        mass = self.n_salt * LIFSI_G_PER_MOL + self.n_dioxolane * DOL_G_PER_MOL
        return mass * CM3_PER_MOL_IN_ANGSTROM3 / volume_angstrom3


def mixture_of(molarity: float, volume_angstrom3: float) -> Mixture:
    """Whole numbers nearest to ``molarity`` (mol per litre of solvent) that fill a volume."""
    molar = volume_angstrom3 / CM3_PER_MOL_IN_ANGSTROM3
    n_salt = max(round(molar / (LIFSI_CM3_PER_MOL + 1000.0 / molarity)), 1)
    return Mixture(n_salt, round((molar - n_salt * LIFSI_CM3_PER_MOL) / DOL_CM3_PER_MOL))


def electrolyte(mixture: Mixture, side: float, *, seed: int, tolerance: float = 2.0) -> Atoms:
    """A cubic periodic box, packed."""
    atoms = packed(mixture, np.full(3, side), seed=seed, tolerance=tolerance)
    atoms.info = _facts(mixture, side**3, seed, tolerance)
    return atoms


def slab(mixture: Mixture, *, seed: int) -> Atoms:
    """Six layers of Li(100), 4x4, and electrolyte as thick as it needs; periodic, both faces wet.

    Slab atoms come first, layer by layer from below: the middle two layers are atoms 32 to 63.
    """
    metal = bcc100("Li", (SLAB_REPEAT, SLAB_REPEAT, SLAB_LAYERS), a=LITHIUM_ANGSTROM)
    metal.positions[:, 2] -= metal.positions[:, 2].min()
    side = SLAB_REPEAT * LITHIUM_ANGSTROM
    thickness = mixture.volume_angstrom3 / side**2
    room = np.array([side, side, thickness])
    liquid = packed(mixture, room, seed=seed, tolerance=2.0, open_axis=True)
    bottom = metal.positions[:, 2].max() + SLAB_GAP_ANGSTROM
    liquid.positions[:, 2] += bottom
    atoms = metal + liquid
    atoms.cell = np.diag([side, side, bottom + thickness + SLAB_GAP_ANGSTROM])
    atoms.pbc = True
    atoms.info = {"slab": "bcc Li(100) 4x4x6, middle layers 32-63"}
    atoms.info |= _facts(mixture, float(room.prod()), seed, 2.0)
    return Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True, info=atoms.info)


def bulk_lithium(*repeat: int) -> Atoms:
    """Bulk bcc Li, conventional cells."""
    atoms = bulk("Li", "bcc", a=LITHIUM_ANGSTROM, cubic=True).repeat(repeat)
    atoms.info = {"lattice": f"bcc Li, a = {LITHIUM_ANGSTROM} Å (PBE)"}
    return atoms


def packed(
    mixture: Mixture, room: np.ndarray, *, seed: int, tolerance: float, open_axis: bool = False
) -> Atoms:
    """Molecules in a box by Packmol, no atoms of two nearer than ``tolerance`` Å.

    open_axis: periodic in x and y only, as beside a slab
    """
    beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    program = shutil.which("packmol", path=beside_python)
    if program is None:
        raise SystemExit(f"packmol is not on PATH\n  → {PACKMOL_HINT}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_molecules(folder)
        text = _packmol_input(mixture, room, seed, tolerance, open_axis=open_axis)
        (folder / "pack.inp").write_text(text)
        with (folder / "pack.inp").open() as stdin:
            done = subprocess.run(
                [program], stdin=stdin, capture_output=True, text=True, cwd=folder, check=False
            )
        if not (folder / "packed.xyz").exists() or "Success" not in done.stdout:
            raise SystemExit(f"packmol did not pack {mixture}:\n{done.stdout[-2000:]}")
        atoms = read(folder / "packed.xyz")
    return Atoms(atoms.symbols, atoms.positions, cell=np.diag(room), pbc=True)


def _write_molecules(folder: Path) -> None:
    Atoms("Li", [(0.0, 0.0, 0.0)]).write(folder / "li.xyz")
    without_calculator(relaxed(fsi(), charge=-1)).write(folder / "fsi.xyz")
    without_calculator(relaxed(dioxolane())).write(folder / "dol.xyz")


def _packmol_input(
    mixture: Mixture, room: np.ndarray, seed: int, tolerance: float, *, open_axis: bool
) -> str:
    """Order Li, FSI, dioxolane. Packmol's `pbc` applies to all axes, so a slab's z stays inside."""
    x, y, z = room
    lines = [f"tolerance {tolerance}", "filetype xyz", "output packed.xyz", f"seed {seed}"]
    lines.append(f"pbc 0. 0. 0. {x} {y} {z + (10.0 if open_axis else 0.0)}")
    counts = (("li", mixture.n_salt), ("fsi", mixture.n_salt), ("dol", mixture.n_dioxolane))
    for name, count in counts:
        lines += [f"structure {name}.xyz", f"  number {count}"]
        if open_axis:
            lines.append("  above plane 0. 0. 1. 0.")
            lines.append(f"  below plane 0. 0. 1. {z}")
        lines.append("end structure")
    return "\n".join(lines) + "\n"


def _facts(mixture: Mixture, volume: float, seed: int, tolerance: float) -> dict[str, object]:
    litres = mixture.n_dioxolane * DOL_CM3_PER_MOL / 1000.0
    return {
        "composition": f"{mixture.n_salt} LiFSI + {mixture.n_dioxolane} dioxolane",
        "molarity_per_litre_solvent": round(mixture.n_salt / litres, 2),
        "density_g_per_cm3": round(mixture.density(volume), 3),
        "packmol": f"seed {seed}, tolerance {tolerance}",
    }

"""CP2K's input: built as a tree from the settings, written and checked by cp2k-input-tools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from labelers.cp2k.config import Cp2kConfig, DftMethod, ScfSettings, TemplateMethod
from labelers.cp2k.handlers import Tree
from labelers.cp2k.schema import generator
from labelers.cp2k.template import read_template
from labelers.cp2k.units import VELOCITY_ANGSTROM_PER_FS
from labelers.k_points import k_grid
from sis_engine.errors import ConfigurationError
from sis_engine.records import FloatArray, Frame, System

PROJECT = "sis"
RESTART = f"{PROJECT}-1.restart"
_FORCE_DIGITS = 14


@dataclass(frozen=True)
class Job:
    """What a run is to do, beside the frame: the sections that are the same for every frame.

    force_eval: with the SCF to use, without the structure;  motion: ``None`` for a single point
    run_type: of GLOBAL;  seed: of CP2K's random numbers;  ext_restart: file to go on from
    """

    run_type: str
    force_eval: Tree
    motion: Tree | None = None
    seed: int = 1
    ext_restart: str | None = None

    def text(self, structure: Sequence[str]) -> str:
        """The input file, with the lines of CELL, COORD and VELOCITY put into SUBSYS.

        Raises what cp2k-input-tools raises for a section or keyword that CP2K does not have.
        """
        tree: Tree = {
            "global": {
                "project_name": PROJECT,
                "run_type": self.run_type,
                "print_level": "LOW",
                "seed": self.seed,
            },
            "force_eval": self.force_eval,
        }
        if self.motion is not None:
            tree["motion"] = self.motion
        if self.ext_restart is not None:
            tree["ext_restart"] = {"restart_file_name": self.ext_restart}
        lines = list(generator().line_iter(tree))
        place = next(k for k, line in enumerate(lines) if line.strip() == "&SUBSYS") + 1
        lines[place:place] = [f"      {line}" for line in structure]
        return "\n".join(lines) + "\n"


# --------------------------------------------------------------------------- the physics


def force_eval(config: Cp2kConfig, system: System) -> Tree:
    """FORCE_EVAL without coordinates: method, SCF, charge, multiplicity, boundary, kinds."""
    if isinstance(config.method, TemplateMethod):
        tree = read_template(config.method.file).force_eval
    elif isinstance(config.method, DftMethod):
        tree = _dft(config, config.method, system)
    else:
        tree = {"dft": {"qs": _gfn1(system), "scf": scf_tree(config.scf)}, "subsys": {}}
    tree["method"] = "QUICKSTEP"
    dft = tree["dft"]
    dft["charge"], dft["multiplicity"] = system.charge, system.multiplicity
    if system.multiplicity > 1:
        dft["uks"] = True
    dft["scf"]["print"] = {"restart": {"backup_copies": 1}, "restart_history": {"_": "OFF"}}
    tree["print"] = {"forces": {"_": "ON", "ndigits": _FORCE_DIGITS}}
    if config.virial and all(system.frame.pbc):
        tree["stress_tensor"] = "ANALYTICAL"
        tree["print"]["stress_tensor"] = {"_": "ON"}
    return tree


def scf_tree(scf: ScfSettings) -> Tree:
    """SCF from the settings."""
    tree: Tree = {"eps_scf": scf.eps_scf, "max_scf": scf.max_iterations, "scf_guess": "RESTART"}
    if scf.solver == "ot":
        tree["ot"] = {"preconditioner": scf.preconditioner, "minimizer": scf.minimizer}
        tree["outer_scf"] = {"eps_scf": scf.eps_scf, "max_scf": scf.outer_loops}
    else:
        tree["diagonalization"] = {"algorithm": "STANDARD"}
        tree["mixing"] = {"method": scf.mixing, "alpha": scf.mixing_alpha}
    return tree


def _gfn1(system: System) -> Tree:
    """CP2K's check of charges stops an SCF on its way: the guess of LiFSI has 2.37 e on sulphur (of
    2.00), and converged its energy is tblite's to 0.13 mHa. What is wrong is the gate's to find.
    """
    periodic = all(system.frame.pbc)
    return {"method": "XTB", "xtb": {"do_ewald": periodic, "check_atomic_charges": False}}


def _dft(config: Cp2kConfig, method: DftMethod, system: System) -> Tree:
    scf = scf_tree(config.scf)
    if method.smearing_k is not None:
        scf["smear"] = {
            "_": "ON",
            "method": "FERMI_DIRAC",
            "electronic_temperature": method.smearing_k,
        }
        scf["added_mos"] = method.empty_orbitals
    dft: Tree = {
        "basis_set_file_name": list(method.basis_files),
        "potential_file_name": method.potential_file,
        "mgrid": {
            "cutoff": method.cutoff_rydberg,
            "rel_cutoff": method.relative_cutoff_rydberg,
        },
        "qs": {"eps_default": 1e-12},
        "scf": scf,
        "xc": _xc(method),
    }
    if not all(system.frame.pbc):
        dft["poisson"] = {"periodic": "NONE", "poisson_solver": "WAVELET"}
    grid = k_grid(method.k_spacing_per_angstrom, system.frame)
    if grid is not None:
        dft["kpoints"] = {"scheme": ["MONKHORST-PACK", *(str(n) for n in grid)]}
    kinds = [
        {
            "_": element,
            "element": element,
            "basis_set": method.basis_of(element),
            "potential": method.potential_of(element),
        }
        for element in sorted(set(system.frame.species))
    ]
    return {"dft": dft, "subsys": {"kind": kinds}}


def _xc(method: DftMethod) -> Tree:
    tree: Tree = {"xc_functional": {"_": method.functional}}
    if method.dispersion != "none":
        tree["vdw_potential"] = {
            "potential_type": "PAIR_POTENTIAL",
            "pair_potential": {
                "type": {"D3": "DFTD3", "D3BJ": "DFTD3(BJ)"}[method.dispersion],
                "parameter_file_name": "dftd3.dat",
                "reference_functional": method.functional,
            },
        }
    return tree


# --------------------------------------------------------------------------- the structure


@dataclass(frozen=True, eq=False)
class Box:
    """Where CP2K sees the atoms: the cell of a periodic system, or a cube around a cluster.

    shift: Å, added to positions that go to CP2K and taken from those that come back
    """

    cell: FloatArray
    periodic: bool
    shift: FloatArray

    def fits(self, positions: FloatArray, margin: float) -> bool:
        """Every atom of a cluster is at least ``margin`` Å away from the faces."""
        inside = positions + self.shift
        edge = float(self.cell[0, 0])
        return self.periodic or bool((inside >= margin).all() and (inside <= edge - margin).all())


def box_edge(config: Cp2kConfig, system: System) -> float:
    """Edge of the cube around a cluster, Å: the same for every frame of a system."""
    extent = float(np.ptp(system.frame.positions, axis=0).max())
    return math.ceil(extent + 2.0 * config.vacuum_angstrom)


def box_of(config: Cp2kConfig, system: System, frame: Frame) -> Box:
    """The box of a frame. Raises ConfigurationError where only some directions are periodic."""
    if all(frame.pbc) and frame.cell is not None:
        return Box(frame.cell, periodic=True, shift=np.zeros(3))
    if any(frame.pbc):
        raise ConfigurationError(
            f"system {system.name!r} is periodic along {frame.pbc}",
            key=f"systems.{system.name}",
            allowed="periodic in all three directions or in none",
            hint="give a slab a cell with vacuum and make it periodic in all directions",
        )
    edge = box_edge(config, system)
    # The middle of the system's own structure, so that all its frames lie alike on the grid; a
    # frame that has drifted away brings its own middle.
    own = Box(np.eye(3) * edge, False, 0.5 * edge - _middle(system.frame.positions))
    if own.fits(frame.positions, 0.5 * config.vacuum_angstrom):
        return own
    return Box(own.cell, False, 0.5 * edge - _middle(frame.positions))


def _middle(positions: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (positions.min(axis=0) + positions.max(axis=0)))


def structure(
    box: Box, kinds: Sequence[str], positions: FloatArray, velocities: FloatArray | None = None
) -> list[str]:
    """Lines of CELL, COORD and VELOCITY. positions: Å, as in records;  velocities: Å/fs"""
    lines = ["&CELL"]
    lines += [f"  {name} {_numbers(row)}" for name, row in zip("ABC", box.cell, strict=True)]
    lines += [f"  PERIODIC {'XYZ' if box.periodic else 'NONE'}", "&END CELL", "&COORD"]
    lines += [
        f"  {kind} {_numbers(row)}" for kind, row in zip(kinds, positions + box.shift, strict=True)
    ]
    lines.append("&END COORD")
    if velocities is not None:
        lines.append("&VELOCITY")
        lines += [f"  {_numbers(row)}" for row in velocities / VELOCITY_ANGSTROM_PER_FS]
        lines.append("&END VELOCITY")
    return lines


def _numbers(row: Any) -> str:
    return " ".join(repr(float(value)) for value in row)

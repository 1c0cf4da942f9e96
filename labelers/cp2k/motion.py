"""MOTION: MD and geometry optimisation as the engine's requests ask for them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

from labelers.cp2k.handlers import Tree
from sis_engine.errors import ConfigurationError
from sis_engine.records import OptimiseSpec, SegmentSpec, System

_BACKUPS = 2
_NEVER = 1e-12
_FROZEN_MASS_AMU = 1e18
_EACH_STEP = {"each": {"md": 1, "geo_opt": 1}}


def md(spec: SegmentSpec, n_steps: int, moving: Sequence[int] | None) -> Tree:
    """``n_steps`` of MD. moving: atoms (from 0) that the thermostat holds, ``None``: all"""
    section: Tree = {
        "steps": n_steps,
        "timestep": spec.timestep_fs,
        "temperature": spec.temperature_k,
        # An EXIT file ends a run after its step, which is then written like any other.
        "print": {"force_last": True, "energy": dict(_EACH_STEP)},
    }
    if spec.thermostat == "none":
        section["ensemble"] = "NVE"
    elif spec.thermostat == "langevin":
        section |= {"ensemble": "LANGEVIN", "langevin": {"gamma": 1.0 / spec.damping_fs}}
    else:
        section |= {"ensemble": "NVT", "thermostat": _thermostat(spec, moving)}
    return {"md": section, "print": _printing("trajectory", "velocities", "forces")}


def _thermostat(spec: SegmentSpec, moving: Sequence[int] | None) -> Tree:
    kinds: dict[str, Tree] = {
        "csvr": {"type": "CSVR", "csvr": {"timecon": spec.damping_fs}},
        "nose-hoover": {"type": "NOSE", "nose": {"length": 3, "timecon": spec.damping_fs}},
    }
    if spec.thermostat not in kinds:
        raise ConfigurationError(
            f"CP2K has no thermostat {spec.thermostat!r}",
            key="segment.thermostat",
            allowed="csvr, nose-hoover, langevin, none",
        )
    found = dict(kinds[spec.thermostat])
    if moving is not None:
        found["region"] = "DEFINED"
        found["define_region"] = [{"list": [[one] for one in _ranges(moving)]}]
    return found


def _ranges(atoms: Sequence[int]) -> list[str]:
    """Atoms (from 0) as CP2K counts them, "1..31": lines of input have an end."""
    ends = [k for k, atom in enumerate(atoms) if k + 1 == len(atoms) or atoms[k + 1] != atom + 1]
    begins = [0, *(end + 1 for end in ends[:-1])]
    return [f"{atoms[b] + 1}..{atoms[e] + 1}" for b, e in zip(begins, ends, strict=True)]


def optimisation(spec: OptimiseSpec, n_steps: int) -> Tree:
    """BFGS of ``n_steps``; the engine says when the forces are small enough, CP2K never does."""
    limits = dict.fromkeys(("max_dr", "rms_dr", "max_force", "rms_force"), _NEVER)
    return {
        "geo_opt": {
            "optimizer": "BFGS",
            "max_iter": n_steps,
            **limits,
            # CP2K caps each component; so capped, no atom moves further than asked.
            "bfgs": {"trust_radius": spec.max_displacement_angstrom / math.sqrt(3.0)},
        },
        "print": _printing("trajectory", "forces"),
    }


def _printing(*trajectories: str) -> Tree:
    return {
        **{name: dict(_EACH_STEP) for name in trajectories},
        "restart": {"backup_copies": _BACKUPS, **_EACH_STEP},
        "restart_history": {"_": "OFF"},
    }


# --------------------------------------------------------------------------- frozen atoms


def kinds_of(system: System) -> tuple[str, ...]:
    """The &KIND of each atom: its element, or for a frozen one the element with a 1."""
    frozen = frozenset(system.frozen)
    return tuple(
        f"{element}1" if atom in frozen else element
        for atom, element in enumerate(system.frame.species)
    )


def with_heavy_kinds(force_eval: Tree, system: System) -> Tree:
    """FORCE_EVAL in which frozen atoms are too heavy to move in any MD.

    CP2K's own FIXED_ATOMS sets their forces to zero before they are printed, and a label with
    zeros that are no forces must not reach a potential. So they stay by inertia: 1e18 amu under
    1 hartree/bohr move 1e-11 Å in 5 ps.
    """
    found = copy.deepcopy(force_eval)
    frozen = sorted({system.frame.species[atom] for atom in system.frozen})
    kinds = found["subsys"]["kind"]
    for element in frozen:
        own = next(kind for kind in kinds if kind["_"] == element)
        kinds.append(own | {"_": f"{element}1", "element": element, "mass": _FROZEN_MASS_AMU})
    return found

"""Temperatures and pressures to explore, a share of them in each generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sis_engine.records import Condition, Ensemble, Frame, System
from sis_engine.samplers.committee_config import Grid

VACUUM_ANGSTROM = 6.0
"""Wider than any contact between atoms (two argon atoms touch at 3.8 Å): a pressure on a cell with
such a layer would close it."""


def grid_conditions(
    bases: Sequence[Condition], grid: Grid, generation: int, system: System | None
) -> tuple[Condition, ...]:
    """Conditions of a system in this generation, each once; ``system`` ``None``: it bears NPT."""
    points = turn(grid, generation)
    bears_npt = system is None or bears_pressure(system)
    found: dict[str, Condition] = {}
    for base in bases:
        for temperature_k, pressure_gpa in points:
            if pressure_gpa is None:
                name = f"{base.name}-{temperature_k:g}k"
                item = replace(base, name=name, temperature_k=temperature_k)
            elif bears_npt:
                name = f"{base.name}-{temperature_k:g}k-{pressure_gpa:g}gpa"
                item = replace(
                    base,
                    name=name,
                    temperature_k=temperature_k,
                    ensemble=Ensemble.NPT,
                    pressure_gpa=pressure_gpa,
                )
            else:
                name = f"{base.name}-{temperature_k:g}k-nvt"
                item = replace(
                    base,
                    name=name,
                    temperature_k=temperature_k,
                    ensemble=Ensemble.NVT,
                    pressure_gpa=None,
                )
            found.setdefault(name, item)
    return tuple(found.values())


def bears_pressure(system: System) -> bool:
    """Whether its volume means anything: periodic all round, nothing frozen, no layer of vacuum."""
    frame = system.frame
    if system.frozen or frame.cell is None or not all(frame.pbc):
        return False
    return widest_gap_angstrom(frame) < VACUUM_ANGSTROM


def widest_gap_angstrom(frame: Frame) -> float:
    """The thickest layer without an atom's centre, along the normals of a periodic cell's faces."""
    cell = np.asarray(frame.cell)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    shares = np.sort(frame.positions @ np.linalg.inv(cell) % 1.0, axis=0)
    gaps = np.diff(shares, axis=0, append=shares[:1] + 1.0)
    return float((gaps.max(axis=0) * heights).max())


def turn(grid: Grid, generation: int) -> list[tuple[float, float | None]]:
    """(K, GPa) of this generation: so many of all in turn, the last share going on at the first."""
    pressures: tuple[float | None, ...] = grid.pressures_gpa or (None,)
    points = [(t, p) for t in grid.temperatures_k for p in pressures]
    if grid.per_generation is None or grid.per_generation >= len(points):
        return points
    first = generation * grid.per_generation
    return [points[(first + k) % len(points)] for k in range(grid.per_generation)]


def turns(grid: Grid | None) -> int:
    """Generations after which every condition was explored."""
    if grid is None or grid.per_generation is None:
        return 1
    n_points = len(grid.temperatures_k) * max(1, len(grid.pressures_gpa))
    return -(-n_points // grid.per_generation)

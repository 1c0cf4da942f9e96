"""Temperatures and pressures to explore, a share of them in each generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sis_engine.records import Condition, Ensemble, System
from sis_engine.samplers.committee_config import Grid


def grid_conditions(
    bases: Sequence[Condition], grid: Grid, generation: int, system: System | None
) -> tuple[Condition, ...]:
    """Conditions of a system in this generation, each once; ``system`` ``None``: it bears NPT."""
    points = turn(grid, generation)
    bears_npt = system is None or (all(system.frame.pbc) and not system.frozen)
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

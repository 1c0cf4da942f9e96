"""Synthetic MD that is right by construction: what monitors and samplers are tested on.

Positions and velocities of N_f independent harmonic modes in the canonical ensemble, each a
stationary Gaussian process: kinetic temperature and potential energy have exactly the canonical
distributions, with a stated correlation time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sis_engine.interfaces import MonitorContext
from sis_engine.records import (
    Condition,
    Ensemble,
    Exit,
    Exploration,
    FloatArray,
    Frame,
    HaltRule,
    MdFrame,
    PairDistance,
    Quantity,
    Replica,
    Support,
    System,
    Trace,
)
from sis_engine.units import AMU_ANGSTROM2_PER_FS2_EV, BOLTZMANN_EV_PER_K

MEASURED = (
    Quantity.TEMPERATURE,
    Quantity.POTENTIAL_ENERGY,
    Quantity.HEAT,
    Quantity.CONSERVED_DRIFT,
    Quantity.MAX_KINETIC,
    Quantity.MAX_FORCE,
    Quantity.SHORTEST_DISTANCE,
    Quantity.NEIGHBOURS,
    Quantity.VOLUME,
    Quantity.MODEL_DEVIATION,
)
"""Columns of :func:`healthy_trace`."""

SPACING_ANGSTROM = 3.0
"""Between the atoms of :func:`lattice_frame`: beyond every bond."""


def lattice_frame(species: Sequence[str], *, periodic: bool = False) -> Frame:
    """Atoms on a cubic grid, far from each other; a little off it, so that no two are alike."""
    side = math.ceil(len(species) ** (1.0 / 3.0))
    grid = np.array([(i, j, k) for i in range(side) for j in range(side) for k in range(side)])
    shift = np.random.default_rng(1).uniform(-0.05, 0.05, (len(species), 3))
    positions = SPACING_ANGSTROM * grid[: len(species)] + shift
    if not periodic:
        return Frame(tuple(species), positions)
    cell = SPACING_ANGSTROM * side * np.eye(3)
    return Frame(tuple(species), positions, cell, (True, True, True))


def example_context(
    n_atoms: int = 32, *, temperature_k: float = 300.0, duration_ps: float = 10.0
) -> MonitorContext:
    """Li, O, C and H in equal parts, labelled in a range that thermal motion would visit."""
    species = tuple(["Li", "O", "C", "H"][i % 4] for i in range(n_atoms))
    system = System("example", lattice_frame(species))
    condition = Condition("md", Ensemble.NVT, temperature_k, 0.5, duration_ps)
    thermal = 0.5 * modes_of(system) * BOLTZMANN_EV_PER_K * temperature_k
    width = BOLTZMANN_EV_PER_K * temperature_k * math.sqrt(0.5 * modes_of(system))
    support = Support(
        system=system.name,
        n_frames=400,
        energy_min=thermal - 3.0 * width,
        energy_max=thermal + 3.0 * width,
        energy_mean=thermal,
        energy_std=width,
        max_force=8.0,
        distances=(PairDistance(("H", "O"), 1.9), PairDistance(("C", "H"), 0.98)),
    )
    return MonitorContext(
        system=system,
        condition=condition,
        support=support,
        generation=0,
        model_elements=("C", "H", "Li", "O"),
        model_sel=(64,),
        model_cutoff_angstrom=6.0,
    )


def modes_of(system: System) -> int:
    """N_f = 3 N - 3."""
    return 3 * system.frame.n_atoms - 3


def healthy_trace(
    context: MonitorContext,
    *,
    seed: int = 0,
    every_fs: float = 10.0,
    correlation_fs: float = 30.0,
    replica: str = "healthy",
) -> Trace:
    """A trace of canonical fluctuations and nothing else, at full length, time from 0.

    correlation_fs: integrated correlation time of temperature and potential energy
    """
    condition = context.condition
    n_rows = round(1000.0 * condition.duration_ps / every_fs) + 1
    rng = np.random.default_rng(seed)
    n_atoms = context.system.frame.n_atoms
    thermal = BOLTZMANN_EV_PER_K * condition.temperature_k
    # The square of a Gaussian process decorrelates twice as fast as the process itself.
    decay = math.exp(-0.5 * every_fs / correlation_fs)
    velocities = _processes(rng, n_rows, 3 * n_atoms, decay)
    places = _processes(rng, n_rows, modes_of(context.system), decay)
    kinetic = 0.5 * thermal * np.sum(velocities[:, :-3] ** 2, axis=1)
    potential = 0.5 * thermal * np.sum(places**2, axis=1)
    per_atom = 0.5 * thermal * np.sum(velocities.reshape(n_rows, n_atoms, 3) ** 2, axis=2)
    start = 2.0 * kinetic.mean()
    columns = {
        Quantity.TEMPERATURE: 2.0 * kinetic / (modes_of(context.system) * BOLTZMANN_EV_PER_K),
        Quantity.POTENTIAL_ENERGY: potential,
        Quantity.HEAT: start - kinetic - potential,
        Quantity.CONSERVED_DRIFT: 1e-4 * n_atoms * rng.standard_normal(n_rows),
        Quantity.MAX_KINETIC: per_atom.max(axis=1),
        Quantity.MAX_FORCE: 5.0 + rng.uniform(-2.0, 2.0, n_rows),
        Quantity.SHORTEST_DISTANCE: np.full(n_rows, SPACING_ANGSTROM),
        Quantity.NEIGHBOURS: np.full(n_rows, 20.0),
        Quantity.VOLUME: np.full(n_rows, _volume(context.system.frame)),
        Quantity.MODEL_DEVIATION: np.full(n_rows, 0.05),
    }
    values = np.column_stack([columns[quantity] for quantity in MEASURED])
    times: FloatArray = np.arange(n_rows, dtype=np.float64) * every_fs
    return Trace(replica, times, MEASURED, values)


def planted(trace: Trace, quantity: Quantity, from_fs: float, value: float) -> Trace:
    """The trace with one quantity at ``value`` from a time on (NaN and inf too)."""
    values = np.array(trace.values)
    if quantity not in trace.quantities:
        values = np.column_stack([values, np.zeros(len(values))])
        trace = replace(trace, quantities=(*trace.quantities, quantity))
    values[trace.time_fs >= from_fs - 1e-9, trace.quantities.index(quantity)] = value
    return replace(trace, values=values)


def md_frames(
    system: System, times_fs: Sequence[float], *, temperature_k: float = 300.0, seed: int = 0
) -> tuple[MdFrame, ...]:
    """Frames around the system's own structure with Maxwell-Boltzmann velocities and forces."""
    rng = np.random.default_rng(seed)
    shape = (system.frame.n_atoms, 3)
    from ase.data import atomic_masses, atomic_numbers

    masses = np.array([atomic_masses[atomic_numbers[s]] for s in system.frame.species])
    spread = np.sqrt(BOLTZMANN_EV_PER_K * temperature_k / (masses * AMU_ANGSTROM2_PER_FS2_EV))
    return tuple(
        MdFrame(
            replace(system.frame, positions=system.frame.positions + rng.normal(0.0, 0.02, shape)),
            time_fs=float(time_fs),
            velocities=rng.normal(size=shape) * spread[:, None],
            energy=float(rng.normal()),
            forces=rng.normal(0.0, 1.0, shape),
        )
        for time_fs in times_fs
    )


def exploration(
    context: MonitorContext,
    replica: str,
    *,
    failed_at_fs: float | None = None,
    rule: HaltRule | None = None,
    seed: int = 0,
) -> Exploration:
    """A replica that lived to the end, or that ended at ``failed_at_fs``.

    Frames every 100 fs, and every 5 fs over the last 320 fs, as an explorer keeps them.
    """
    trace = healthy_trace(context, seed=seed, replica=replica)
    end_fs = 1000.0 * context.condition.duration_ps if failed_at_fs is None else failed_at_fs
    kept = trace.time_fs <= end_fs
    trace = replace(trace, time_fs=trace.time_fs[kept], values=trace.values[kept])
    times = np.union1d(
        np.arange(0.0, end_fs, 100.0), np.arange(max(0.0, end_fs - 320), end_fs, 5.0)
    )
    return Exploration(
        replica=Replica(replica, context.system, context.system.frame, context.condition, seed),
        trace=trace,
        frames=md_frames(context.system, [*times.tolist(), end_fs], seed=seed),
        exit=Exit.COMPLETED if failed_at_fs is None else Exit.HALTED,
        md_ps=end_fs / 1000.0,
        seconds=1.0,
        halted_by=rule,
    )


def _processes(rng: np.random.Generator, n_rows: int, n_processes: int, decay: float) -> FloatArray:
    """(n_rows, n_processes) stationary Gaussian processes of unit variance."""
    noise = rng.standard_normal((n_rows, n_processes))
    kick = math.sqrt(1.0 - decay * decay)
    for row in range(1, n_rows):
        noise[row] = decay * noise[row - 1] + kick * noise[row]
    return noise


def _volume(frame: Frame) -> float:
    return 1000.0 if frame.cell is None else abs(float(np.linalg.det(frame.cell)))

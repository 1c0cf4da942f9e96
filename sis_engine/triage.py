"""Triage of a catastrophe before labels are bought: data, settings, numerics or start?

Cheap evidence first (element map, neighbours above ``sel``, overlapping start, drift of the
conserved quantity); then short runs again from before t_cp, with half the timestep and with the
same, each with another seed. Only *data* buys labels. What must be run is
asked of the caller; everything here is a pure function of what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sis_engine.analysis.pairs import most_neighbours, pairs_within
from sis_engine.analysis.trend import BLOCKS, trend
from sis_engine.records import (
    Cause,
    Exit,
    Exploration,
    Frame,
    MdFrame,
    Model,
    Quantity,
    Replica,
    Triage,
    Verdict,
)
from sis_engine.seeds import derive_seed

Runs = Callable[[Sequence[Replica]], Sequence[Exploration]]
"""Runs replicas (conditions may differ) and gives their explorations in the same order."""


class TriageConfig(BaseModel):
    """What counts as evidence.

    rerun: run again from before t_cp; false: cheap evidence only
    repeats: reruns with each timestep. Two: a half-step run that survives by luck next to a
        same-step run that dies by bad luck, twice over, is unlikely enough
    lead_fs: how far before t_cp the reruns start: 200 fs is some twenty bond vibrations, enough
        for new velocities to matter and near enough for the same region
    clear_factor: a rerun survives *clearly* when it lives this many times ``lead_fs``
    settle_fs: drift and neighbour counts later than this before t_cp are its consequence
    max_drift_per_atom_per_ps: eV; see the ``conserved`` monitor
    overlap_factor: atoms of the start nearer than this times the sum of covalent radii overlap.
        0.5 is below every bond (H2: 1.2)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rerun: bool = True
    repeats: int = Field(default=2, ge=1)
    lead_fs: float = Field(default=200.0, gt=0.0)
    clear_factor: float = Field(default=3.0, gt=1.0)
    settle_fs: float = Field(default=100.0, ge=0.0)
    max_drift_per_atom_per_ps: float = Field(default=0.002, gt=0.0)
    overlap_factor: float = Field(default=0.5, gt=0.0, lt=1.0)


@dataclass(frozen=True)
class Finding:
    """One line of evidence; ``cause`` is what it says by itself (``None``: nothing alone)."""

    cause: Cause | None
    evidence: str
    mend: str | None = None


@dataclass(frozen=True)
class Rerun:
    """How one rerun ended. lived_fs: from its start; died: it did not reach its duration."""

    half_timestep: bool
    lived_fs: float
    died: bool


def triage(
    exploration: Exploration,
    verdict: Verdict,
    model: Model,
    config: TriageConfig,
    runs: Runs | None = None,
) -> Triage:
    """Where this catastrophe came from; reruns only if nothing cheaper has settled it."""
    findings = list(cheap_findings(exploration, verdict, model, config))
    settled = any(item.cause not in (None, Cause.DATA) for item in findings)
    if config.rerun and runs is not None and not settled:
        replicas = rerun_replicas(exploration, verdict, config)
        if replicas:
            outcomes = [rerun_outcome(exploration.replica, run) for run in runs(replicas)]
            findings.append(weigh_reruns(outcomes, exploration.replica))
        else:
            findings.append(Finding(None, "no frame before t_cp to run again from"))
    return conclude(exploration.replica.id, findings)


def conclude(replica: str, findings: Sequence[Finding]) -> Triage:
    """The first finding that names a cause other than data decides; else it is data."""
    evidence = tuple(item.evidence for item in findings)
    for item in findings:
        if item.cause is not None and item.cause is not Cause.DATA:
            return Triage(replica, item.cause, evidence, item.mend)
    return Triage(replica, Cause.DATA, evidence or ("nothing speaks against missing data",))


# --------------------------------------------------------------------------- cheap evidence


def cheap_findings(
    exploration: Exploration, verdict: Verdict, model: Model, config: TriageConfig
) -> tuple[Finding, ...]:
    """Evidence that costs no MD."""
    found = (
        element_finding(exploration.replica.start, model),
        neighbour_finding(exploration, verdict, model, config),
        start_finding(exploration, verdict, config),
        drift_finding(exploration, verdict, config),
    )
    return tuple(item for item in found if item is not None)


def element_finding(start: Frame, model: Model) -> Finding | None:
    """The model must know every element, each once: its order is the MD engine's type map."""
    unknown = sorted(set(start.species) - set(model.elements))
    if unknown:
        return Finding(
            Cause.SETTINGS,
            f"the model knows {', '.join(model.elements)}, not {', '.join(unknown)}",
            "add the element to the trainer's type map and train again",
        )
    if len(set(model.elements)) != len(model.elements):
        return Finding(
            Cause.SETTINGS,
            f"the model's type map names an element twice: {' '.join(model.elements)}",
            "mend the trainer's type map",
        )
    return None


def neighbour_finding(
    exploration: Exploration, verdict: Verdict, model: Model, config: TriageConfig
) -> Finding | None:
    """More neighbours than ``sel`` well before t_cp, or as the verdict itself."""
    if model.sel is None or model.cutoff_angstrom is None:
        return None
    early = [
        item for item in exploration.frames if item.time_fs <= verdict.time_fs - config.settle_fs
    ]
    frames = [exploration.replica.start, *(item.frame for item in early[-3:])]
    if verdict.criterion.startswith(Quantity.NEIGHBOURS.value):
        frames += [item.frame for item in exploration.frames[-1:]]
    for frame in frames:
        for element, limit in _sel_limits(model, frame):
            seen = most_neighbours(frame, model.cutoff_angstrom, element)
            if seen > limit:
                return Finding(
                    Cause.SETTINGS,
                    f"{seen:.0f} neighbours{'' if element is None else ' ' + element} within "
                    f"{model.cutoff_angstrom:g} Å, but sel is {limit}: the rest is cut off",
                    f"raise the trainer's sel above {seen:.0f} (or lower its cutoff)",
                )
    return None


def _sel_limits(model: Model, frame: Frame) -> list[tuple[str | None, int]]:
    sel = model.sel or ()
    if len(sel) == 1:
        return [(None, sel[0])]
    present = set(frame.species)
    limits = zip(model.elements, sel, strict=False)
    return [(element, limit) for element, limit in limits if element in present]


def start_finding(
    exploration: Exploration, verdict: Verdict, config: TriageConfig
) -> Finding | None:
    """Atoms of the start that overlap. A model that fails at once on a sane start lacks data."""
    if verdict.time_fs > config.settle_fs:
        return None
    overlap = shortest_bond_fraction(exploration.replica.start)
    if overlap is not None and overlap < config.overlap_factor:
        return Finding(
            Cause.START,
            f"it failed after {verdict.time_fs:g} fs, and two atoms of its start are at "
            f"{overlap:.2f} of the sum of their covalent radii",
            "mend the start structure (optimise it first: initial.optimise)",
        )
    forces = _largest_force(exploration.frames)
    told = "" if forces is None else f", largest model force {forces:.3g} eV/Å"
    return Finding(
        None, f"it failed after {verdict.time_fs:g} fs from a start without overlap{told}"
    )


def shortest_bond_fraction(frame: Frame) -> float | None:
    """Smallest distance over the sum of covalent radii; ``None`` where no two atoms are near."""
    from ase.data import atomic_numbers, covalent_radii

    radii = np.array([covalent_radii[atomic_numbers[symbol]] for symbol in frame.species])
    first, second, distance = pairs_within(frame, float(2.0 * radii.max()))
    if distance.size == 0:
        return None
    return float(np.min(distance / (radii[first] + radii[second])))


def _largest_force(frames: Sequence[MdFrame]) -> float | None:
    if not frames or frames[0].forces is None:
        return None
    return float(np.max(np.linalg.norm(frames[0].forces, axis=1)))


def drift_finding(
    exploration: Exploration, verdict: Verdict, config: TriageConfig
) -> Finding | None:
    """Drift of the conserved quantity before t_cp.

    It has to stand out of its own fluctuations, and to be there in both halves of the time: a wrong
    model's steep walls break the balance too, but late.
    """
    drift = exploration.trace.series(Quantity.CONSERVED_DRIFT)
    if drift is None:
        return None
    time_fs = exploration.trace.time_fs
    used = np.isfinite(drift) & (time_fs <= verdict.time_fs - config.settle_fs)
    if used.sum() < 2 * BLOCKS or np.ptp(time_fs[used]) < config.settle_fs:
        return None
    times, per_atom = time_fs[used] / 1000.0, drift[used] / exploration.replica.start.n_atoms
    rate, error = trend(times, per_atom)
    limit = config.max_drift_per_atom_per_ps
    half = len(times) // 2
    halves = [
        np.sign(rate) * np.polyfit(times[part], per_atom[part], 1)[0]
        for part in (slice(half), slice(half, None))
    ]
    text = (
        f"the conserved quantity drifted by {1000 * rate:.3g} ± {1000 * error:.2g} meV/atom/ps "
        f"until {config.settle_fs:g} fs before t_cp"
    )
    if abs(rate) - error <= limit or min(halves) <= limit:
        return Finding(None, f"{text}: sound, or not from the beginning, or too short to tell")
    return Finding(
        Cause.NUMERICS,
        f"{text}; at most {1000 * limit:g} is sound",
        f"halve explore.condition.timestep_fs (now {exploration.replica.condition.timestep_fs:g}), "
        "and check the precision of the deployed model",
    )


# --------------------------------------------------------------------------- reruns


def rerun_replicas(
    exploration: Exploration, verdict: Verdict, config: TriageConfig
) -> tuple[Replica, ...]:
    """``repeats`` reruns with half the timestep, then as many with the same, all with new seeds.

    They start from the last finite frame ``lead_fs`` before t_cp (or the earliest there is) with
    velocities drawn anew at the target temperature.
    """
    usable = [
        item
        for item in exploration.frames
        if item.time_fs < verdict.time_fs and np.isfinite(item.frame.positions).all()
    ]
    if not usable:
        return ()
    early = [item for item in usable if item.time_fs <= verdict.time_fs - config.lead_fs]
    start = early[-1] if early else usable[0]
    lead_fs = max(config.lead_fs, verdict.time_fs - start.time_fs)
    replica = exploration.replica
    return tuple(
        replace(
            replica,
            id=f"{replica.id}-triage-{'half' if half else 'same'}-{index}",
            start=start.frame,
            velocities=None,
            time_offset_fs=0.0,
            seed=derive_seed(replica.seed, "triage", int(half), index),
            condition=replace(
                replica.condition,
                timestep_fs=replica.condition.timestep_fs * (0.5 if half else 1.0),
                duration_ps=config.clear_factor * lead_fs / 1000.0,
                minimise=False,
                velocity_factor=1.0,
            ),
        )
        for half in (True, False)
        for index in range(config.repeats)
    )


def rerun_outcome(replica: Replica, run: Exploration) -> Rerun:
    """How a rerun ended, told apart by its timestep."""
    half = run.replica.condition.timestep_fs < 0.75 * replica.condition.timestep_fs
    return Rerun(half, 1000.0 * run.md_ps, run.exit is not Exit.COMPLETED)


def weigh_reruns(outcomes: Sequence[Rerun], replica: Replica) -> Finding:
    """Numerics if every half-step rerun lives and every same-step rerun dies; else data."""
    half = [item for item in outcomes if item.half_timestep]
    same = [item for item in outcomes if not item.half_timestep]
    text = f"again from before t_cp: half timestep {_told(half)}; same timestep {_told(same)}"
    timestep_fs = replica.condition.timestep_fs
    if half and same and not any(i.died for i in half) and all(i.died for i in same):
        return Finding(
            Cause.NUMERICS,
            f"{text}: the timestep is too long",
            f"set explore.condition.timestep_fs to {0.5 * timestep_fs:g} (now {timestep_fs:g})",
        )
    return Finding(Cause.DATA, text)


def _told(outcomes: Sequence[Rerun]) -> str:
    if not outcomes:
        return "not run"
    return ", ".join(f"{'died' if i.died else 'lived'} {i.lived_fs:.0f} fs" for i in outcomes)

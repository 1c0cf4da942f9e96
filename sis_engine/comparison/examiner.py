"""One examination: fresh MD with a model, labels on frames of the survivors, and the reference.

The same replicas (starts from the reference trajectory, velocities, seeds), the same monitors with
limits from the reference, and the same frames for every arm; nothing is charged or fed back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sis_engine.comparison.config import ExaminerConfig
from sis_engine.comparison.reference import Reference, examination
from sis_engine.comparison.results import (
    ErrorResult,
    ExamResult,
    LifeResult,
    PairResult,
    SpeciesResult,
)
from sis_engine.comparison.structure import compare_pairs, compare_species, thinned
from sis_engine.config.campaign import SegmentConfig, TestConfig
from sis_engine.records import (
    Allowance,
    AuditResult,
    AuditRound,
    Committee,
    Dataset,
    Errors,
    Exploration,
    ExploreResult,
    LabelPlan,
    MdFrame,
    Model,
    Purpose,
    Start,
    Support,
    System,
    TestResult,
)
from sis_engine.samplers.auditing import most_frames
from sis_engine.seeds import derive_seed
from sis_engine.setup.assembly import Parts
from sis_engine.stages.context import StageContext
from sis_engine.stages.decide import audit
from sis_engine.stages.explore import explore
from sis_engine.stages.test import test_errors
from sis_engine.storage.splits import support_of


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model to examine. parts: of the examiner, with the trainer of the model's own arm"""

    model: Model
    parts: Parts
    generation: int
    evaluations: int


def examine(
    candidate: Candidate,
    reference: Reference,
    config: ExaminerConfig,
    folder: Path,
    bank: Path,
    *,
    stop: Callable[[], bool],
) -> ExamResult:
    """The examiner's word. ``folder``: of this examination; it is found again where it was done."""
    parts = replace(candidate.parts, systems=_fresh_systems(candidate.parts, reference))
    with examination(folder, parts, bank, stop) as stage:
        data = reference.data(parts)
        explored = stage.once(
            "explore",
            ExploreResult,
            lambda c: explore(
                stage, Committee(candidate.model), data, supports(parts, reference), c
            ),
        )
        audited = _audited(stage, explored, config)
        tested = stage.once(
            "test-errors",
            TestResult,
            lambda c: test_errors(
                stage, candidate.model, reference.outcomes, _every_frame(config), (), c
            ),
        )
        seconds = sum(row.seconds or 0.0 for row in stage.ledger.stages())
    return _word(candidate, config, reference, Seen(explored, audited, tested, seconds))


def _every_frame(config: ExaminerConfig) -> TestConfig:
    """Every frame of the reference that was kept counts, for every arm the same."""
    return TestConfig(
        segment=SegmentConfig(length_fs=1000.0 * config.reference.length_ps),
        equilibration_fs=0.0,
        stride=1,
        min_distance_angstrom=0.0,
    )


@dataclass(frozen=True, eq=False)
class Seen:
    """What was seen of one model. audited: ``None`` where nothing survived to be audited"""

    explored: ExploreResult
    audited: AuditRound | None
    tested: TestResult
    seconds: float


def supports(parts: Parts, reference: Reference) -> tuple[Support, ...]:
    """What the reference covers: the limits of the monitors, the same for every arm."""
    data = Dataset(reference.data(parts))
    found = [support_of(data, system.name) for system in parts.systems]
    return tuple(item for item in found if item is not None)


def frames_to_label(config: ExaminerConfig, parts: Parts) -> int:
    """Ten times what an audit needs, unless the comparison says otherwise."""
    return config.frames or 10 * parts.config.audit.min_frames


def frames_there_are(config: ExaminerConfig, parts: Parts) -> int:
    """Of one system, if every replica lives."""
    explore = parts.config.explore
    return config.replicas * most_frames(
        parts.base_condition.duration_ps,
        explore.sampling.sparse_every_ps,
        config.burn_in_ps,
        config.decorrelation_fs,
    )


def _fresh_systems(parts: Parts, reference: Reference) -> tuple[System, ...]:
    """Systems whose own structure is a frame of the reference: the first replica starts there."""
    fresh = []
    for system in parts.systems:
        frames = reference.frames(system.name)
        chosen = derive_seed(parts.config.seed, "examiner-start", system.name) % len(frames)
        fresh.append(replace(system, frame=frames[chosen]))
    return tuple(fresh)


# --------------------------------------------------------------------------- audit


def _audited(
    stage: StageContext, explored: ExploreResult, config: ExaminerConfig
) -> AuditRound | None:
    plans = audit_plans(explored, config, frames_to_label(config, stage.parts))
    if not plans:
        return None
    return stage.once(
        "audit", AuditRound, lambda context: audit(stage, plans, context, Allowance(), 1)
    )


def audit_plans(
    explored: ExploreResult, config: ExaminerConfig, frames: int
) -> tuple[LabelPlan, ...]:
    """Single points on frames spread evenly over the life of every survivor."""
    alive = {life.replica for life in explored.lives if life.censored}
    runs = [run for run in explored.explorations if run.replica.id in alive]
    plans = []
    for run in runs:
        system = run.replica.system.name
        n_alike = sum(other.replica.system.name == system for other in runs)
        usable = alive_frames(run, None, config)
        chosen = evenly(usable, -(-frames // n_alike))
        if chosen:
            plans.append(
                LabelPlan(
                    id=f"exam-{run.replica.id}",
                    system=system,
                    purpose=Purpose.AUDIT,
                    starts=tuple(_start(item) for item in chosen),
                    reason="the examiner: is this survivor right?",
                )
            )
    return tuple(plans)


def alive_frames(run: Exploration, end_fs: float | None, config: ExaminerConfig) -> list[MdFrame]:
    """Frames after the burn-in and before the end, never nearer than ``decorrelation_fs``."""
    kept: list[MdFrame] = []
    for item in run.frames:
        late = not kept or item.time_fs - kept[-1].time_fs >= config.decorrelation_fs - 1e-6
        before_end = end_fs is None or item.time_fs < end_fs
        usable = item.time_fs >= 1000.0 * config.burn_in_ps and before_end
        if late and usable and np.isfinite(item.frame.positions).all():
            kept.append(item)
    return kept


def evenly(items: Sequence[MdFrame], n: int) -> list[MdFrame]:
    """At most ``n`` of them, spread evenly from first to last."""
    if len(items) <= n:
        return list(items)
    return [items[int(k)] for k in np.unique(np.linspace(0, len(items) - 1, n).round())]


def _start(item: MdFrame) -> Start:
    return Start(item.frame, item.time_fs, item.velocities, item.energy, item.forces)


# --------------------------------------------------------------------------- the word


def _word(
    candidate: Candidate, config: ExaminerConfig, reference: Reference, seen: Seen
) -> ExamResult:
    parts = candidate.parts
    duration_ps = parts.base_condition.duration_ps
    lives = tuple(
        LifeResult(
            system=life.system,
            time_ps=min(life.time_ps, duration_ps),
            censored=life.censored,
            criterion=None if life.verdict is None else life.verdict.criterion,
        )
        for life in seen.explored.lives
    )
    unstable = too_few_lived(lives, config)
    wrong = _wrong(seen)
    pairs, species = _structures(parts, seen.explored, reference, config)
    return ExamResult(
        generation=candidate.generation,
        evaluations=candidate.evaluations,
        duration_ps=duration_ps,
        lives=lives,
        survival_ps=float(np.mean([life.time_ps for life in lives])),
        survived=float(np.mean([life.censored for life in lives])),
        audit=None if seen.audited is None else _judged_errors(seen.audited.result),
        test=_errors(seen.tested.errors)
        if seen.tested.judged is None
        else _judged_errors(seen.tested.judged),
        rdf_error=float(np.mean([item.error for item in pairs])) if pairs else None,
        pairs=pairs,
        species=species,
        stable=not unstable,
        right=not wrong,
        reasons=(*unstable, *wrong),
        seconds=seen.seconds,
        notes=_notes(seen),
    )


def too_few_lived(lives: Sequence[LifeResult], config: ExaminerConfig) -> tuple[str, ...]:
    """Systems of which too few replicas lived."""
    found = []
    for system in dict.fromkeys(life.system for life in lives):
        own = [life.censored for life in lives if life.system == system]
        if sum(own) < config.min_survival * len(own) - 1e-9:
            found.append(
                f"{system}: {sum(own)} of {len(own)} replicas lived, "
                f"{config.min_survival:.0%} have to"
            )
    return tuple(found)


def _wrong(seen: Seen) -> tuple[str, ...]:
    """Why the model is not right, on the reference trajectory and on frames of its survivors."""
    found: list[str] = []
    tested = seen.tested.judged
    if tested is None or not tested.passed:
        reasons = ("not judged",) if tested is None else tested.reasons
        found.extend(f"reference trajectory: {reason}" for reason in reasons)
    if seen.audited is None:
        found.append("no survivor whose frames could be labelled")
    elif not seen.audited.result.passed:
        found.extend(seen.audited.result.reasons)
    return tuple(found)


def _notes(seen: Seen) -> tuple[str, ...]:
    """What the limits rest on; the reference trajectory is one replica by design."""
    return () if seen.audited is None else seen.audited.result.notes


def _errors(errors: Errors) -> ErrorResult:
    return ErrorResult(
        n_frames=errors.n_frames,
        force_rmse=errors.force_rmse,
        relative=errors.relative_force_rmse,
        force_p99=errors.force_p99,
        energy_rmse_per_atom=errors.energy_rmse_per_atom,
        elements={item.element: item.relative for item in errors.elements},
    )


def _judged_errors(result: AuditResult) -> ErrorResult:
    return _errors(result.errors).model_copy(
        update={"relative_upper": _finite(result.relative_upper)}
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _structures(
    parts: Parts, explored: ExploreResult, reference: Reference, config: ExaminerConfig
) -> tuple[tuple[PairResult, ...], tuple[SpeciesResult, ...]]:
    """Of each system: every replica's frames for as long as it lived."""
    ends = {
        life.replica: life.verdict.time_fs for life in explored.lives if life.verdict is not None
    }
    pairs: list[PairResult] = []
    species: list[SpeciesResult] = []
    for system in parts.systems:
        runs = [run for run in explored.explorations if run.replica.system.name == system.name]
        lived = [alive_frames(run, ends.get(run.replica.id), config) for run in runs]
        replicas = [frames for frames in lived if frames]
        theirs = reference.frames(system.name)
        own = [item.frame for frames in replicas for item in thinned(frames)]
        pairs.extend(compare_pairs(system.name, own, theirs))
        if replicas:
            species.append(compare_species(system.name, replicas, theirs))
    return tuple(pairs), tuple(species)

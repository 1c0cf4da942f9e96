"""LABEL: walk down each plan of a generation; every result is durable and counted at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from sis_engine.errors import NothingLabelled
from sis_engine.interfaces import Context, Progress
from sis_engine.labelling.costs import costs_of, shared_out
from sis_engine.labelling.walk import ModelForces, walk
from sis_engine.records import (
    AcceptBounds,
    Allowance,
    FloatArray,
    Frame,
    LabelPlan,
    LabelResult,
    Model,
    OptimiseSpec,
    PlanOutcome,
    Purpose,
    Start,
    System,
)
from sis_engine.seeds import derive_seed
from sis_engine.setup.assembly import Parts
from sis_engine.stages.context import StageContext
from sis_engine.stages.frames import frames_of


def plans_at_start(parts: Parts) -> tuple[LabelPlan, ...]:
    """What generation 0 labels: one segment per system, and the test trajectories."""
    return (*initial_plans(parts), *test_plans(parts))


def initial_plans(parts: Parts) -> tuple[LabelPlan, ...]:
    """One reference segment per system, from its structure."""
    config = parts.config.initial
    if config.segment is None:
        return ()
    segment, optimise = config.segment, config.optimise
    seed = parts.config.seed if config.seed is None else config.seed
    return tuple(
        LabelPlan(
            id=f"g0000-initial-{system.name}",
            system=system.name,
            purpose=Purpose.INITIAL,
            starts=(Start(system.frame),),
            segment=segment.model_copy(
                update={"length_fs": config.lengths_fs.get(system.name, segment.length_fs)}
            ).spec(derive_seed(seed, 0, "initial", system.name)),
            bounds=AcceptBounds(optimise.max_force_ev_per_angstrom) if optimise else None,
            optimise=(
                OptimiseSpec(optimise.max_force_ev_per_angstrom, optimise.max_steps)
                if optimise
                else None
            ),
            reason="generation 0 starts from one reference segment per system",
        )
        for system in parts.systems
    )


def test_plans(parts: Parts) -> tuple[LabelPlan, ...]:
    """The independent reference trajectory of each system, if the campaign asks for one."""
    config = parts.config.test
    if config is None:
        return ()
    return tuple(
        LabelPlan(
            id=f"g0000-test-{system.name}",
            system=system.name,
            purpose=Purpose.TEST,
            starts=(Start(system.frame),),
            segment=config.segment.spec(derive_seed(parts.config.seed, 0, "test", system.name)),
            reason="independent reference trajectory, never trained on",
        )
        for system in parts.systems
    )


def label(
    stage: StageContext,
    plans: Sequence[LabelPlan],
    context: Context,
    left: Allowance,
    model: Model | None = None,
) -> LabelResult:
    """Walk down every plan, side by side on the cores there are; outcomes in the plans' order.

    model: the one that asked for these labels; segments with ``until`` are compared with it
    Plans are independent and each is seeded by itself, so the order of work changes nothing. One
    that cannot be labelled does not stop the others.

    left: what may be spent on all of them; what each may spend is settled before any begins
    """
    purses = shared_out([costs_of(plan, stage.is_known) for plan in plans], left)
    workers = max(1, min(len(plans), stage.labeler.plans_at_once(context.threads)))
    if workers == 1:
        both = zip(plans, purses, strict=True)
        return LabelResult(tuple(label_plan(stage, p, purse, context, model) for p, purse in both))
    threads = stage.labeler.threads_of_each(workers, context.threads)
    shares = [
        replace(context, workdir=_own_folder(context, plan), threads=threads, progress=shared)
        for plan, shared in zip(plans, side_by_side(context.progress, len(plans)), strict=True)
    ]
    with ThreadPoolExecutor(workers) as pool:
        walks = [
            pool.submit(label_plan, stage, plan, purse, share, model)
            for plan, purse, share in zip(plans, purses, shares, strict=True)
        ]
        return LabelResult(tuple(walk.result() for walk in walks))


def need_labels(stage: StageContext, result: LabelResult) -> LabelResult:
    """The result itself; NothingLabelled where there would be nothing to train the first model on.

    Raised before the stage is done, so that it is done again when what failed is mended. No label
    has shown yet that the labeler works, so that no failure is held against its frame either: the
    bank forgets them.
    """
    initial = stage.parts.config.initial
    found = any(outcome.labelled for outcome in result.outcomes)
    if found or stage.generation > 0 or initial.data or initial.model is not None:
        return result
    failures = [failure for outcome in result.outcomes for failure in outcome.failures]
    stage.labeler.forget_failures(failures)
    reasons = Counter(f"{f.reason.value.replace('_', ' ')}: {f.message}" for f in failures)
    told = "; ".join(f"{text} ({n} times)" for text, n in reasons.most_common(3))
    kept = [f.directory for f in failures if f.directory is not None]
    files = f"; files: {kept[0]}" if kept else ""
    raise NothingLabelled(
        f"not one frame of the first round got a label: {told or 'no plan could be walked'}{files}",
        hint="mend the labeler's settings or the structure (`sis label STRUCTURE --with …` tries "
        "one), then `sis run` again",
    )


def _own_folder(context: Context, plan: LabelPlan) -> Path:
    folder = context.workdir / plan.id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def side_by_side(progress: Progress, n: int) -> tuple[Progress, ...]:
    """Progress callables for ``n`` pieces of work whose sum is told to ``progress``."""
    all_done, all_total = [0.0] * n, [0.0] * n

    def of(index: int) -> Progress:
        def report(
            done: float, total: float | None, message: str = "", **facts: float | str
        ) -> None:
            all_done[index], all_total[index] = done, max(total or 0.0, done)
            progress(sum(all_done), sum(all_total) or None, message, **facts)

        return report

    return tuple(of(index) for index in range(n))


def label_plan(
    stage: StageContext,
    plan: LabelPlan,
    allowance: Allowance,
    context: Context,
    model: Model | None,
) -> PlanOutcome:
    with stage.labeler.stream():
        return walk(
            plan,
            stage.parts.system(plan.system),
            stage.labeler,
            generation=stage.generation,
            context=context,
            on_result=stage.count,
            model_forces=None if model is None else _forces_by(stage, model, context),
            allowance=allowance,
            is_known=stage.is_known,
        )


def _forces_by(stage: StageContext, model: Model, context: Context) -> ModelForces:
    """What the deployed model says of frames, through the trainer's own code."""

    def said(system: System, frames: Sequence[Frame]) -> FloatArray:
        asked = frames_of(system.name, frames)
        return stage.parts.trainer.predict(model, model.deployed, asked, context).forces

    return said

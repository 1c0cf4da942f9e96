"""Plans that answer a catastrophe: where labels start, and what may be accepted there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sis_engine.interfaces import SamplerInput
from sis_engine.numerals import beside
from sis_engine.records import (
    AcceptBounds,
    Exploration,
    LabelPlan,
    Purpose,
    Quantity,
    Start,
    Support,
    Verdict,
)
from sis_engine.samplers.sis_config import SegmentSettings, SisSettings
from sis_engine.samplers.starting import as_start, first_failures, usable
from sis_engine.seeds import derive_seed
from sis_engine.units import BOLTZMANN_EV_PER_K


def earliest_catastrophes(
    explorations: Sequence[Exploration], verdicts: Iterable[Verdict], per_system: int
) -> tuple[tuple[Exploration, Verdict], ...]:
    """t_cp of each replica; of these the ``per_system`` earliest of every system, in time order."""
    first = first_failures(verdicts)
    failed = [(run, first[run.replica.id]) for run in explorations if run.replica.id in first]
    failed.sort(key=lambda item: (item[1].time_fs, item[0].replica.id))
    chosen: list[tuple[Exploration, Verdict]] = []
    for run, verdict in failed:
        name = run.replica.system.name
        if sum(other.replica.system.name == name for other, _ in chosen) < per_system:
            chosen.append((run, verdict))
    return tuple(chosen)


def catastrophe_plan(
    given: SamplerInput, config: SegmentSettings, run: Exploration, verdict: Verdict, index: int
) -> LabelPlan:
    """A segment from the last good frame before t_cp."""
    support = support_of(given, run.replica.system.name)
    starts = starts_before(run, verdict.time_fs, support, config)
    why = told(run, verdict)
    return segment_plan(given, config, run, starts, name=f"cp-{index}", bisect=True, reason=why)


def published_plan(
    given: SamplerInput, config: SisSettings, run: Exploration, verdict: Verdict, index: int
) -> LabelPlan:
    """A segment from the one frame a fixed time before t_cp, or from the start structure."""
    frames = usable(run.frames, verdict.time_fs - config.published_backoff_fs)
    start = as_start(frames[-1]) if frames else Start(run.replica.start, time_fs=0.0)
    why = told(run, verdict)
    return segment_plan(given, config, run, (start,), name=f"cp-{index}", bisect=False, reason=why)


def told(run: Exploration, verdict: Verdict) -> str:
    """The catastrophe in words, with its figures."""
    value, limit = beside(verdict.value, verdict.limit)
    return (
        f"{run.replica.id}: {verdict.monitor} ({verdict.criterion}) at "
        f"{verdict.time_fs / 1000.0:.3f} ps, value {value}, limit {limit}"
    )


def segment_plan(
    given: SamplerInput,
    config: SegmentSettings,
    run: Exploration,
    starts: tuple[Start, ...],
    *,
    name: str,
    bisect: bool,
    reason: str,
) -> LabelPlan:
    """One segment from one of ``starts``, at the temperature of the replica it answers."""
    system = run.replica.system.name
    condition = run.replica.condition
    seed = derive_seed(given.seed, given.generation, "segment", system, name)
    return LabelPlan(
        id=f"g{given.generation:04d}-{name}-{system}",
        system=system,
        purpose=Purpose.SEGMENT,
        starts=starts,
        segment=config.segment_rule.spec(condition.temperature_k, seed),
        bounds=accept_bounds(run, support_of(given, system), config),
        bisect=config.bisect.spec() if bisect and config.bisect is not None else None,
        optimise=None if config.optimise is None else config.optimise.spec(),
        reason=reason,
    )


def point_plan(
    given: SamplerInput, config: SisSettings, run: Exploration, verdict: Verdict, index: int
) -> LabelPlan | None:
    """Single points on the last frames up to t_cp, if asked for: the last good, the first bad."""
    frames = usable(run.frames, verdict.time_fs)[-config.single_points or len(run.frames) :]
    if config.single_points == 0 or not frames:
        return None
    system = run.replica.system.name
    return LabelPlan(
        id=f"g{given.generation:04d}-points-{index}-{system}",
        system=system,
        purpose=Purpose.SINGLE,
        starts=tuple(as_start(item) for item in reversed(frames)),
        reason=f"{run.replica.id}: the last {len(frames)} frames up to t_cp",
    )


# --------------------------------------------------------------------------- starts


def starts_before(
    run: Exploration, time_fs: float, support: Support | None, config: SegmentSettings
) -> tuple[Start, ...]:
    """Frames before ``time_fs``, newest first from t_next; the replica's own start comes last.

    t_next is the last frame at which the trace was inside the inner band, at least
    ``min_backoff_fs`` before. Failure at once leaves the start structure only.
    """
    limit_fs = time_fs - config.min_backoff_fs
    inner_fs = last_inside(run, limit_fs, support, config)
    frames = [] if inner_fs is None else usable(run.frames, min(limit_fs, inner_fs))
    newest_first = [as_start(item) for item in reversed(frames)][: config.max_starts]
    own = Start(run.replica.start, time_fs=run.replica.time_offset_fs)
    if any(item.frame.key == own.frame.key for item in newest_first):
        return tuple(newest_first)
    return (*newest_first, own)


def last_inside(
    run: Exploration, limit_fs: float, support: Support | None, config: SegmentSettings
) -> float | None:
    """Last time up to ``limit_fs`` inside the inner band; ``None`` if there was none.

    A trace without the needed columns excludes nothing.
    """
    trace = run.trace
    inside = trace.time_fs <= limit_fs
    temperature = trace.series(Quantity.TEMPERATURE)
    if temperature is not None:
        target = run.replica.condition.temperature_k
        lower, upper = (factor * target for factor in config.inner_band.temperature_factors)
        inside = inside & (temperature >= lower) & (temperature <= upper)
    energy = trace.series(Quantity.POTENTIAL_ENERGY)
    if energy is not None and support is not None:
        above, below = (
            sigma * thermal_width(run)
            for sigma in (
                config.inner_band.energy_above_sigma,
                config.inner_band.energy_below_sigma,
            )
        )
        inside = inside & (energy <= support.energy_max + above)
        inside = inside & (energy >= support.energy_min - below)
    if trace.time_fs.size == 0:
        return limit_fs
    return float(trace.time_fs[inside][-1]) if inside.any() else None


def accept_bounds(
    run: Exploration, support: Support | None, config: SegmentSettings
) -> AcceptBounds:
    """Bounds on a start's label; on energy only where labels of the system give a reference."""
    if support is None:
        return AcceptBounds(max_force=config.accept.max_force)
    widths = config.accept.energy_sigma * thermal_width(run)
    # Labels of near-catastrophes raise the labelled maximum: the mean keeps it from ratcheting up.
    reference = min(support.energy_max, support.energy_mean + widths)
    return AcceptBounds(
        max_force=config.accept.max_force,
        max_energy_above=config.accept.energy_above + widths,
        reference_energy=reference,
    )


def thermal_width(run: Exploration) -> float:
    """Canonical width of the potential energy, k T sqrt(N_f / 2), eV (harmonic)."""
    moving = run.replica.system.frame.n_atoms - len(run.replica.system.frozen)
    return BOLTZMANN_EV_PER_K * run.replica.condition.temperature_k * math.sqrt(1.5 * moving)


def support_of(given: SamplerInput, system: str) -> Support | None:
    return next((item for item in given.support if item.system == system), None)

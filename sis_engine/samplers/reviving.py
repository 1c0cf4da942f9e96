"""Where MD dies at once there is no frame to choose: short reference MD from where it began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sis_engine.interfaces import SamplerInput
from sis_engine.records import Exploration, LabelPlan, Purpose, Start, Verdict
from sis_engine.samplers.sis_config import SegmentRule
from sis_engine.samplers.starting import alive_until_fs, usable
from sis_engine.seeds import derive_seed


def died_at_once(runs: Sequence[Exploration], failures: Mapping[str, Verdict]) -> bool:
    """Every replica failed, and none kept a frame between its start and its t_cp.

    What it kept are the start, labelled already, and where the model took it at once.
    """
    return bool(runs) and not any(
        run.replica.id not in failures or _moved(run, alive_until_fs(run, failures)) for run in runs
    )


def _moved(run: Exploration, end_fs: float) -> bool:
    begin_fs = run.replica.time_offset_fs
    return any(begin_fs < item.time_fs < end_fs for item in usable(run.frames, end_fs))


def revival_plan(given: SamplerInput, runs: Sequence[Exploration], n_evaluations: int) -> LabelPlan:
    """``n_evaluations`` steps of reference MD from the start of one of ``runs``, another one in
    every generation.
    """
    run = runs[given.generation % len(runs)]
    system, condition = run.replica.system.name, run.replica.condition
    timestep_fs = min(SegmentRule().timestep_fs, condition.timestep_fs)
    rule = SegmentRule(timestep_fs=timestep_fs, length_fs=n_evaluations * timestep_fs)
    seed = derive_seed(given.seed, given.generation, "segment", system, "revival")
    return LabelPlan(
        id=f"g{given.generation:04d}-revival-{system}",
        system=system,
        purpose=Purpose.SEGMENT,
        starts=(Start(run.replica.start, time_fs=run.replica.time_offset_fs),),
        segment=rule.spec(condition.temperature_k, seed),
        reason=f"no replica of {system} lived for one frame: reference MD from the start of "
        f"{run.replica.id}",
    )

"""The simplest baseline: just a longer reference MD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from sis_engine.interfaces import SamplerInput
from sis_engine.records import Decision, LabelPlan, Purpose, Start, System, Verdict
from sis_engine.samplers.auditing import learn_plans
from sis_engine.samplers.sis_config import SegmentRule
from sis_engine.samplers.spending import affordable
from sis_engine.samplers.stopping import StoppingSampler, failure_summary
from sis_engine.samplers.stopping_config import StoppingConfig
from sis_engine.seeds import derive_seed


class AimdConfig(StoppingConfig):
    """Reference MD that goes on where it stood, a segment a generation.

    segment: its length; as SIS's, so that a generation costs the same
    """

    type: Literal["aimd"] = "aimd"
    segment: SegmentRule = SegmentRule()


class AimdSampler(StoppingSampler[AimdConfig]):
    """Looks at nothing: the model's MD only says when it is enough."""

    Config: ClassVar[type[AimdConfig]] = AimdConfig

    def answer(self, given: SamplerInput, verdicts: Sequence[Verdict]) -> Decision:
        return self._longer(given, (), failure_summary(given, verdicts))

    def correct(self, given: SamplerInput, reason: str) -> Decision:
        return self._longer(given, learn_plans(given, self.config.audit), reason)

    def _longer(self, given: SamplerInput, learn: Sequence[LabelPlan], reason: str) -> Decision:
        plans = [continued(given, system, self.config.segment) for system in given.systems]
        kept = affordable(plans, given, min_steps=self.config.segment.min_steps)
        return self.request(given, plans, [*learn, *kept] if kept else (), reason)


def continued(given: SamplerInput, system: System, rule: SegmentRule) -> LabelPlan:
    """The system's reference MD, longer; from its structure where it has none yet.

    The first frame is the last one known, so the segment has one step more than its length.
    """
    end = next((item for item in given.reference_ends if item.system == system.name), None)
    start = Start(system.frame, time_fs=0.0) if end is None else end.start
    after = "it has none yet" if end is None else f"after {end.plan}"
    seed = derive_seed(given.seed, given.generation, "aimd", system.name)
    condition = given.conditions[0] if given.conditions else given.explorations[0].replica.condition
    spec = rule.spec(condition.temperature_k, seed)
    return LabelPlan(
        id=f"g{given.generation:04d}-aimd-{system.name}",
        system=system.name,
        purpose=Purpose.SEGMENT,
        starts=(start,),
        segment=spec if end is None else replace(spec, n_steps=spec.n_steps + 1),
        continues=True,
        reason=f"longer reference MD of {system.name}: {after}",
    )

"""SIS: labels where MD becomes unstable, until it is stable and an audit says it is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sis_engine.interfaces import Needs, SamplerInput
from sis_engine.records import (
    Answer,
    Decision,
    Exhausted,
    LabelPlan,
    Requests,
    Stable,
    Verdict,
)
from sis_engine.samplers.auditing import learn_plans
from sis_engine.samplers.early import early_audit
from sis_engine.samplers.mending import mending_plans
from sis_engine.samplers.segments import (
    catastrophe_plan,
    earliest_catastrophes,
    point_plan,
    published_plan,
)
from sis_engine.samplers.sis_config import SisConfig, SisPaperConfig, SisSettings
from sis_engine.samplers.spending import affordable
from sis_engine.samplers.stopping import StoppingSampler, failure_summary

PUBLISHED_MONITORS = ("temperature", "explorer")
"""The paper's catastrophe is of temperature; a crash of the engine is one by any rule."""


class SisSampler(StoppingSampler[SisSettings]):
    """Segments from before the earliest catastrophes; early audits of those that lived."""

    Config: ClassVar[type[SisSettings]] = SisConfig

    @property
    def needs(self) -> Needs:
        """The earliest failures of a system are all that it answers."""
        published = self.config.published  # of the replicas' failures it takes but some then
        return Needs(failures=None if published else self.config.segments_per_system)

    def check(self, replicas: int) -> None:
        """Fewer replicas than must survive can never end *stable*."""
        if not self.config.published:
            super().check(replicas)

    def catastrophes(self, given: SamplerInput) -> tuple[Verdict, ...]:
        if not self.config.published:
            return given.verdicts
        return tuple(v for v in given.verdicts if v.monitor in PUBLISHED_MONITORS)

    def confirm(self, given: SamplerInput) -> Answer:
        if not self.config.published:
            return super().confirm(given)
        lived = f"all {len(given.explorations)} replicas lived to the end"
        if not given.settled:  # nothing to label; the same model meets the finer window next
            return Requests((), f"{lived}, in a window that a later generation narrows")
        return Stable(f"{lived} (no audit)")

    def answer(self, given: SamplerInput, verdicts: Sequence[Verdict]) -> Decision:
        """Segments from before the earliest catastrophes."""
        early = None if self.config.published else early_audit(given, self.config.audit, verdicts)
        if early is not None:
            return early
        chosen = earliest_catastrophes(
            given.explorations, verdicts, self.config.segments_per_system
        )
        if not chosen:
            return Exhausted(
                f"{len(verdicts)} verdicts, first {verdicts[0].replica!r}, belong to no replica "
                "of this generation"
            )
        plans: list[LabelPlan] = []
        for index, (run, verdict) in enumerate(chosen):
            if self.config.published:
                plans.append(published_plan(given, self.config, run, verdict, index))
                continue
            plans.append(catastrophe_plan(given, self.config, run, verdict, index))
            points = point_plan(given, self.config, run, verdict, index)
            if points is not None:
                plans.append(points)
        if given.audit is not None and not given.audit.passed:
            plans += learn_plans(given, self.config.audit)
            plans += mending_plans(given, self.config)
        kept = self._affordable(given, plans)
        return self.request(given, plans, kept, failure_summary(given, verdicts))

    def correct(self, given: SamplerInput, reason: str) -> Decision:
        """The audited frames are data, and segments start where the model was worst."""
        learn = learn_plans(given, self.config.audit)
        segments = self._affordable(given, mending_plans(given, self.config))
        if not segments and not learn:
            return Exhausted(f"{reason}; nothing more can be labelled")
        return Requests((*learn, *segments), reason)

    def _affordable(self, given: SamplerInput, plans: Sequence[LabelPlan]) -> tuple[LabelPlan, ...]:
        min_steps = self.config.segment_rule.min_steps
        return affordable(plans, given, min_steps=min_steps)


class SisPaperSampler(SisSampler):
    """SIS as published."""

    Config = SisPaperConfig

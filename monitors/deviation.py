"""Disagreement of a committee of models (its sampler and engine are another issue's)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from monitors.rules import MonitorConfig, RuleMonitor
from sis_engine.interfaces import MonitorContext
from sis_engine.records import HaltRule, Quantity, Relation


class DeviationConfig(MonitorConfig):
    """The largest standard deviation of a force vector over the members, as DP-GEN has it.

    max_deviation: eV/Å: its trust_hi, 0.35 in DP-GEN's examples
    """

    type: Literal["deviation"] = "deviation"
    max_deviation: float = Field(default=0.35, gt=0.0)


class DeviationMonitor(RuleMonitor[DeviationConfig]):
    """Fires where the committee's force deviation is above ``max_deviation``."""

    Config = DeviationConfig
    name = "deviation"

    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        return (
            HaltRule(
                self.name,
                Quantity.MODEL_DEVIATION,
                Relation.ABOVE,
                self.config.max_deviation,
                every_steps=self.config.check_steps(context.condition),
            ),
        )

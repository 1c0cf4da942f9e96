"""Volume under NPT, relative to the start."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from monitors.rules import MonitorConfig, RuleMonitor
from sis_engine.interfaces import MonitorContext
from sis_engine.records import Ensemble, HaltRule, Quantity, Relation


class VolumeConfig(MonitorConfig):
    """Limits on volume over the volume of the system's own structure.

    lower_ratio: 0.55: Li, as soft as metals come (B = 12 GPa, B' = 3.5), is at 0.68 under 10 GPa
        by Murnaghan's equation
    upper_ratio: 1.4: wider than thermal expansion from 0 K into the liquid (below 20 %)
    """

    type: Literal["volume"] = "volume"
    lower_ratio: float = Field(default=0.55, gt=0.0, lt=1.0)
    upper_ratio: float = Field(default=1.4, gt=1.0)


class VolumeMonitor(RuleMonitor[VolumeConfig]):
    """No rules under NVT or without a cell."""

    Config = VolumeConfig
    name = "volume"

    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        cell = context.system.frame.cell
        if context.condition.ensemble is not Ensemble.NPT or cell is None:
            return ()
        volume = abs(float(np.linalg.det(cell)))
        every = self.config.check_steps(context.condition)
        return (
            HaltRule(
                self.name,
                Quantity.VOLUME,
                Relation.BELOW,
                self.config.lower_ratio * volume,
                every_steps=every,
            ),
            HaltRule(
                self.name,
                Quantity.VOLUME,
                Relation.ABOVE,
                self.config.upper_ratio * volume,
                every_steps=every,
            ),
        )

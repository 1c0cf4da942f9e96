"""Local blow-up: the largest kinetic energy and the largest force of a single atom.

One H at 20,000 K moves the temperature of 240 atoms by 80 K: a global temperature does not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from monitors.rules import MonitorConfig, RuleMonitor, Violation
from monitors.thermal import (
    force_norms,
    frame_at,
    kinetic_energies,
    kinetic_quantile,
    outliers,
)
from sis_engine.interfaces import MonitorContext
from sis_engine.records import HaltRule, MdFrame, Quantity, Relation


class BlowUpConfig(MonitorConfig):
    """Limits from the Maxwell-Boltzmann tail and from the labelled forces.

    false_alarm_probability: chance per replica that a healthy atom exceeds the kinetic limit,
        corrected for atoms times checks
    reaction_allowance: eV on top: what an exothermic step gives one atom. 0.5 keeps H at
        20,000 K (2.6 eV) well above the limit (1.8 eV for 21 atoms, 5 ps, started at 600 K)
    force_factor: the largest labelled force times this. Labelled MD of 4 ps (21 atoms, GFN2):
        6.3-8.0 eV/Å at 300-590 K, 12.9 at 830 K; 2.5 leaves room for rarer events
    min_force_limit: eV/Å: never lower, for small data sets: an X-H bond at a 300 K extreme of
        0.3 Å and 30 eV/Å² gives 10
    max_force_limit: eV/Å: never higher, and the limit where nothing is labelled: a bonded pair at
        two thirds of its length
    """

    type: Literal["blow_up"] = "blow_up"
    false_alarm_probability: float = Field(default=1e-6, gt=0.0, lt=1.0)
    reaction_allowance: float = Field(default=0.5, ge=0.0)
    force_factor: float = Field(default=2.5, gt=1.0)
    min_force_limit: float = Field(default=20.0, gt=0.0)
    max_force_limit: float = Field(default=60.0, gt=0.0)


class BlowUpMonitor(RuleMonitor[BlowUpConfig]):
    """Both limits hold from step 0."""

    Config = BlowUpConfig
    name = "blow_up"

    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        every = self.config.check_steps(context.condition)
        limits = (
            (Quantity.MAX_KINETIC, self._kinetic_limit(context)),
            (Quantity.MAX_FORCE, self._force_limit(context)),
        )
        return tuple(
            HaltRule(self.name, quantity, Relation.ABOVE, limit, every_steps=every)
            for quantity, limit in limits
        )

    def guilty(
        self,
        rule: HaltRule,
        violation: Violation,
        frames: Sequence[MdFrame],
        context: MonitorContext,
    ) -> tuple[int, ...]:
        del context
        frame = frame_at(frames, violation.time_fs)
        if frame is None:
            return ()
        kinetic = rule.quantity is Quantity.MAX_KINETIC
        return outliers(kinetic_energies(frame) if kinetic else force_norms(frame), rule.limit)

    def _kinetic_limit(self, context: MonitorContext) -> float:
        condition = context.condition
        every_fs = self.config.check_steps(condition) * condition.timestep_fs
        checks = max(1.0, 1000.0 * condition.duration_ps / every_fs)
        tail = self.config.false_alarm_probability / (checks * context.system.frame.n_atoms)
        hottest = condition.temperature_k * max(1.0, condition.velocity_factor)
        return kinetic_quantile(hottest, tail) + self.config.reaction_allowance

    def _force_limit(self, context: MonitorContext) -> float:
        if context.support is None or context.support.n_frames == 0:
            return self.config.max_force_limit
        labelled = self.config.force_factor * context.support.max_force
        return min(max(labelled, self.config.min_force_limit), self.config.max_force_limit)

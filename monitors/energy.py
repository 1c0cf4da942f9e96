"""Potential energy outside what the labels support, energy spikes, and slow drift."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from monitors.rules import MonitorConfig, RuleMonitor
from monitors.thermal import degrees_of_freedom, energy_width
from sis_engine.interfaces import MonitorContext
from sis_engine.records import HaltRule, Quantity, Relation, Support
from sis_engine.units import BOLTZMANN_EV_PER_K


class EnergyConfig(MonitorConfig):
    """Limits around the labelled range, in thermal widths sigma = k T sqrt(N_f / 2).

    upper_margin_sigma: above the labelled maximum: a short segment sees its mean + 2.5 to 3 sigma,
        a long run never its mean + 6.5; 21 atoms at 300 K: 0.55 eV
    lower_margin_sigma: below the labelled minimum. Tight, for the potential energy has a floor, the
        minimum of its basin, and a wrong model falls through it: on LiFSI + dioxolane GFN2 never
        went below the optimised energy, three "survivors" 114 meV/atom wrong did by 0.4 eV
    model_error_per_atom: eV, added to both: what an admitted model may be off by; 21 atoms: 0.1 eV
    mean_margin_sigma: a mean over ``average_fs`` lies within the labelled *instantaneous* range,
        widened by this
    average_fs: how long that mean is over; a fluctuation averages out in 1 ps, a drift does not;
        0: no mean is looked at
    jump_sigma: |change| between two checks, in sigma; eight: 1.1 eV for 21 atoms at 300 K, where
        GFN2-xTB showed at most 0.59 eV in 10 fs over 4 ps
    far_per_atom: eV: beyond the labelled range by this and the margin is a catastrophe at once.
        0.25 is three times what heating from 0 to 300 K takes (3 kT = 0.08); reactions stay below
        it, and a wrong model that was met did not: its energy fell by 0.6 eV an atom
    burn_in_fs: the labelled minimum, the means and the jumps wait: MD starts from the model's own
        minimum, (N_f / 2) k T below the thermal mean, which alone bounds it until then. 200 fs is a
        quarter period of the slow librations; labels that hold the minimum allow 0
    suspect: outside the range but not far is *suspect*: one evaluation decides (reactions
        release energy); if false it is a verdict
    """

    type: Literal["energy"] = "energy"
    upper_margin_sigma: float = Field(default=4.0, ge=0.0)
    lower_margin_sigma: float = Field(default=1.0, ge=0.0)
    model_error_per_atom: float = Field(default=0.005, ge=0.0)
    mean_margin_sigma: float = Field(default=0.0, ge=0.0)
    average_fs: float = Field(default=1000.0, ge=0.0)
    jump_sigma: float = Field(default=8.0, gt=0.0)
    far_per_atom: float = Field(default=0.25, gt=0.0)
    burn_in_fs: float = Field(default=200.0, ge=0.0)
    suspect: bool = True


class EnergyMonitor(RuleMonitor[EnergyConfig]):
    """Without labels of the system there are no limits, and no rules."""

    Config = EnergyConfig
    name = "energy"

    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        if context.support is None or context.support.n_frames == 0:
            return ()
        burn_in, support = self.config.burn_in_fs, context.support
        sigma = self._sigma(context)
        error = self.config.model_error_per_atom * context.system.frame.n_atoms
        below = self.config.lower_margin_sigma * sigma + error
        low, floor = support.energy_min - below, self._floor(context, support) - below
        high = support.energy_max + self.config.upper_margin_sigma * sigma + error
        far = self.config.far_per_atom * context.system.frame.n_atoms
        rules = [
            self._rule(context, Relation.ABOVE, high + far),
            self._rule(context, Relation.BELOW, floor - far),
            self._rule(context, Relation.ABOVE, high, suspect=True),
            self._rule(context, Relation.BELOW, floor, suspect=True),
            self._jump(context),
        ]
        if floor < low:
            rules.append(self._rule(context, Relation.BELOW, low, suspect=True, after_fs=burn_in))
        if self.config.average_fs > 0.0:
            margin = self.config.mean_margin_sigma * sigma
            low, high = support.energy_min - margin, support.energy_max + margin
            average = self.config.average_fs
            rules += [
                self._rule(
                    context, relation, limit, suspect=True, after_fs=burn_in, average_fs=average
                )
                for relation, limit in ((Relation.ABOVE, high), (Relation.BELOW, low))
            ]
        return tuple(rules)

    def _sigma(self, context: MonitorContext) -> float:
        return energy_width(degrees_of_freedom(context.system), context.condition.temperature_k)

    def _floor(self, context: MonitorContext, support: Support) -> float:
        """Where a minimised start may lie, eV: labelled minimum, or the mean less (N_f / 2) k T.

        By equipartition the harmonic minimum lies that far below the thermal mean.
        """
        thermal = 0.5 * degrees_of_freedom(context.system) * BOLTZMANN_EV_PER_K
        thermal *= context.condition.temperature_k
        return min(support.energy_min, support.energy_mean - thermal)

    def _jump(self, context: MonitorContext) -> HaltRule:
        return HaltRule(
            monitor=self.name,
            quantity=Quantity.ENERGY_JUMP,
            relation=Relation.ABOVE,
            limit=self.config.jump_sigma * self._sigma(context),
            every_steps=self.config.check_steps(context.condition),
            after_fs=self.config.burn_in_fs,
            suspect=self.config.suspect,
        )

    def _rule(
        self,
        context: MonitorContext,
        relation: Relation,
        limit: float,
        *,
        suspect: bool = False,
        after_fs: float = 0.0,
        average_fs: float | None = None,
    ) -> HaltRule:
        # A limit that is not finite would switch the rule off in silence.
        if not math.isfinite(limit):
            raise ValueError(f"energy limit of {context.system.name} is {limit}")
        return HaltRule(
            monitor=self.name,
            quantity=Quantity.POTENTIAL_ENERGY,
            relation=relation,
            limit=limit,
            every_steps=self.config.check_steps(context.condition),
            after_fs=after_fs,
            average_fs=average_fs,
            suspect=suspect and self.config.suspect,
        )

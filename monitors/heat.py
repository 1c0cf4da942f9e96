"""Heat carried away by the thermostat: strong damping hides a catastrophe, the heat does not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from monitors.rules import MonitorConfig, RuleMonitor
from monitors.thermal import degrees_of_freedom
from sis_engine.interfaces import MonitorContext
from sis_engine.records import HaltRule, Quantity, Relation
from sis_engine.units import BOLTZMANN_EV_PER_K


class HeatConfig(MonitorConfig):
    """Limits on the cumulative heat given to (or taken from) the thermostat, eV per atom.

    released_per_atom: what relaxation may release beyond the labelled energies: 0.1 is 3.9 kT at
        300 K and more than settling of a solvent gives; a reaction beyond it is *suspect*
    far_per_atom: a catastrophe at once. A wrong model that was met released 20 eV in 32 atoms, 0.6
        an atom, at a mean of 305 K: twice this
    absorbed_per_atom: what may be absorbed beyond heating a cold structure, N_f k T (kinetic and
        potential half each): 0.15: melting takes 0.01-0.1
    suspect: whether ``released_per_atom`` and ``absorbed_per_atom`` are suspects or verdicts
    """

    type: Literal["heat"] = "heat"
    released_per_atom: float = Field(default=0.1, gt=0.0)
    far_per_atom: float = Field(default=0.3, gt=0.0)
    absorbed_per_atom: float = Field(default=0.15, gt=0.0)
    suspect: bool = True


class HeatMonitor(RuleMonitor[HeatConfig]):
    """HEAT is the energy taken from the system by the thermostat since the start of dynamics."""

    Config = HeatConfig
    name = "heat"

    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        n_atoms = context.system.frame.n_atoms
        explained = self._explained_release(context)
        heating = (
            degrees_of_freedom(context.system)
            * BOLTZMANN_EV_PER_K
            * context.condition.temperature_k
        )
        released = explained + self.config.released_per_atom * n_atoms
        far = explained + self.config.far_per_atom * n_atoms
        absorbed = -heating - self.config.absorbed_per_atom * n_atoms
        suspect = self.config.suspect
        return (
            self._rule(context, Relation.ABOVE, far),
            self._rule(context, Relation.ABOVE, released, suspect=suspect),
            self._rule(context, Relation.BELOW, absorbed, suspect=suspect),
        )

    def _explained_release(self, context: MonitorContext) -> float:
        """Heat that labelled energies account for, eV, and what hot start velocities bring.

        A suspect that the labeler agreed with extends the labelled range downwards, and so this:
        the heat of a real reaction is explained once its products are labelled.
        """
        factor = max(0.0, context.condition.velocity_factor - 2.0)
        brought = (
            0.5
            * factor
            * degrees_of_freedom(context.system)
            * BOLTZMANN_EV_PER_K
            * context.condition.temperature_k
        )
        support = context.support
        if support is None or support.n_frames == 0:
            return brought
        return brought + support.energy_mean - support.energy_min

    def _rule(
        self, context: MonitorContext, relation: Relation, limit: float, *, suspect: bool = False
    ) -> HaltRule:
        return HaltRule(
            monitor=self.name,
            quantity=Quantity.HEAT,
            relation=relation,
            limit=limit,
            every_steps=self.config.check_steps(context.condition),
            suspect=suspect,
        )

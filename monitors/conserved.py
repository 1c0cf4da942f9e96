"""Drift of the conserved quantity: numerics, not data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from monitors.rules import MonitorConfig, RuleMonitor
from sis_engine.interfaces import MonitorContext
from sis_engine.records import HaltRule, Quantity, Relation


class ConservedConfig(MonitorConfig):
    """How far the conserved quantity may wander, eV per atom.

    max_drift_per_atom_per_ps: 0.002: with a sound timestep velocity Verlet drifts below 1e-5,
        a single-precision model below 1e-4; at 0.002 the thermostat works against 8 K/ps
    floor_per_atom: short runs: the shadow Hamiltonian oscillates by some meV an atom
    cap_per_atom: long runs: more than this never passes
    """

    type: Literal["conserved"] = "conserved"
    max_drift_per_atom_per_ps: float = Field(default=0.002, gt=0.0)
    floor_per_atom: float = Field(default=0.02, gt=0.0)
    cap_per_atom: float = Field(default=0.2, gt=0.0)


class ConservedMonitor(RuleMonitor[ConservedConfig]):
    """Its verdicts go to triage, which asks whether the drift led or followed."""

    Config = ConservedConfig
    name = "conserved"

    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        rate = self.config.max_drift_per_atom_per_ps * context.condition.duration_ps
        per_atom = min(self.config.cap_per_atom, self.config.floor_per_atom + rate)
        limit = per_atom * context.system.frame.n_atoms
        return tuple(
            HaltRule(
                monitor=self.name,
                quantity=Quantity.CONSERVED_DRIFT,
                relation=relation,
                limit=sign * limit,
                every_steps=self.config.check_steps(context.condition),
            )
            for relation, sign in ((Relation.ABOVE, 1.0), (Relation.BELOW, -1.0))
        )

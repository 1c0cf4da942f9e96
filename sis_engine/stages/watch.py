"""How the monitors watch a replica: their rules, and what they derive them from."""

from __future__ import annotations

from sis_engine.interfaces import MonitorContext
from sis_engine.records import Condition, HaltRule, Model, Support, System
from sis_engine.stages.context import StageContext


def halt_rules(stage: StageContext, watch: MonitorContext) -> tuple[HaltRule, ...]:
    """The rules of all monitors."""
    return tuple(rule for monitor in stage.parts.monitors for rule in monitor.halt_rules(watch))


def monitor_context(
    stage: StageContext,
    model: Model,
    system: System,
    condition: Condition,
    support: Support | None,
) -> MonitorContext:
    """What a monitor may know of one system under one condition in this generation."""
    return MonitorContext(
        system=system,
        condition=condition,
        support=support,
        generation=stage.generation,
        model_elements=model.elements,
        model_sel=model.sel,
        model_cutoff_angstrom=model.cutoff_angstrom,
    )

"""How the monitors watch a replica: their rules, and what they derive them from."""

from __future__ import annotations

from collections.abc import Sequence

from sis_engine.interfaces import MonitorContext
from sis_engine.records import Condition, HaltRule, MdRules, Model, Support, System
from sis_engine.setup.assembly import Parts
from sis_engine.stages.context import StageContext


def rules_at_start(
    parts: Parts, generation: int, model: Model, support: Sequence[Support]
) -> tuple[MdRules, ...]:
    """The rules of every system under the campaign's own condition, as MD begins.

    support: what the labels cover, of those systems that have any
    """
    supports = {item.system: item for item in support}
    return tuple(
        MdRules(
            system.name,
            _rules(
                parts,
                _context(
                    generation, model, system, parts.base_condition, supports.get(system.name)
                ),
            ),
        )
        for system in parts.systems
    )


def halt_rules(stage: StageContext, watch: MonitorContext) -> tuple[HaltRule, ...]:
    """The rules of all monitors."""
    return _rules(stage.parts, watch)


def _rules(parts: Parts, watch: MonitorContext) -> tuple[HaltRule, ...]:
    return tuple(rule for monitor in parts.monitors for rule in monitor.halt_rules(watch))


def monitor_context(
    stage: StageContext,
    model: Model,
    system: System,
    condition: Condition,
    support: Support | None,
) -> MonitorContext:
    """What a monitor may know of one system under one condition in this generation."""
    return _context(stage.generation, model, system, condition, support)


def _context(
    generation: int, model: Model, system: System, condition: Condition, support: Support | None
) -> MonitorContext:
    return MonitorContext(
        system=system,
        condition=condition,
        support=support,
        generation=generation,
        model_elements=model.elements,
        model_sel=model.sel,
        model_cutoff_angstrom=model.cutoff_angstrom,
    )

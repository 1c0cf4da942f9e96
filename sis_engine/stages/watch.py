"""How the monitors watch a replica: their rules, and what they derive them from."""

from __future__ import annotations

from collections.abc import Sequence

from sis_engine.interfaces import MonitorContext
from sis_engine.records import Condition, HaltRule, MdRules, Model, Support, System
from sis_engine.setup.assembly import Parts

_LAST_GENERATION = 10**9
"""No campaign comes so far; whatever changes with generations has changed by then."""


def rules_at_start(
    parts: Parts, generation: int, model: Model, support: Sequence[Support]
) -> tuple[MdRules, ...]:
    """The rules of every system under the campaign's own condition, as MD begins.

    support: what the labels cover, of those systems that have any
    """
    supports = {item.system: item for item in support}
    found = []
    for system in parts.systems:
        own = supports.get(system.name)
        watch = monitor_context(generation, model, system, parts.base_condition, own)
        found.append(MdRules(system.name, halt_rules(parts, watch)))
    return tuple(found)


def rules_are_final(
    parts: Parts, generation: int, model: Model, support: Sequence[Support]
) -> bool:
    """Whether no later generation is watched more strictly (windows go from coarse to fine)."""
    now, later = (
        rules_at_start(parts, number, model, support) for number in (generation, _LAST_GENERATION)
    )
    return now == later


def halt_rules(parts: Parts, watch: MonitorContext) -> tuple[HaltRule, ...]:
    """The rules of all monitors."""
    return tuple(rule for monitor in parts.monitors for rule in monitor.halt_rules(watch))


def monitor_context(
    generation: int, model: Model, system: System, condition: Condition, support: Support | None
) -> MonitorContext:
    """What a monitor may know of one system under one condition in one generation."""
    return MonitorContext(
        system=system,
        condition=condition,
        support=support,
        generation=generation,
        model_elements=model.elements,
        model_sel=model.sel,
        model_cutoff_angstrom=model.cutoff_angstrom,
    )

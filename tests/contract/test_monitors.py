"""Every monitor that ships keeps the monitor contract; so does one of a user's."""

from dataclasses import replace
from typing import Any

import pytest

from sis_engine.plugins import Kind, configure
from sis_engine.records import Ensemble, HaltRule, Quantity, Relation, System
from sis_engine.testing.monitor_contract import check_monitor
from sis_engine.testing.synthetic import example_context, lattice_frame

SHIPPED: list[dict[str, Any]] = [
    {"type": "temperature"},
    {"type": "temperature", "fine_from_generation": 0},
    {"type": "temperature", "published": True},
    {"type": "energy"},
    {"type": "energy", "suspect": False},
    {"type": "heat"},
    {"type": "conserved"},
    {"type": "blow_up"},
    {"type": "geometry"},
    {"type": "volume"},
    {"type": "deviation"},
]


@pytest.mark.parametrize("settings", SHIPPED, ids=str)
def test_a_shipped_monitor_keeps_the_contract(settings):
    check_monitor(configure(Kind.MONITOR, settings, key="monitors.0"), example_context())


@pytest.mark.parametrize("settings", SHIPPED, ids=str)
def test_a_shipped_monitor_keeps_the_contract_in_a_cell_under_pressure(settings):
    context = example_context()
    frame = lattice_frame(context.system.frame.species, periodic=True)
    condition = replace(context.condition, ensemble=Ensemble.NPT, pressure_gpa=0.0)
    context = replace(context, system=System("example", frame), condition=condition)
    check_monitor(configure(Kind.MONITOR, settings, key="monitors.0"), context)


class Forgetful:
    """Breaks the contract: its judgement is not that of its rule."""

    Config = configure(Kind.MONITOR, {"type": "volume"}, key="m").Config
    name = "forgetful"

    @classmethod
    def from_config(cls, config):
        return cls()

    def check(self, context):
        pass

    def halt_rules(self, context):
        return (HaltRule(self.name, Quantity.TEMPERATURE, Relation.ABOVE, 1000.0),)

    def judge(self, trace, frames, context):
        return ()


def test_the_contract_finds_a_monitor_whose_judgement_is_not_its_rule():
    with pytest.raises(AssertionError, match="breaks this rule is not a finding"):
        check_monitor(Forgetful(), example_context())

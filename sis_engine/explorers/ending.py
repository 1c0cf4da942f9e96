"""What a halt says to a person."""

from __future__ import annotations

from sis_engine.records import HaltRule


def halt_message(rule: HaltRule, value: float) -> str:
    """One line: who, what, the value, the limit."""
    of = f" {rule.pair[0]}-{rule.pair[1]}" if rule.pair else ""
    return (
        f"{rule.monitor}: {rule.quantity.value}{of} = {value:.6g} is {rule.relation.value} "
        f"{rule.limit:.6g}"
    )

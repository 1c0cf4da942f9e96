"""What MD was held to, in words: the rules of all monitors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sis_engine.numerals import figure
from sis_engine.records import HaltRule, MdRules, Quantity
from sis_engine.report.wording import plural

if TYPE_CHECKING:
    from sis_engine.storage.generation import GenerationRecord

SUSPECT = "suspect"
"""Marks a limit beyond which one evaluation decides."""


def rules_of(record: GenerationRecord, system: str) -> tuple[HaltRule, ...]:
    """The rules of one system; empty where they were not recorded."""
    return next((item.rules for item in record.rules if item.system == system), ())


def temperature_rules(rules: Sequence[HaltRule]) -> tuple[HaltRule, ...]:
    return tuple(rule for rule in rules if rule.quantity is Quantity.TEMPERATURE)


def limit_rows(records: Sequence[GenerationRecord]) -> list[tuple[str, str]]:
    """(monitor and system, its limits) in the last generation whose rules are recorded."""
    return [
        (
            f"Limits, {name}, {held.system} (generation {record.generation})",
            _text([rule for rule in held.rules if rule.monitor == name]),
        )
        for record in records[_last(records) :][:1]
        for held in record.rules
        for name in _monitors(held)
    ]


def limits_sentence(records: Sequence[GenerationRecord]) -> str:
    """All monitors of the last MD but temperature, for a methods section; may be empty."""
    held = [item for record in records[_last(records) :][:1] for item in record.rules]
    if not held:
        return ""
    first = held[0]
    names = [name for name in _monitors(first) if name != "temperature"]
    parts = [f"{name} ({_short(first, name)})" for name in names]
    where = "" if len(held) == 1 else f", for {first.system}"
    return (
        f" MD was also watched by {plural(len(parts), 'monitor')}{where}: {'; '.join(parts)}. "
        "Beyond a limit marked “suspect” one reference calculation decided whether the MD was "
        "wrong."
        if parts
        else ""
    )


def _last(records: Sequence[GenerationRecord]) -> int:
    """Index of the last record with rules; past the end without one."""
    known = [index for index, record in enumerate(records) if record.rules]
    return known[-1] if known else len(records)


def _monitors(held: MdRules) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule.monitor for rule in held.rules))


def _text(rules: Sequence[HaltRule]) -> str:
    """Every limit of one monitor."""
    plain = [_limit(rule) for rule in rules if not _is_distance(rule)]
    pairs = [
        f"{'–'.join(rule.pair or ())} {figure(rule.limit)} Å{_mark(rule)}"
        for rule in rules
        if _is_distance(rule)
    ]
    return "; ".join([*plain, *([f"shortest distance below: {', '.join(pairs)}"] if pairs else [])])


def _short(held: MdRules, monitor: str) -> str:
    """The limits of one monitor, element pairs only counted."""
    rules = [rule for rule in held.rules if rule.monitor == monitor]
    plain = [_limit(rule) for rule in rules if not _is_distance(rule)]
    pairs = {rule.pair for rule in rules if _is_distance(rule)}
    counted = [f"shortest distances of {plural(len(pairs), 'element pair')}"] if pairs else []
    return ", ".join([*plain, *counted])


def _is_distance(rule: HaltRule) -> bool:
    return rule.quantity is Quantity.SHORTEST_DISTANCE and rule.pair is not None


def _limit(rule: HaltRule) -> str:
    after = f" from {rule.after_fs:g} fs on" if rule.after_fs else ""
    words = rule.criterion.replace(Quantity.TEMPERATURE.value, "temperature").replace("_", " ")
    return f"{words}{after}{_mark(rule)}"


def _mark(rule: HaltRule) -> str:
    return f" ({SUSPECT})" if rule.suspect else ""

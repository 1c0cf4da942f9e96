"""Halt rules as LAMMPS variables and ``fix halt``: near-zero cost, NaN-safe.

Each rule becomes an expression that is 1 while all is well; comparisons with NaN are 0, so a NaN
fires. One ``fix halt`` an interval multiplies them all; after the run a variable for each rule says
what it saw where it fired, and ``NO`` where it did not. All rules of one kind
share their computes: a neighbour count or a shortest distance costs one pass, however many rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sis_engine.errors import ConfigurationError
from sis_engine.explorers.lammps.measures import Measures
from sis_engine.records import HaltRule, Model, Quantity, Relation, Replica

NO = "-1.0e300"
GOOD_ENERGY = "(pe<1e300)*(pe>-1e300)*(ke<1e300)"
RULE = "SIS rule"

WATCHED = frozenset(
    {
        Quantity.TEMPERATURE,
        Quantity.POTENTIAL_ENERGY,
        Quantity.ENERGY_JUMP,
        Quantity.HEAT,
        Quantity.CONSERVED_DRIFT,
        Quantity.MAX_KINETIC,
        Quantity.MAX_FORCE,
        Quantity.SHORTEST_DISTANCE,
        Quantity.NEIGHBOURS,
        Quantity.VOLUME,
    }
)
"""MODEL_DEVIATION is written to a file by the pair style and is judged after the run."""

_SINCE_START = frozenset({Quantity.HEAT, Quantity.CONSERVED_DRIFT, Quantity.ENERGY_JUMP})


@dataclass(frozen=True)
class CompiledRules:
    """Rules in LAMMPS's language.

    measures: commands that define computes and values known from the start
    start_checks: names of the rule variables that hold at step 0
    start_is_good: expression, 1 if the start breaks none of them
    dynamics: commands that need the reference values of the start of dynamics, and the halts
    report: commands after the run that print what the rules saw at its last step
    rules: (variable, rule) of every rule that LAMMPS evaluates
    columns: (thermo column, quantity) that the rules measure besides the standard ones
    intervals: at which it is looked whether one fires
    """

    measures: tuple[str, ...]
    start_checks: tuple[str, ...]
    start_is_good: str
    dynamics: tuple[str, ...]
    report: tuple[str, ...]
    rules: tuple[tuple[str, HaltRule], ...]
    columns: tuple[tuple[str, Quantity], ...]
    intervals: tuple[int, ...]

    def leave_if_fired(self, step: int, label: str) -> list[str]:
        """Commands that go to a label where a halt has fired at the very last step of a run."""
        return [
            f'if "$(v_sis_good{every}) != 1" then "jump SELF {label}"'
            for every in self.intervals
            if step % every == 0
        ]


def compile_rules(
    rules: Sequence[HaltRule], replica: Replica, model: Model, guard_every: int
) -> CompiledRules:
    """The commands for those rules that concern elements of this system."""
    present = set(replica.system.frame.species)
    wanted = [
        rule
        for rule in rules
        if rule.quantity in WATCHED and (rule.pair is None or set(rule.pair) <= present)
    ]
    _refuse_volume(wanted, replica)
    measures = Measures(wanted, model)
    checks = [_check(f"sis_h{k}", rule, measures, replica) for k, rule in enumerate(wanted)]
    at_start = [check for check in checks if _holds_at_start(check.rule, replica)]
    later = [check for check in checks if not _holds_at_start(check.rule, replica)]
    halts: list[str] = []
    report: list[str] = []
    intervals = sorted({guard_every, *(rule.every_steps for rule in wanted)})
    for every in intervals:
        due = [check for check in checks if check.rule.every_steps == every]
        halts += _halt(every, due)
        report += _report(every, due)
    return CompiledRules(
        measures=(*measures.commands, *(line for check in at_start for line in check.commands)),
        start_checks=tuple(check.name for check in at_start),
        start_is_good=_all_good(at_start),
        dynamics=(*(line for check in later for line in check.commands), *halts),
        report=tuple(report),
        rules=tuple((check.name, check.rule) for check in checks),
        columns=tuple(measures.columns),
        intervals=tuple(intervals),
    )


@dataclass(frozen=True)
class _Check:
    """A rule in LAMMPS's terms.

    commands: what its expressions need, and variable ``name`` that shows its value when it fires
    good: expression that is 1 while all is well, 0 when the rule fires or sees a NaN
    """

    name: str
    rule: HaltRule
    commands: tuple[str, ...]
    good: str


def _all_good(checks: Sequence[_Check]) -> str:
    """1 while all is well. One long formula: a variable that is NaN may not be used in another."""
    return "*".join([f"({GOOD_ENERGY})", *(f"({check.good})" for check in checks)])


def _halt(every: int, checks: Sequence[_Check]) -> list[str]:
    """One halt for all rules with this interval: a fix each would cost 10 µs each."""
    return [
        f'variable sis_good{every} equal "{_all_good(checks)}"',
        f"fix sis_halt{every} all halt {every} v_sis_good{every} != 1 error continue",
    ]


def _report(every: int, checks: Sequence[_Check]) -> list[str]:
    """Values of the rules checked at the last step: others are not known between runs."""
    prints = " ".join(f"\"print '{RULE} {check.name} ${{{check.name}}}'\"" for check in checks)
    return [f'if "$(step%{every}) == 0" then {prints}'] if checks else []


def _holds_at_start(rule: HaltRule, replica: Replica) -> bool:
    return (
        rule.quantity not in _SINCE_START
        and not rule.average_fs
        and rule.after_fs <= replica.time_offset_fs
    )


def _check(name: str, rule: HaltRule, measures: Measures, replica: Replica) -> _Check:
    lines: list[str] = []
    measured = measures.value(rule)
    timestep_fs = replica.condition.timestep_fs
    from_step = math.ceil((rule.after_fs - replica.time_offset_fs) / timestep_fs)
    if rule.quantity is Quantity.ENERGY_JUMP:
        # mean of the last two samples is half-way back: |E - Ē| is half the jump
        lines.append(f"variable {name}_x equal {measured}")
        lines.append(_window(name, rule.every_steps, 2))
        measured = f"(2.0*abs({measured}-f_{name}_w))"
    elif rule.average_fs:
        n_samples = max(1, round(rule.average_fs / (timestep_fs * rule.every_steps)))
        lines.append(f'variable {name}_x equal "{measured}"')
        lines.append(_window(name, rule.every_steps, n_samples))
        measured = f"f_{name}_w"
        from_step = max(from_step, (n_samples - 1) * rule.every_steps)
    good = _within(rule, measured)
    if from_step > 0:
        good = f"({good})||(step<{from_step})"
    lines.append(f'variable {name} equal "ternary({good},{NO},{measured})"')
    return _Check(name, rule, tuple(lines), good)


def _window(name: str, every: int, n_samples: int) -> str:
    return f"fix {name}_w all ave/time {every} 1 {every} v_{name}_x ave window {n_samples}"


def _within(rule: HaltRule, measured: str) -> str:
    """A condition that is true (and false for NaN) while all is well."""
    if rule.quantity is Quantity.SHORTEST_DISTANCE:
        return f"{measured}<=0"  # a coordination number: none within the limit
    sign = "<=" if rule.relation is Relation.ABOVE else ">="
    return f"{measured}{sign}{rule.limit!r}"


def _refuse_volume(rules: Sequence[HaltRule], replica: Replica) -> None:
    for rule in rules:
        if rule.quantity is Quantity.VOLUME and not all(replica.start.pbc):
            raise ConfigurationError(
                f"monitor {rule.monitor} limits the volume of {replica.system.name}, which is "
                f"not periodic in all directions (pbc {replica.start.pbc})"
            )

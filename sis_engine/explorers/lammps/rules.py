"""Halt rules as LAMMPS variables and ``fix halt``: near-zero cost, NaN-safe.

Each rule becomes one equal-style variable that holds the measured value while the rule fires and
``NO`` otherwise; a NaN is not equal to ``NO`` and so fires, whatever it is compared with. One
``fix halt`` an interval asks them all; after the run each says what it saw. All rules of one kind
share their computes: a neighbour count or a shortest distance costs one pass, however many rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sis_engine.errors import ConfigurationError
from sis_engine.records import HaltRule, Model, Quantity, Relation, Replica

NO = "-1.0e300"
GUARD = "sis_guard"
RULE = "SIS rule"
_BIN_ANGSTROM = 0.01

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
    dynamics: commands that need the reference values of the start of dynamics, and the halts
    report: commands after the run that print what the rules saw at its last step
    rules: (variable, rule) of every rule that LAMMPS evaluates
    columns: (thermo column, quantity) that the rules measure besides the standard ones
    """

    measures: tuple[str, ...]
    start_checks: tuple[str, ...]
    dynamics: tuple[str, ...]
    report: tuple[str, ...]
    rules: tuple[tuple[str, HaltRule], ...]
    columns: tuple[tuple[str, Quantity], ...]


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
    measures = _Measures(wanted, model)
    compiled = [(f"sis_h{k}", rule) for k, rule in enumerate(wanted)]
    at_start = [(name, rule) for name, rule in compiled if _holds_at_start(rule, replica)]
    later = [(name, rule) for name, rule in compiled if not _holds_at_start(rule, replica)]
    dynamics: list[str] = []
    for name, rule in later:
        dynamics += _definition(name, rule, measures.value, replica)
    report: list[str] = []
    for every in sorted({guard_every, *(rule.every_steps for rule in wanted)}):
        names = [name for name, rule in compiled if rule.every_steps == every]
        dynamics += _halt(every, names)
        report += _report(every, names)
    start = [
        line for name, rule in at_start for line in _definition(name, rule, measures.value, replica)
    ]
    guard = f'variable {GUARD} equal "1-(pe<1e300)*(pe>-1e300)*(ke<1e300)"'
    return CompiledRules(
        measures=(*measures.commands, *start, guard),
        start_checks=tuple(name for name, _ in at_start),
        dynamics=tuple(dynamics),
        report=tuple(report),
        rules=tuple(compiled),
        columns=tuple(measures.columns),
    )


def _halt(every: int, names: Sequence[str]) -> list[str]:
    """One halt for all rules with this interval: a fix each would cost 10 µs each."""
    silent = "*".join([f"(v_{GUARD}==0)", *(f"(v_{name}=={NO})" for name in names)])
    return [
        f'variable sis_silent{every} equal "{silent}"',
        f"fix sis_halt{every} all halt {every} v_sis_silent{every} != 1 error continue",
    ]


def _report(every: int, names: Sequence[str]) -> list[str]:
    """Values of the rules checked at the last step: others are not known between runs."""
    prints = " ".join(f"\"print '{RULE} {name} $(v_{name}:%.17g)'\"" for name in names)
    return [f'if "$(step%{every}) == 0" then {prints}'] if names else []


def _holds_at_start(rule: HaltRule, replica: Replica) -> bool:
    return (
        rule.quantity not in _SINCE_START
        and not rule.average_fs
        and rule.after_fs <= replica.time_offset_fs
    )


def _definition(
    name: str, rule: HaltRule, value: Callable[[HaltRule], str], replica: Replica
) -> list[str]:
    """Commands that define variable ``name``: the value where the rule fires, else NO."""
    lines: list[str] = []
    measured = value(rule)
    timestep_fs = replica.condition.timestep_fs
    from_step = math.ceil((rule.after_fs - replica.time_offset_fs) / timestep_fs)
    if rule.quantity is Quantity.ENERGY_JUMP:
        # mean of the last two samples is half-way back: |E - Ē| is half the jump
        lines.append(f"variable {name}_x equal {measured}")
        lines.append(_window(name, rule.every_steps, 2))
        measured = f"(2.0*abs({measured}-f_{name}_w))"
    elif rule.average_fs:
        n_samples = max(1, round(rule.average_fs / (timestep_fs * rule.every_steps)))
        lines.append(f"variable {name}_x equal {measured}")
        lines.append(_window(name, rule.every_steps, n_samples))
        measured = f"f_{name}_w"
        from_step = max(from_step, (n_samples - 1) * rule.every_steps)
    good = _within(rule, measured)
    if from_step > 0:
        good = f"({good})||(step<{from_step})"
    lines.append(f'variable {name} equal "ternary({good},{NO},{measured})"')
    return lines


def _window(name: str, every: int, n_samples: int) -> str:
    return f"fix {name}_w all ave/time {every} 1 {every} v_{name}_x ave window {n_samples}"


def _within(rule: HaltRule, measured: str) -> str:
    """A condition that is true (and false for NaN) while all is well."""
    if rule.quantity is Quantity.SHORTEST_DISTANCE:
        return f"{measured}<=0"  # a coordination number: none within the limit
    sign = "<=" if rule.relation is Relation.ABOVE else ">="
    return f"{measured}{sign}{rule.limit!r}"


class _Measures:
    """Computes that the rules share, and the expression of each rule's value."""

    def __init__(self, rules: Sequence[HaltRule], model: Model) -> None:
        self._types = {element: k + 1 for k, element in enumerate(model.elements)}
        self.commands: list[str] = []
        self.columns: list[tuple[str, Quantity]] = []
        self._expressions: dict[tuple[Quantity, tuple[str, str] | None], str] = {
            (Quantity.TEMPERATURE, None): "temp",
            (Quantity.POTENTIAL_ENERGY, None): "pe",
            (Quantity.ENERGY_JUMP, None): "pe",
            (Quantity.HEAT, None): "v_sis_heat",
            (Quantity.CONSERVED_DRIFT, None): "v_sis_drift",
            (Quantity.MAX_KINETIC, None): "c_sis_maxke",
            (Quantity.MAX_FORCE, None): "c_sis_maxf",
            (Quantity.VOLUME, None): "vol",
        }
        self._distances([r for r in rules if r.quantity is Quantity.SHORTEST_DISTANCE])
        self._neighbours([r for r in rules if r.quantity is Quantity.NEIGHBOURS], model)
        self._elements(rules)

    def value(self, rule: HaltRule) -> str:
        """LAMMPS expression of what the rule measures."""
        key = (rule.quantity, self._normal(rule))
        if key not in self._expressions:
            raise ConfigurationError(
                f"monitor {rule.monitor}: {rule.quantity.value} of {rule.pair} is not defined",
                hint="name an element pair only for distances, (X, X) for an element's quantity",
            )
        expression = self._expressions[key]
        if rule.quantity is Quantity.SHORTEST_DISTANCE:
            return expression.format(row=_row(rule))
        return expression

    def _normal(self, rule: HaltRule) -> tuple[str, str] | None:
        if rule.pair is None:
            return None
        first, second = sorted(rule.pair)
        return first, second

    def _distances(self, rules: Sequence[HaltRule]) -> None:
        """One radial distribution for all pairs.

        Its coordination number at a rule's limit is zero while no such pair is closer; limits
        are rounded down to 0.01 Å, so a halt is never too early.
        """
        if not rules:
            return
        _refuse_upper_limits(rules)
        pairs = sorted({self._normal(rule) or ("*", "*") for rule in rules})
        n_bins = max(_row(rule) for rule in rules)
        types = " ".join(f"{self._types.get(a, a)} {self._types.get(b, b)}" for a, b in pairs)
        self.commands += [
            f"compute sis_rdf all rdf {n_bins} {types} cutoff {n_bins * _BIN_ANGSTROM!r}",
            "compute sis_dist all pair/local dist",
            "compute sis_short all reduce min c_sis_dist inputs local",
        ]
        self.columns.append(("c_sis_short", Quantity.SHORTEST_DISTANCE))
        for k, pair in enumerate(pairs):
            key = None if pair == ("*", "*") else pair
            self._expressions[Quantity.SHORTEST_DISTANCE, key] = f"c_sis_rdf[{{row}}][{2 * k + 3}]"

    def _neighbours(self, rules: Sequence[HaltRule], model: Model) -> None:
        if not rules:
            return
        if model.cutoff_angstrom is None:
            raise ConfigurationError(
                f"monitor {rules[0].monitor} limits the neighbour count, but model {model.id} "
                "does not say its cutoff",
                hint="record cutoff_angstrom in the model, or drop the rule",
            )
        elements = sorted({rule.pair[0] for rule in rules if rule.pair is not None})
        columns = " ".join(["*", *(str(self._types[element]) for element in elements)])
        self.commands.append(
            f"compute sis_nb all coord/atom cutoff {model.cutoff_angstrom!r} {columns}"
        )
        parts = ["c_sis_nb"] if not elements else []
        parts += [f"c_sis_nb[{k + 1}]" for k in range(len(elements) + 1)] if elements else []
        self.commands.append(f"compute sis_maxnb all reduce max {' '.join(parts)}")
        names = ["c_sis_maxnb[1]", *(f"c_sis_maxnb[{k + 2}]" for k in range(len(elements)))]
        overall = names[0] if elements else "c_sis_maxnb"
        self._expressions[Quantity.NEIGHBOURS, None] = overall
        for element, name in zip(elements, names[1:], strict=True):
            self._expressions[Quantity.NEIGHBOURS, (element, element)] = name
        self.columns.append((overall, Quantity.NEIGHBOURS))

    def _elements(self, rules: Sequence[HaltRule]) -> None:
        """Largest kinetic energy, force, or temperature of one element."""
        one_element = {
            Quantity.MAX_KINETIC: "reduce max c_sis_ke",
            Quantity.MAX_FORCE: "reduce max v_sis_f",
            Quantity.TEMPERATURE: "temp",
        }
        for rule in rules:
            key = (rule.quantity, self._normal(rule))
            if key[1] is None or rule.quantity not in one_element or key in self._expressions:
                continue
            element = key[1][0]
            name = f"sis_{rule.quantity.name.lower()}_{element}"
            group = f"sis_{element}"
            if not any(line.startswith(f"group {group} ") for line in self.commands):
                self.commands += [
                    f"group {group}_all type {self._types[element]}",
                    f"group {group} intersect sis_mobile {group}_all",
                ]
            self.commands.append(f"compute {name} {group} {one_element[rule.quantity]}")
            if rule.quantity is Quantity.TEMPERATURE:
                self.commands.append(f"compute_modify {name} extra/dof 0")
            self._expressions[key] = f"c_{name}"


def _row(rule: HaltRule) -> int:
    """Bin whose upper edge is the limit, rounded down (1e-9: 1.15/0.01 is 114.99999999999999)."""
    return max(1, math.floor(rule.limit / _BIN_ANGSTROM + 1e-9))


def _refuse_upper_limits(rules: Sequence[HaltRule]) -> None:
    for rule in rules:
        if rule.relation is Relation.ABOVE:
            raise ConfigurationError(
                f"monitor {rule.monitor} asks to stop when the shortest distance is above "
                f"{rule.limit} Å",
                allowed="below",
            )


def _refuse_volume(rules: Sequence[HaltRule], replica: Replica) -> None:
    for rule in rules:
        if rule.quantity is Quantity.VOLUME and not all(replica.start.pbc):
            raise ConfigurationError(
                f"monitor {rule.monitor} limits the volume of {replica.system.name}, which is "
                f"not periodic in all directions (pbc {replica.start.pbc})"
            )

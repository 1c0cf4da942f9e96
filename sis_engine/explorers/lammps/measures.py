"""Computes that halt rules share, and what each rule's value is called in LAMMPS."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sis_engine.errors import ConfigurationError
from sis_engine.records import HaltRule, Model, Quantity, Relation

_BIN_ANGSTROM = 0.01


class Measures:
    """Computes that the rules share, and the expression of each rule's value."""

    def __init__(self, rules: Sequence[HaltRule], model: Model) -> None:
        self._types = {element: k + 1 for k, element in enumerate(model.elements)}
        self.commands: list[str] = []
        self.columns: list[tuple[str, Quantity]] = []
        self._expressions: dict[tuple[Quantity, tuple[str, str] | None], str] = {
            (Quantity.TEMPERATURE, None): "temp",
            (Quantity.POTENTIAL_ENERGY, None): "pe",
            (Quantity.ENERGY_JUMP, None): "pe",
            (Quantity.HEAT, None): "(ecouple-v_sis_heat0)",
            (Quantity.CONSERVED_DRIFT, None): "(econserve-v_sis_drift0)",
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

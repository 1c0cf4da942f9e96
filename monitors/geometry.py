"""Atoms too close, element pair by element pair, and more neighbours than the model can see."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from pydantic import Field

from monitors.rules import MonitorConfig, RuleMonitor, Violation, in_time_order, verdict_of
from sis_engine.analysis.pairs import close_pairs, neighbour_counts
from sis_engine.interfaces import MonitorContext
from sis_engine.records import HaltRule, MdFrame, Quantity, Relation, Trace, Verdict


class GeometryConfig(MonitorConfig):
    """Limits on distances, from labels and from covalent radii (Cordero 2008, by ASE).

    hard_factor: of the sum of covalent radii: closer is a catastrophe at once. 0.65 lies below
        every bond that exists (H2 0.40 < 0.74 Å, N2 0.92 < 1.10, CO 0.92 < 1.13)
    support_factor: of the shortest labelled distance of the pair. Labelled C-H reached 0.96-1.00
        in 1-4 ps; 0.8 of it is outside any thermal stretch
    bond_factor: of the sum of covalent radii; the *suspect* limit is the smaller of this and
        ``support_factor``'s: a bond that no label has, or one far shorter than any label's. Pairs
        that only came nearer by diffusion (a Li-F of 3 Å, not labelled below 4) raise nothing
    suspect: whether that limit makes suspects (one evaluation decides) or verdicts
    check_neighbours: compare the neighbours of every atom with the model's ``sel``; more than
        ``sel`` are cut off in silence, and no data cures that
    """

    type: Literal["geometry"] = "geometry"
    hard_factor: float = Field(default=0.65, gt=0.0, lt=1.0)
    support_factor: float = Field(default=0.8, gt=0.0, lt=1.0)
    bond_factor: float = Field(default=1.2, gt=0.0)
    suspect: bool = True
    check_neighbours: bool = True


class GeometryMonitor(RuleMonitor[GeometryConfig]):
    """Judges frames: a trace has no column for each pair."""

    Config = GeometryConfig
    name = "geometry"

    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        return (*self._distance_rules(context), *self._neighbour_rules(context))

    def judge(
        self, trace: Trace, frames: Sequence[MdFrame], context: MonitorContext
    ) -> tuple[Verdict, ...]:
        """First violation of each rule over the frames, and of ``sel`` in the trace as well."""
        rules = self.halt_rules(context)
        if trace.series(Quantity.NEIGHBOURS) is not None:
            # The explorer counted at every check; counting again costs seconds in large cells.
            rules = tuple(r for r in rules if r.quantity is not Quantity.NEIGHBOURS or r.pair)
        found: dict[HaltRule, Verdict] = {}
        for frame in frames:
            for rule, value, atoms in _broken(rules, frame, context):
                violation = Violation(frame.time_fs, value)
                found.setdefault(rule, verdict_of(rule, trace.replica, violation, atoms))
        from_trace = super().judge(trace, (), context)
        known = {verdict.criterion for verdict in found.values()}
        extra = [verdict for verdict in from_trace if verdict.criterion not in known]
        return in_time_order([*found.values(), *extra])

    def _distance_rules(self, context: MonitorContext) -> Iterator[HaltRule]:
        labelled = {
            tuple(sorted(item.pair)): item.shortest_angstrom
            for item in (context.support.distances if context.support else ())
        }
        species = context.system.frame.species
        for pair in itertools.combinations_with_replacement(sorted(set(species)), 2):
            if pair[0] == pair[1] and species.count(pair[0]) < 2:
                continue
            bond = sum(float(covalent_radii[atomic_numbers[symbol]]) for symbol in pair)
            hard = self.config.hard_factor * bond
            shortest = labelled.get(pair)
            if shortest is not None:
                # A label closer than the rule of thumb overrules it.
                hard = min(hard, self.config.support_factor * shortest)
                near = min(self.config.support_factor * shortest, self.config.bond_factor * bond)
                if near > hard:
                    yield self._distance(context, pair, near, suspect=self.config.suspect)
            yield self._distance(context, pair, hard)

    def _neighbour_rules(self, context: MonitorContext) -> Iterator[HaltRule]:
        sel = context.model_sel
        if not self.config.check_neighbours or sel is None or not sel:
            return
        every = self.config.check_steps(context.condition)
        if len(sel) == 1:
            yield HaltRule(
                self.name, Quantity.NEIGHBOURS, Relation.ABOVE, float(sel[0]), every_steps=every
            )
            return
        present = set(context.system.frame.species)
        for element, limit in zip(context.model_elements, sel, strict=False):
            if element in present:
                yield HaltRule(
                    self.name,
                    Quantity.NEIGHBOURS,
                    Relation.ABOVE,
                    float(limit),
                    every_steps=every,
                    pair=(element, element),
                )

    def _distance(
        self, context: MonitorContext, pair: tuple[str, str], limit: float, *, suspect: bool = False
    ) -> HaltRule:
        return HaltRule(
            monitor=self.name,
            quantity=Quantity.SHORTEST_DISTANCE,
            relation=Relation.BELOW,
            limit=limit,
            every_steps=self.config.check_steps(context.condition),
            pair=pair,
            suspect=suspect,
        )


def _broken(
    rules: Sequence[HaltRule], frame: MdFrame, context: MonitorContext
) -> Iterator[tuple[HaltRule, float, tuple[int, ...]]]:
    """Rules that this frame breaks, with the value seen and the guilty atoms."""
    lost = ~np.isfinite(frame.frame.positions).all(axis=1)
    if lost.any():
        for rule in rules[:1]:
            yield rule, float("nan"), tuple(int(i) for i in np.flatnonzero(lost))
        return
    distance_rules = [rule for rule in rules if rule.quantity is Quantity.SHORTEST_DISTANCE]
    limits = {rule.pair: rule.limit for rule in distance_rules if rule.pair}
    for rule in distance_rules:
        if rule.pair is not None:
            limits[rule.pair] = max(limits[rule.pair], rule.limit)
    pairs = close_pairs(frame.frame, {p: limit for p, limit in limits.items() if p is not None})
    for rule in distance_rules:
        closest = min((found for found in pairs if found.pair == rule.pair), default=None)
        if closest is not None and rule.fires(closest.distance_angstrom):
            yield rule, closest.distance_angstrom, closest.atoms
    yield from _crowded(rules, frame, context)


def _crowded(
    rules: Sequence[HaltRule], frame: MdFrame, context: MonitorContext
) -> Iterator[tuple[HaltRule, float, tuple[int, ...]]]:
    wanted = [rule for rule in rules if rule.quantity is Quantity.NEIGHBOURS]
    if not wanted or context.model_cutoff_angstrom is None:
        return
    counts = neighbour_counts(frame.frame, context.model_cutoff_angstrom)
    for rule in wanted:
        of = counts.of(rule.pair[0] if rule.pair else None)
        if rule.fires(float(of.max())):
            yield rule, float(of.max()), tuple(int(i) for i in np.flatnonzero(of > rule.limit))

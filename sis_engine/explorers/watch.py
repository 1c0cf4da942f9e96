"""Halt rules evaluated in Python, with the same meaning as inside LAMMPS."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sis_engine.analysis.pairs import is_element, most_neighbours, shortest_distance
from sis_engine.errors import ConfigurationError
from sis_engine.explorers.quantities import kinetic_energies, largest_norm
from sis_engine.records import BoolArray, FloatArray, Frame, HaltRule, Quantity, Replica
from sis_engine.units import BOLTZMANN_EV_PER_K

WATCHED_IN_PYTHON = frozenset(Quantity) - {Quantity.MODEL_DEVIATION, Quantity.KINETIC_ENERGY}
_SINCE_START = frozenset({Quantity.HEAT, Quantity.CONSERVED_DRIFT, Quantity.ENERGY_JUMP})


@dataclass(frozen=True, eq=False)
class Moment:
    """MD at one step: energies in eV, velocities (n_atoms, 3) in Å/fs, forces in eV/Å."""

    step: int
    frame: Frame
    velocities: FloatArray
    forces: FloatArray
    potential_energy: float
    kinetic_energy: float
    temperature_k: float
    heat: float
    drift: float


class RuleWatch:
    """Judges moments of one replica by halt rules, in time order."""

    def __init__(
        self,
        rules: Sequence[HaltRule],
        replica: Replica,
        masses: FloatArray,
        mobile: BoolArray,
        cutoff_angstrom: float | None,
    ) -> None:
        present = set(replica.system.frame.species)
        self.rules = [
            rule
            for rule in rules
            if rule.quantity in WATCHED_IN_PYTHON
            and (rule.pair is None or set(rule.pair) <= present)
        ]
        self._replica, self._masses, self._mobile = replica, masses, mobile
        self._cutoff = cutoff_angstrom
        self._windows: list[deque[float]] = [
            deque(maxlen=self._n_samples(rule)) for rule in self.rules
        ]
        for rule in self.rules:
            self._refuse_undefined(rule)

    def fired(self, moment: Moment) -> tuple[HaltRule, float] | None:
        """The first rule that fires now, NaN first, with the value it saw."""
        found: tuple[HaltRule, float] | None = None
        for rule, window in zip(self.rules, self._windows, strict=True):
            if moment.step % rule.every_steps:
                continue
            value = self._value(rule, window, moment)
            if moment.step < self._from_step(rule) or not rule.fires(value):
                continue
            if found is None or (math.isnan(value) and not math.isnan(found[1])):
                found = (rule, value)
        return found

    def measure(self, quantity: Quantity, pair: tuple[str, str] | None, moment: Moment) -> float:
        """What a quantity is at this moment, in the units of its docstring."""
        simple = {
            Quantity.POTENTIAL_ENERGY: moment.potential_energy,
            Quantity.ENERGY_JUMP: moment.potential_energy,
            Quantity.KINETIC_ENERGY: moment.kinetic_energy,
            Quantity.HEAT: moment.heat,
            Quantity.CONSERVED_DRIFT: moment.drift,
        }
        if quantity in simple:
            return simple[quantity]
        if quantity is Quantity.SHORTEST_DISTANCE:
            return shortest_distance(moment.frame, pair)
        if quantity is Quantity.NEIGHBOURS and self._cutoff is not None:
            return most_neighbours(moment.frame, self._cutoff, pair[0] if pair else None)
        if quantity is Quantity.VOLUME and moment.frame.cell is not None:
            return float(abs(np.linalg.det(moment.frame.cell)))
        return self._of_atoms(quantity, pair, moment)

    def _of_atoms(self, quantity: Quantity, pair: tuple[str, str] | None, moment: Moment) -> float:
        chosen = self._mobile
        if pair is not None:
            chosen = chosen & is_element(moment.frame.species, pair[0])
        if quantity is Quantity.MAX_FORCE:
            return largest_norm(moment.forces, chosen)
        kinetic = kinetic_energies(self._masses, moment.velocities)[chosen]
        if quantity is Quantity.MAX_KINETIC:
            return float(kinetic.max()) if chosen.any() else 0.0
        if quantity is Quantity.TEMPERATURE and pair is None:
            return moment.temperature_k
        if quantity is Quantity.TEMPERATURE:
            return 2.0 * float(kinetic.sum()) / (3 * int(chosen.sum()) * BOLTZMANN_EV_PER_K)
        return math.nan

    def _value(self, rule: HaltRule, window: deque[float], moment: Moment) -> float:
        now = self.measure(rule.quantity, rule.pair, moment)
        window.append(now)
        if rule.quantity is Quantity.ENERGY_JUMP:
            return abs(now - window[0])
        return sum(window) / len(window) if rule.average_fs else now

    def _n_samples(self, rule: HaltRule) -> int:
        if rule.quantity is Quantity.ENERGY_JUMP:
            return 2
        interval_fs = self._replica.condition.timestep_fs * rule.every_steps
        return max(1, round((rule.average_fs or 0.0) / interval_fs))

    def _from_step(self, rule: HaltRule) -> int:
        """First step at which the rule counts: after burn-in, with a full window."""
        late_fs = rule.after_fs - self._replica.time_offset_fs
        first = max(0, math.ceil(late_fs / self._replica.condition.timestep_fs))
        if rule.average_fs:
            first = max(first, (self._n_samples(rule) - 1) * rule.every_steps)
        return max(first, 1) if rule.quantity in _SINCE_START else first

    def _refuse_undefined(self, rule: HaltRule) -> None:
        if rule.quantity is Quantity.NEIGHBOURS and self._cutoff is None:
            raise ConfigurationError(
                f"monitor {rule.monitor} limits the neighbour count, but the model does not "
                "say its cutoff",
                hint="record cutoff_angstrom in the model, or drop the rule",
            )
        if rule.quantity is Quantity.VOLUME and not all(self._replica.start.pbc):
            raise ConfigurationError(
                f"monitor {rule.monitor} limits the volume of {self._replica.system.name}, "
                f"which is not periodic in all directions (pbc {self._replica.start.pbc})"
            )

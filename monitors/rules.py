"""Halt rules judged on a trace, and the base of every monitor that is a set of rules.

A monitor's limits are computed once, in ``halt_rules``; ``judge`` reads the same rules off the
trace, so that what stops a replica and what is said of it afterwards cannot disagree.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from pydantic import Field

from sis_engine.analysis.running_mean import running_mean
from sis_engine.interfaces import MonitorContext, PluginConfig
from sis_engine.records import (
    BoolArray,
    Condition,
    FloatArray,
    HaltRule,
    MdFrame,
    Quantity,
    Relation,
    Trace,
    Verdict,
)

ALWAYS_MEASURED = (Quantity.TEMPERATURE, Quantity.POTENTIAL_ENERGY)
"""NaN in these is a broken run; in another column it may mean 'not measured in this row'."""


class MonitorConfig(PluginConfig):
    """Base of the monitors' configurations.

    check_every_fs: how often the explorer checks. 10 fs is one period of the fastest bond
        (C-H, 11 fs): a blow-up is seen within one vibration, and the check costs nothing.
    """

    check_every_fs: float = Field(default=10.0, gt=0.0)

    def check_steps(self, condition: Condition) -> int:
        """``check_every_fs`` in steps of this condition's timestep, at least one."""
        return max(1, round(self.check_every_fs / condition.timestep_fs))


ConfigT = TypeVar("ConfigT", bound=MonitorConfig)


class RuleMonitor(ABC, Generic[ConfigT]):
    """A monitor whose judgement is its halt rules, read off the trace."""

    Config: ClassVar[type[MonitorConfig]]
    name: ClassVar[str]

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    @classmethod
    def from_config(cls, config: Any) -> Self:
        return cls(config)

    def check(self, context: MonitorContext) -> None:
        """Raise ConfigurationError when these limits cannot be meant for this system."""
        del context

    @abstractmethod
    def halt_rules(self, context: MonitorContext) -> tuple[HaltRule, ...]:
        """Rules for the explorer to stop by; the only place where limits are computed."""

    def judge(
        self, trace: Trace, frames: Sequence[MdFrame], context: MonitorContext
    ) -> tuple[Verdict, ...]:
        """First violation of each rule, in time order."""
        verdicts = []
        for rule in self.halt_rules(context):
            violation = first_violation(rule, trace)
            if violation is not None:
                atoms = self.guilty(rule, violation, frames, context)
                verdicts.append(verdict_of(rule, trace.replica, violation, atoms))
        return in_time_order(verdicts)

    def guilty(
        self,
        rule: HaltRule,
        violation: Violation,
        frames: Sequence[MdFrame],
        context: MonitorContext,
    ) -> tuple[int, ...]:
        """Indices of the guilty atoms, where a frame tells them."""
        del rule, violation, frames, context
        return ()


@dataclass(frozen=True)
class Violation:
    """Where a rule is first broken: MD time and the value seen (NaN where it was not finite)."""

    time_fs: float
    value: float


def first_violation(rule: HaltRule, trace: Trace) -> Violation | None:
    """The first row of the trace that breaks ``rule``, or ``None``; pairs are not in a trace."""
    series = series_of(rule.quantity, trace)
    if series is None or rule.pair is not None or series.size == 0:
        return None
    measured = _measured(rule.quantity, series, trace)
    broken = measured & ~np.isfinite(series)
    values, ready = series, measured
    if rule.average_fs:
        values, ready = running_mean(
            *(series, measured, trace.time_fs), average_fs=rule.average_fs, after_fs=rule.after_fs
        )
    outside = values > rule.limit if rule.relation is Relation.ABOVE else values < rule.limit
    # What is not finite is wrong from step 0; only the comparison waits for the burn-in.
    fired = broken | (outside & ready & (trace.time_fs >= rule.after_fs))
    hits = np.flatnonzero(fired)
    if hits.size == 0:
        return None
    first = int(hits[0])
    value = series[first] if broken[first] else values[first]
    return Violation(float(trace.time_fs[first]), float(value))


def series_of(quantity: Quantity, trace: Trace) -> FloatArray | None:
    """A quantity's column; the energy jump is made from the potential energy where absent."""
    series = trace.series(quantity)
    if series is None and quantity is Quantity.ENERGY_JUMP:
        energy = trace.series(Quantity.POTENTIAL_ENERGY)
        if energy is not None and energy.size > 0:
            with np.errstate(invalid="ignore"):  # inf - inf is a NaN, which fires
                jumps: FloatArray = np.abs(np.diff(energy, prepend=energy[0]))
            return jumps
    return series


def _measured(quantity: Quantity, series: FloatArray, trace: Trace) -> BoolArray:
    """Rows where a NaN counts: always-measured columns, or rows that are broken in one."""
    measured: BoolArray = ~np.isnan(series)
    for always in ALWAYS_MEASURED:
        column = series if quantity is always else trace.series(always)
        if column is not None:
            measured = measured | ~np.isfinite(column)
    return measured


def verdict_of(
    rule: HaltRule, replica: str, violation: Violation, atoms: tuple[int, ...] = ()
) -> Verdict:
    """The verdict that a broken rule means."""
    return Verdict(
        replica=replica,
        monitor=rule.monitor,
        criterion=rule.criterion,
        time_fs=violation.time_fs,
        value=violation.value,
        limit=rule.limit,
        suspect=rule.suspect,
        atoms=atoms,
    )


def in_time_order(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Sorted by time; at the same time the certain ones come before the suspects."""
    return tuple(sorted(verdicts, key=lambda v: (v.time_fs, v.suspect)))

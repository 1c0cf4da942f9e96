"""What every monitor must do. For authors of monitors: call :func:`check_monitor` in a test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sis_engine.interfaces import Monitor, MonitorContext, PluginConfig
from sis_engine.records import HaltRule, MdFrame, Quantity, Relation, Trace, Verdict
from sis_engine.testing.synthetic import healthy_trace, md_frames, planted

ELEMENT_QUANTITIES = frozenset(
    {
        Quantity.NEIGHBOURS,
        Quantity.MAX_KINETIC,
        Quantity.MAX_FORCE,
        Quantity.TEMPERATURE,
    }
)
"""Quantities whose rule may name one element, as (element, element)."""


def check_monitor(monitor: Monitor, context: MonitorContext) -> None:
    """Run every check. Raises AssertionError with what was broken."""
    check_identity(monitor)
    check_rules(monitor, context)
    check_rules(monitor, replace(context, support=None, model_sel=None))
    check_healthy(monitor, context)
    check_judgement_is_pure(monitor, context)
    check_rules_and_judgement_agree(monitor, context)
    check_nothing_measured(monitor, context)
    check_not_finite(monitor, context)


def check_identity(monitor: Monitor) -> None:
    """It names itself and its configuration, and is a :class:`Monitor`."""
    assert isinstance(monitor, Monitor), f"{type(monitor).__name__} lacks a part of Monitor"
    assert monitor.name, "a monitor has a name"
    assert issubclass(monitor.Config, PluginConfig), "Config is a PluginConfig"


def check_rules(monitor: Monitor, context: MonitorContext) -> None:
    """Rules are well formed, name their monitor, and are the same when asked again."""
    rules = monitor.halt_rules(context)
    assert rules == monitor.halt_rules(context), "halt_rules gives other rules when asked again"
    assert len(set(rules)) == len(rules), f"{monitor.name} gives a rule twice"
    for rule in rules:
        assert isinstance(rule, HaltRule)
        assert rule.monitor == monitor.name, f"a rule of {monitor.name} says {rule.monitor}"
        assert math.isfinite(rule.limit), f"a limit that is not finite never fires: {rule}"
        assert rule.every_steps >= 1, f"checked never: {rule}"
        assert rule.after_fs >= 0.0, f"a burn-in before the start: {rule}"
        if rule.quantity is Quantity.SHORTEST_DISTANCE:
            assert rule.relation is Relation.BELOW, f"distances are bounded from below: {rule}"
        elif rule.pair is not None:
            assert rule.quantity in ELEMENT_QUANTITIES, f"no element pair applies: {rule}"
            assert rule.pair[0] == rule.pair[1], f"one element is meant: {rule}"


def check_healthy(monitor: Monitor, context: MonitorContext) -> None:
    """Canonical fluctuations within the labelled range are no finding."""
    verdicts = monitor.judge(healthy_trace(context), _frames(context), context)
    assert verdicts == (), f"{monitor.name} finds a healthy replica unphysical: {verdicts}"


def check_judgement_is_pure(monitor: Monitor, context: MonitorContext) -> None:
    """The same trace gives the same findings, in time order, and is left as it was."""
    trace = _broken(healthy_trace(context))
    before = trace.values.copy()
    first = monitor.judge(trace, _frames(context), context)
    again = monitor.judge(trace, _frames(context), context)
    # NaN is not equal to itself: compare what is written.
    assert repr(first) == repr(again), "judge gives other verdicts when asked again"
    assert np.array_equal(before, trace.values, equal_nan=True), "judge changed the trace"
    times = [verdict.time_fs for verdict in first]
    assert times == sorted(times), "verdicts are not in time order"
    for verdict in first:
        assert isinstance(verdict, Verdict)
        assert verdict.replica == trace.replica, "a verdict names another replica"
        assert verdict.monitor == monitor.name, "a verdict names another monitor"
        assert all(0 <= atom < context.system.frame.n_atoms for atom in verdict.atoms)


def check_rules_and_judgement_agree(monitor: Monitor, context: MonitorContext) -> None:
    """What would stop a replica is found in its trace, not earlier, with the rule's own limit."""
    healthy = healthy_trace(context)
    for rule in monitor.halt_rules(context):
        if rule.pair is not None or rule.quantity is Quantity.ENERGY_JUMP:
            continue
        from_fs = rule.after_fs + 0.3 * float(healthy.time_fs[-1])
        beyond = rule.limit + (1 if rule.relation is Relation.ABOVE else -1) * _step(rule)
        trace = planted(healthy, rule.quantity, from_fs, beyond)
        found = [v for v in monitor.judge(trace, (), context) if v.limit == rule.limit]
        assert found, f"a trace that breaks this rule is not a finding: {rule}"
        assert found[0].time_fs >= from_fs - 1e-9, f"found before it happened: {rule}"
        if not rule.average_fs:
            late = found[0].time_fs - from_fs
            assert late <= _spacing(healthy) + 1e-9, f"found {late:g} fs late: {rule}"
        assert found[0].suspect == rule.suspect, f"suspect differs from the rule's: {rule}"


def check_nothing_measured(monitor: Monitor, context: MonitorContext) -> None:
    """An empty trace, and one without the monitor's columns, is no finding and no error."""
    empty = Trace("r", np.zeros(0), (Quantity.TEMPERATURE,), np.zeros((0, 1)))
    assert monitor.judge(empty, (), context) == (), "an empty trace is a finding"
    other = Trace("r", np.arange(3.0), (Quantity.KINETIC_ENERGY,), np.ones((3, 1)))
    assert monitor.judge(other, (), context) == (), "a trace without its columns is a finding"


def check_not_finite(monitor: Monitor, context: MonitorContext) -> None:
    """Infinity in a watched column fires whatever the relation; NaN in a broken row does too."""
    healthy = healthy_trace(context)
    row_fs = float(healthy.time_fs[len(healthy.time_fs) // 2])
    for rule in monitor.halt_rules(context):
        if rule.pair is not None or rule.quantity not in healthy.quantities:
            continue
        for value in (math.inf, -math.inf):
            trace = planted(healthy, rule.quantity, row_fs, value)
            assert monitor.judge(trace, (), context), f"{value} passes {rule}"
        trace = planted(healthy, Quantity.POTENTIAL_ENERGY, row_fs, math.nan)
        trace = planted(trace, rule.quantity, row_fs, math.nan)
        assert monitor.judge(trace, (), context), f"NaN passes {rule}"


def _broken(trace: Trace) -> Trace:
    """A trace that every monitor with a rule objects to."""
    values = np.array(trace.values)
    values[len(values) // 2 :] = np.nan
    return replace(trace, values=values)


def _frames(context: MonitorContext) -> Sequence[MdFrame]:
    return md_frames(context.system, (0.0, 100.0, 200.0))


def _spacing(trace: Trace) -> float:
    return float(trace.time_fs[1] - trace.time_fs[0])


def _step(rule: HaltRule) -> float:
    return 1e-6 * max(1.0, abs(rule.limit))

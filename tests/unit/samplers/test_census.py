"""How explored MD is counted."""

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.records import Quantity, Verdict
from sis_engine.samplers.census import census, looks_of
from sis_engine.samplers.trust import Band, Levels
from sis_engine.testing.synthetic import example_context, exploration, planted

LEVELS = Levels(Band(0.1, 0.3))


def run_with(deviations, **more):
    """A replica of 10 ps, a look every 10 fs; deviations by (from_fs, value)."""
    run = exploration(example_context(), "r0", **more)
    trace = run.trace
    for from_fs, value in deviations:
        trace = planted(trace, Quantity.MODEL_DEVIATION, from_fs, value)
    return replace(run, trace=trace)


def test_looks_are_counted_along_the_trace():
    run = run_with([(0.0, 0.05), (5000.0, 0.2), (9000.0, 0.5)])
    found = census("example", [run], {}, LEVELS)
    assert (found.accurate, found.candidate, found.failed) == (500, 400, 101)
    assert found.total == 1001
    assert found.accuracy == pytest.approx(500 / 1001)
    assert "50.0 % accurate, 40.0 % candidates, 10.1 % failed of 1001 looks" in str(found)


def test_md_that_was_not_lived_has_failed():
    """A run that blows up after 1 ps of 10 counts as much as one that lives."""
    run = run_with([(0.0, 0.05)], failed_at_fs=1000.0)
    found = census("example", [run], {}, LEVELS)
    assert found.accurate == 101
    assert found.failed == found.unlived == 900
    assert found.total == 1001


def test_what_follows_a_verdict_has_failed_too():
    run = run_with([(0.0, 0.05)])
    verdict = Verdict("r0", "energy", "too high", 4000.0, 1.0, 0.5)
    found = census("example", [run], {"r0": verdict}, LEVELS)
    assert found.accurate == 401
    assert found.failed == 600


def test_rows_without_a_look_are_not_counted_but_broken_ones_have_failed():
    run = run_with([(0.0, 0.05)])
    values = np.array(run.trace.values)
    deviation = run.trace.quantities.index(Quantity.MODEL_DEVIATION)
    energy = run.trace.quantities.index(Quantity.POTENTIAL_ENERGY)
    values[1::2, deviation] = np.nan  # asked every other row
    values[-1, [deviation, energy]] = np.nan  # blown up at the last
    run = replace(run, trace=replace(run.trace, values=values))
    looks, times_fs = looks_of(run)
    assert len(looks.force) == len(times_fs) == 501
    found = census("example", [run], {}, LEVELS)
    assert (found.accurate, found.failed) == (500, 1)


def test_a_look_that_is_not_finite_has_failed_though_the_driver_is_sound():
    """A member of the committee that says NaN where the one that drives MD does not."""
    run = run_with([(0.0, 0.05), (3000.0, np.inf)])
    found = census("example", [run], {}, LEVELS)
    assert (found.accurate, found.failed, found.total) == (300, 701, 1001)


def test_without_a_committee_there_is_no_look():
    run = run_with([])
    kept = [k for k, q in enumerate(run.trace.quantities) if q is not Quantity.MODEL_DEVIATION]
    quantities = tuple(run.trace.quantities[k] for k in kept)
    trace = replace(run.trace, quantities=quantities, values=run.trace.values[:, kept])
    found = census("example", [replace(run, trace=trace)], {}, LEVELS)
    assert found.total == 0
    assert found.accuracy == 0.0
    assert "nobody looked" in str(found)

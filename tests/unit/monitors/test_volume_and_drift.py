"""Volume under pressure, drift of the conserved quantity, committee deviation."""

from dataclasses import replace

import numpy as np
import pytest

from monitors.conserved import ConservedConfig, ConservedMonitor
from monitors.deviation import DeviationConfig, DeviationMonitor
from monitors.volume import VolumeConfig, VolumeMonitor
from sis_engine.records import Ensemble, Quantity, System
from sis_engine.testing.synthetic import example_context, healthy_trace, lattice_frame, planted

CONTEXT = example_context()


def under_pressure():
    frame = lattice_frame(CONTEXT.system.frame.species, periodic=True)
    condition = replace(CONTEXT.condition, ensemble=Ensemble.NPT, pressure_gpa=1.0)
    return replace(CONTEXT, system=System("cell", frame), condition=condition)


@pytest.mark.parametrize("ratio", [0.5, 1.5])
def test_a_cell_that_collapses_or_evaporates_is_found(ratio):
    context = under_pressure()
    volume = abs(np.linalg.det(context.system.frame.cell))
    trace = planted(healthy_trace(context), Quantity.VOLUME, 4000.0, ratio * volume)
    assert VolumeMonitor(VolumeConfig()).judge(trace, (), context)[0].time_fs == 4000.0


def test_lithium_under_10_gpa_is_not():
    context = under_pressure()
    ratio = (1.0 + 3.5 * 10.0 / 12.0) ** (-1.0 / 3.5)  # Murnaghan
    assert 0.65 < ratio < 0.70
    volume = abs(np.linalg.det(context.system.frame.cell))
    trace = planted(healthy_trace(context), Quantity.VOLUME, 1000.0, ratio * volume)
    assert VolumeMonitor(VolumeConfig()).judge(trace, (), context) == ()


def test_a_fixed_cell_and_a_cluster_have_no_volume_rules():
    assert VolumeMonitor(VolumeConfig()).halt_rules(CONTEXT) == ()


def test_a_drifting_conserved_quantity_is_found_both_ways():
    monitor = ConservedMonitor(ConservedConfig())
    for sign in (1.0, -1.0):
        trace = planted(healthy_trace(CONTEXT), Quantity.CONSERVED_DRIFT, 4000.0, sign * 3.0)
        assert monitor.judge(trace, (), CONTEXT)[0].monitor == "conserved"


def test_the_drift_limit_of_a_long_run_has_a_cap():
    monitor = ConservedMonitor(ConservedConfig())
    short, long = (
        monitor.halt_rules(example_context(10, duration_ps=ps))[0].limit for ps in (10.0, 10_000.0)
    )
    assert short == pytest.approx(10 * (0.02 + 0.02))
    assert long == pytest.approx(10 * 0.2)


def test_a_committee_that_disagrees_is_found():
    trace = planted(healthy_trace(CONTEXT), Quantity.MODEL_DEVIATION, 4000.0, 0.5)
    assert DeviationMonitor(DeviationConfig()).judge(trace, (), CONTEXT)[0].value == 0.5

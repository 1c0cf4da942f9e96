"""Triage: settings, start, numerics or data, each from its own planted fault."""

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.records import (
    Cause,
    Exit,
    Frame,
    Model,
    ModelForm,
    Quantity,
    Replica,
    System,
    Verdict,
)
from sis_engine.testing.synthetic import example_context, exploration, planted
from sis_engine.triage import (
    TriageConfig,
    rerun_replicas,
    shortest_bond_fraction,
    triage,
)

CONTEXT = example_context()
MODEL = Model(
    "m", "fake", ("C", "H", "Li", "O"), (), ModelForm.EAGER, cutoff_angstrom=6.0, sel=(64,)
)
FAILED = exploration(CONTEXT, "r0", failed_at_fs=2000.0)
HOT = Verdict("r0", "temperature", "temperature_k above 1000 K", 2000.0, 1500.0, 1000.0)
NO_RERUN = TriageConfig(rerun=False)


def reruns(half_dies, same_dies):
    """An explorer whose half-step and same-step runs end as told; it notes what it was asked."""
    asked: list[Replica] = []

    def run(replicas):
        asked.extend(replicas)
        outcomes = []
        for replica in replicas:
            half = replica.condition.timestep_fs < 0.4
            dies = half_dies if half else same_dies
            full = replica.condition.duration_ps
            ended = Exit.HALTED if dies else Exit.COMPLETED
            outcomes.append(
                replace(FAILED, replica=replica, exit=ended, md_ps=0.3 * full if dies else full)
            )
        return outcomes

    return run, asked


def test_without_any_evidence_it_is_data():
    found = triage(FAILED, HOT, MODEL, NO_RERUN)
    assert found.cause is Cause.DATA
    assert found.replica == "r0"
    assert found.mend is None


def test_a_half_step_that_lives_where_the_same_step_dies_is_numerics():
    run, asked = reruns(half_dies=False, same_dies=True)
    found = triage(FAILED, HOT, MODEL, TriageConfig(), run)
    assert found.cause is Cause.NUMERICS
    assert "timestep_fs to 0.25 (now 0.5)" in found.mend
    assert len(asked) == 4


@pytest.mark.parametrize(("half", "same"), [(True, True), (False, False), (True, False)])
def test_any_other_outcome_of_the_reruns_is_data(half, same):
    run, _ = reruns(half, same)
    found = triage(FAILED, HOT, MODEL, TriageConfig(), run)
    assert found.cause is Cause.DATA
    assert any("half timestep" in line for line in found.evidence)


def test_one_lucky_half_step_run_is_not_enough():
    outcomes = iter([Exit.COMPLETED, Exit.HALTED, Exit.HALTED, Exit.HALTED])

    def run(replicas):
        return [replace(FAILED, replica=r, exit=next(outcomes), md_ps=0.3) for r in replicas]

    assert triage(FAILED, HOT, MODEL, TriageConfig(), run).cause is Cause.DATA


def test_reruns_start_before_t_cp_with_new_velocities_and_seeds():
    half, _, same, _ = replicas = rerun_replicas(FAILED, HOT, TriageConfig())
    assert half.condition.timestep_fs == 0.25
    assert same.condition.timestep_fs == 0.5
    assert len({replica.seed for replica in (*replicas, FAILED.replica)}) == 5
    assert len({replica.id for replica in replicas}) == 4
    start_fs = next(f.time_fs for f in FAILED.frames if f.frame.key == half.start.key)
    assert 1700.0 <= start_fs <= 1800.0
    assert half.velocities is None
    assert not half.condition.minimise
    assert half.condition.duration_ps >= 0.6


def test_reruns_of_a_failure_at_once_start_at_its_first_frame():
    early = exploration(CONTEXT, "r0", failed_at_fs=50.0)
    replicas = rerun_replicas(early, replace(HOT, time_fs=50.0), TriageConfig())
    assert replicas[0].start.key == early.frames[0].frame.key


def test_a_drift_that_led_is_numerics_and_spares_the_reruns():
    trace = FAILED.trace
    values = np.array(trace.values)
    values[:, trace.quantities.index(Quantity.CONSERVED_DRIFT)] = 32 * 0.01 * trace.time_fs / 1000.0
    run, asked = reruns(half_dies=True, same_dies=True)
    found = triage(
        replace(FAILED, trace=replace(trace, values=values)), HOT, MODEL, TriageConfig(), run
    )
    assert found.cause is Cause.NUMERICS
    assert any("drifted by 10 ±" in line for line in found.evidence)
    assert asked == []


@pytest.mark.parametrize("shape", ["up and down", "late"])
def test_what_the_balance_does_in_a_short_bad_run_is_no_drift(shape):
    """As in MD of a young model of ethane at 600 K: meV/atom, up and down, and down at last."""
    short = exploration(CONTEXT, "r0", failed_at_fs=390.0)
    times = short.trace.time_fs
    moved = 0.5 * np.sin(2.0 * np.pi * times / 300.0 + 3.0)
    if shape == "late":
        moved = np.where(times > 200.0, -0.02 * (times - 200.0), 0.0)
    values = np.array(short.trace.values)
    values[:, short.trace.quantities.index(Quantity.CONSERVED_DRIFT)] = 32 * 0.001 * moved
    used = times <= 290.0
    line = np.polyfit(times[used] / 1000.0, 0.001 * moved[used], 1)
    assert abs(line[0]) > NO_RERUN.max_drift_per_atom_per_ps  # a line alone would call it a drift
    seen = replace(short, trace=replace(short.trace, values=values))
    found = triage(seen, replace(HOT, time_fs=390.0), MODEL, NO_RERUN)
    assert found.cause is Cause.DATA
    assert any("too short to tell" in line for line in found.evidence)


def test_a_drift_that_followed_the_blow_up_is_not():
    trace = planted(FAILED.trace, Quantity.CONSERVED_DRIFT, 1950.0, 50.0)
    assert triage(replace(FAILED, trace=trace), HOT, MODEL, NO_RERUN).cause is Cause.DATA


def test_more_neighbours_than_sel_is_settings():
    found = triage(FAILED, HOT, replace(MODEL, sel=(9,)), NO_RERUN)
    assert found.cause is Cause.SETTINGS
    assert "sel is 9" in found.evidence[0]
    assert "sel above" in found.mend


def test_neighbours_are_compared_element_by_element_where_sel_is():
    few = replace(MODEL, sel=(99, 1, 99, 99))
    assert triage(FAILED, HOT, few, NO_RERUN).cause is Cause.SETTINGS
    assert triage(FAILED, HOT, replace(MODEL, sel=(99,) * 4), NO_RERUN).cause is Cause.DATA


def test_an_element_the_model_does_not_know_is_settings():
    found = triage(FAILED, HOT, replace(MODEL, elements=("C", "H", "Li")), NO_RERUN)
    assert found.cause is Cause.SETTINGS
    assert "not O" in found.evidence[0]


def early_failure(positions):
    frame = Frame(CONTEXT.system.frame.species, positions)
    context = replace(CONTEXT, system=System("example", frame))
    return exploration(context, "r0", failed_at_fs=20.0), replace(HOT, time_fs=20.0)


def test_overlapping_atoms_in_the_start_are_the_start():
    positions = np.array(CONTEXT.system.frame.positions)
    positions[1] = positions[0] + (0.0, 0.0, 0.4)
    found = triage(*early_failure(positions), MODEL, NO_RERUN)
    assert found.cause is Cause.START
    assert "initial.optimise" in found.mend


def test_a_model_that_fails_at_once_on_a_sane_start_lacks_data():
    found = triage(*early_failure(CONTEXT.system.frame.positions), MODEL, NO_RERUN)
    assert found.cause is Cause.DATA
    assert any("without overlap" in line for line in found.evidence)


def test_the_bond_fraction_of_a_hydrogen_molecule():
    frame = Frame(("H", "H"), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.31]]))
    assert shortest_bond_fraction(frame) == pytest.approx(0.5)
    assert shortest_bond_fraction(Frame(("H",), np.zeros((1, 3)))) is None

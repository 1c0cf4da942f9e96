"""Decisions of the committee sampler."""

from dataclasses import replace

import numpy as np
import pytest

from sis_engine.records import (
    AuditRequest,
    Deviation,
    Ensemble,
    Exhausted,
    Foreseen,
    Frame,
    GenerationSummary,
    Inspected,
    InspectRequest,
    Quantity,
    Requests,
    Stable,
    System,
)
from sis_engine.samplers.committee import CommitteeSampler
from sis_engine.samplers.committee_config import CommitteeConfig
from sis_engine.samplers.grid import bears_pressure, widest_gap_angstrom
from sis_engine.testing.sampler_contract import failed_input, inspected, surviving_input
from sis_engine.testing.synthetic import example_context, planted
from tests.unit.samplers.audits import audited

RANDOM = {"choice": "random", "spacing_fs": 0.0}


def watched(given, deviation):
    """Every look finds ``deviation(time_fs)``."""
    runs = []
    for run in given.explorations:
        trace = run.trace
        for time_fs in trace.time_fs:
            trace = planted(trace, Quantity.MODEL_DEVIATION, time_fs, deviation(time_fs))
            if time_fs > 2000.0:  # further on it is constant here, and planting is slow
                break
        frames = tuple(
            replace(item, deviation=Deviation(deviation(item.time_fs))) for item in run.frames
        )
        runs.append(replace(run, trace=trace, frames=frames))
    return replace(given, explorations=tuple(runs))


def constant(given, value):
    return watched(given, lambda _: value)


def sampler(**settings):
    return CommitteeSampler(CommitteeConfig(**settings))


def test_candidates_are_labelled_while_too_few_looks_are_accurate():
    given = watched(surviving_input(2), lambda t: 0.05 if t < 1000.0 else 0.2)
    decision = sampler(**RANDOM).decide(given)
    assert isinstance(decision, Requests)
    (plan,) = decision.plans
    assert plan.segment is None
    assert all(start.time_fs >= 1000.0 for start in plan.starts)
    assert all(start.deviation.force == 0.2 for start in plan.starts)
    assert "10.0 % accurate, 90.0 % candidates, 0.0 % failed" in decision.reason
    assert "trust 0.15 to 0.35" in decision.reason


def test_labels_are_at_most_so_many():
    (plan,) = sampler(labels_per_system=7, **RANDOM).decide(constant(surviving_input(2), 0.2)).plans
    assert len(plan.starts) == 7


def test_convergence_is_confirmed_by_survival_and_an_audit():
    given = constant(surviving_input(14), 0.05)
    asked = sampler(**RANDOM).decide(given)
    assert isinstance(asked, AuditRequest)
    assert isinstance(sampler(**RANDOM).decide(audited(given, asked, 0.1, passed=True)), Stable)


def test_a_committee_of_one_mind_that_is_wrong_learns_the_audit():
    given = constant(surviving_input(14), 0.05)
    asked = sampler(**RANDOM).decide(given)
    decision = sampler(**RANDOM).decide(audited(given, asked, 0.9, passed=False))
    assert isinstance(decision, Requests)
    (learn,) = decision.plans  # nothing is a candidate
    assert len(learn.starts) == sum(len(plan.starts) for plan in asked.plans)


def test_dp_gens_own_end_is_convergence():
    decision = sampler(confirm=False, **RANDOM).decide(constant(surviving_input(2), 0.05))
    assert isinstance(decision, Stable)
    assert "100.0 % accurate" in decision.reason
    assert "no audit" in decision.reason


def test_a_failed_replica_keeps_the_committee_from_converging():
    """Of one mind until it blows up early: what was not lived is not accurate."""
    decision = sampler(confirm=False, **RANDOM).decide(constant(failed_input(), 0.05))
    assert not isinstance(decision, Stable)
    assert "not lived" in decision.reason


def test_where_all_has_failed_the_nearest_are_labelled_or_the_campaign_is_exhausted():
    given = watched(surviving_input(2), lambda t: 1.0 + t)
    (plan,) = sampler(rescue=5, **RANDOM).decide(given).plans
    smallest = sorted(i.deviation.force for r in given.explorations for i in r.frames)[:5]
    assert sorted(start.deviation.force for start in plan.starts) == smallest
    decision = sampler(rescue=0, **RANDOM).decide(given)
    assert isinstance(decision, Exhausted)
    assert "100.0 % failed" in decision.reason


def test_adaptive_candidates_are_the_largest_below_the_upper_level():
    given = watched(surviving_input(1), lambda t: 0.0001 * t)
    settings = {**RANDOM, "trust": {"mode": "adaptive", "n": 9, "rate": 0.0}, "rescue": 0}
    (plan,) = sampler(force={"lo": 0.15, "hi": 0.3}, **settings).decide(given).plans
    below = sorted(
        (i.deviation.force for i in given.explorations[0].frames if i.deviation.force < 0.3),
        reverse=True,
    )
    assert sorted((s.deviation.force for s in plan.starts), reverse=True) == below[:9]


def test_calibrated_levels_hold_once_enough_labels_are_known():
    config = {**RANDOM, "trust": {"mode": "calibrated", "quantile": 0.5, "min_pairs": 3}}
    given = constant(surviving_input(2), 0.05)
    assert sampler(**config).levels(given).force.lo == 0.15
    pairs = tuple(Foreseen("example", 0.01, 0.1) for _ in range(3))  # ten times the deviation
    given = replace(given, history=(GenerationSummary(0, (), "m", 3, foreseen=pairs),))
    levels = sampler(**config).levels(given)
    assert levels.force.lo == pytest.approx(0.03)
    assert levels.force.hi == pytest.approx(0.3)
    assert isinstance(sampler(**config).decide(given), Requests)  # 0.05 is a candidate now


def test_far_candidates_are_chosen_by_what_the_model_sees():
    given = constant(surviving_input(1), 0.2)
    chosen = sampler(labels_per_system=2, spacing_fs=0.0)
    asked = chosen.decide(given)
    assert isinstance(asked, InspectRequest)
    assert asked.descriptors
    assert not asked.members
    ((system, frames),) = asked.frames
    features = np.zeros((len(frames), 1))
    features[[3, 9]] = [[5.0], [9.0]]
    seen = Inspected(system, frames, features, known=np.zeros((1, 1)))
    (plan,) = chosen.decide(replace(given, inspected=(seen,))).plans
    assert [s.frame.key for s in plan.starts] == [frames[9].frame.key, frames[3].frame.key]


def test_an_energy_level_asks_the_members_again_and_makes_candidates():
    given = constant(surviving_input(1), 0.2)
    settings = {"energy": {"lo": 0.001, "hi": 0.003}, "accuracy": 1.0, **RANDOM}
    asked = sampler(**settings).decide(given)
    assert isinstance(asked, InspectRequest)
    assert asked.members
    assert not asked.descriptors
    (seen,) = inspected(asked)
    energies = [0.0005, 0.002, 0.004]
    deviations = tuple(Deviation(0.2, None, energies[k % 3]) for k in range(len(seen.frames)))
    seen = replace(seen, deviations=deviations)
    (plan,) = sampler(**settings).decide(replace(given, inspected=(seen,))).plans
    chosen = {start.frame.key for start in plan.starts}
    # the force makes all candidates; an energy beyond its upper level makes a failure
    allowed = {f.frame.key for k, f in enumerate(seen.frames) if energies[k % 3] < 0.003}
    assert chosen <= allowed
    assert len(chosen) == min(100, len(allowed))


def test_nobody_looked_is_said():
    run = surviving_input(1).explorations[0]
    kept = [k for k, q in enumerate(run.trace.quantities) if q is not Quantity.MODEL_DEVIATION]
    quantities = tuple(run.trace.quantities[k] for k in kept)
    trace = replace(run.trace, quantities=quantities, values=run.trace.values[:, kept])
    given = replace(surviving_input(1), explorations=(replace(run, trace=trace),))
    decision = sampler(**RANDOM).decide(given)
    assert isinstance(decision, Exhausted)
    assert "nobody looked" in decision.reason


def test_it_needs_its_members_and_describers_only_for_choices_by_likeness():
    assert sampler().needs.members == 4
    assert sampler().needs.watch
    assert sampler().needs.descriptors
    assert not sampler(**RANDOM).needs.descriptors


@pytest.mark.parametrize("settings", [{"members": 1}, {"force": {"lo": 0.3, "hi": 0.2}}])
def test_settings_that_cannot_be_meant_are_refused(settings):
    with pytest.raises(ValueError, match=r"members|below hi"):
        CommitteeConfig(**settings)


# --------------------------------------------------------------------------- conditions


GRID = {"temperatures_k": [50, 300], "pressures_gpa": [0, 1.0]}


def test_a_grid_is_every_temperature_with_every_pressure():
    base = example_context().condition
    found = sampler(grid=GRID).conditions(base, 0)
    assert [(c.temperature_k, c.pressure_gpa) for c in found] == [
        (50, 0),
        (50, 1.0),
        (300, 0),
        (300, 1.0),
    ]
    assert all(c.ensemble is Ensemble.NPT for c in found)
    assert found[0].name == "md-50k-0gpa"
    free = sampler(grid={"temperatures_k": [50, 300]}).conditions(base, 0)
    assert [(c.temperature_k, c.ensemble) for c in free] == [
        (50, Ensemble.NVT),
        (300, Ensemble.NVT),
    ]


def test_a_system_that_bears_no_npt_is_run_at_constant_volume_once_a_temperature():
    base = example_context().condition
    slab = Frame(("Li",), np.zeros((1, 3)), np.eye(3) * 9, (True, True, False))
    for system in (System("slab", slab), example_context().system):
        found = sampler(grid=GRID).conditions(base, 0, system)
        assert [(c.temperature_k, c.ensemble) for c in found] == [
            (50, Ensemble.NVT),
            (300, Ensemble.NVT),
        ]
    bulk = System("bulk", replace(slab, pbc=(True, True, True), cell=np.eye(3) * 3.4))
    assert len(sampler(grid=GRID).conditions(base, 0, bulk)) == 4
    frozen = replace(bulk, frozen=(0,))
    assert len(sampler(grid=GRID).conditions(base, 0, frozen)) == 2


def test_vacuum_is_a_layer_along_any_face_of_a_skewed_cell():
    cell = np.array([[4.0, 0.0, 0.0], [2.0, 4.0, 0.0], [1.0, 2.0, 10.0]])
    # Heights over the faces: 4 / sqrt(1.25), 4 / sqrt(1.04) by hand, and 10 Å along z.
    atoms = Frame(("Li", "Li"), np.array([[0.0, 0.0, 0.0], [0.5, 1.0, 5.0]]), cell, (True,) * 3)
    assert widest_gap_angstrom(atoms) == pytest.approx(5.0)
    assert bears_pressure(System("bulk", atoms))
    near = replace(atoms, positions=np.array([[0.0, 0.0, 0.0], [0.3, 0.6, 13.0]]))  # not wrapped
    assert widest_gap_angstrom(near) == pytest.approx(7.0)
    assert not bears_pressure(System("slab", near))


def test_conditions_take_turns_and_all_have_to_be_accurate_in_a_row():
    settings = {"grid": {**GRID, "per_generation": 3}, "confirm": False, **RANDOM}
    base = example_context().condition
    names = [[c.name for c in sampler(**settings).conditions(base, g)] for g in range(3)]
    assert names[0] == ["md-50k-0gpa", "md-50k-1gpa", "md-300k-0gpa"]
    assert names[1] == ["md-300k-1gpa", "md-50k-0gpa", "md-50k-1gpa"]
    given = constant(surviving_input(2), 0.05)

    def after(*asked):
        history = tuple(GenerationSummary(k, (), "m", 0, asked=n) for k, n in enumerate(asked))
        return sampler(**settings).decide(replace(given, history=history))

    first = after(2)
    assert isinstance(first, Requests)
    assert first.plans == ()
    assert "1 more rounds" in first.reason
    assert isinstance(after(2, 0), Stable)
    assert isinstance(after(0, 2), Requests)

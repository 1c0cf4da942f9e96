from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sis_engine.errors import ConfigurationError, StopRequested
from sis_engine.interfaces import Capability, Context, LabelTask, Optimisation, Segment
from sis_engine.labelling.banked import BankedLabeler
from sis_engine.records import (
    Failure,
    Frame,
    Label,
    LabelFailure,
    Labelled,
    OptimiseSpec,
    Origin,
    Purpose,
    SegmentSpec,
    Start,
    System,
)
from sis_engine.reference_md import ReferenceMD
from sis_engine.reference_md.integrators import kinetic_energy, mechanics_of
from sis_engine.testing.fakes import FakeBank, FakeLabeler

ORIGIN = Origin(Purpose.SEGMENT, 2, "cube", "plan-1", 0)


def cube(frozen: tuple[int, ...] = ()) -> System:
    grid = 2.5 * np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)])
    return System("cube", Frame(("Ar",) * 8, grid), frozen=frozen)


def segment(system: System, **settings: object) -> Segment:
    spec = replace(SegmentSpec(n_steps=20, timestep_fs=2.0, temperature_k=100.0), **settings)
    return Segment(system, Start(system.frame), spec, ORIGIN)


def run(task: LabelTask, labeler: object = None, workdir: Path = Path()) -> list[object]:
    return list(ReferenceMD(labeler or FakeLabeler()).label(task, Context(workdir)))


def test_a_segment_yields_n_steps_results_beginning_with_the_start() -> None:
    system = cube()
    results = run(segment(system))
    assert len(results) == 20
    assert (results[0].frame.positions == system.frame.positions).all()
    assert [r.origin.index for r in results] == list(range(20))
    assert [r.origin.time_fs for r in results] == [2.0 * step for step in range(20)]
    assert all(r.velocities.shape == (8, 3) and r.temperature_k > 0.0 for r in results)


def test_every_result_is_there_before_the_next_evaluation_begins() -> None:
    labeler = FakeLabeler()
    steps = ReferenceMD(labeler).label(segment(cube()), Context(Path()))
    next(steps)
    next(steps)
    assert labeler.n_evaluations == 2


@pytest.mark.parametrize("thermostat", ["none", "csvr", "langevin", "nose-hoover"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(thermostat: str) -> None:
    task = segment(cube(), thermostat=thermostat, seed=3)
    first, second = run(task), run(task)
    other = run(segment(cube(), thermostat=thermostat, seed=4))
    assert first[-1].frame.key == second[-1].frame.key
    assert first[-1].frame.key != other[-1].frame.key


def test_nve_conserves_energy_with_an_error_of_second_order() -> None:
    def drift(timestep: float) -> float:
        task = segment(
            cube(),
            thermostat="none",
            timestep_fs=timestep,
            n_steps=int(400 / timestep),
            temperature_k=600.0,
        )
        mechanics = mechanics_of(task.system, task.start.frame.positions, "none")
        totals = np.array(
            [r.label.energy + kinetic_energy(mechanics, r.velocities) for r in run(task)]
        )
        return float(np.abs(totals - totals[0]).max())

    assert drift(8.0) / drift(4.0) == pytest.approx(4.0, rel=0.25)


def test_frozen_atoms_stay_where_they_are() -> None:
    system = cube(frozen=(1, 6))
    last = run(segment(system, thermostat="langevin", temperature_k=300.0))[-1]
    frozen = [1, 6]
    assert (last.frame.positions[frozen] == system.frame.positions[frozen]).all()
    assert (last.velocities[frozen] == 0.0).all()
    assert (last.frame.positions[0] != system.frame.positions[0]).all()


def test_given_velocities_are_used() -> None:
    system = cube()
    velocities = np.zeros((8, 3))
    velocities[0, 0] = 1e-3
    start = Start(system.frame, velocities=velocities)
    task = replace(segment(system, thermostat="none"), start=start)
    assert (run(task)[0].velocities == velocities).all()


class _Broken:
    """Gives a NaN, or a failure, or a huge force, from some evaluation on."""

    def __init__(self, fault: str, at: int) -> None:
        self.inner = FakeLabeler()
        self.capabilities = frozenset({Capability.SINGLE_POINT})
        self.fault, self.at = fault, at

    def level_of_theory(self, system: System) -> object:
        return self.inner.level_of_theory(system)

    def label(self, task: LabelTask, context: Context) -> Iterator[Labelled | LabelFailure]:
        for result in self.inner.label(task, context):
            if self.inner.n_evaluations <= self.at:
                yield result
            elif self.fault == "nan":
                yield replace(result, label=Label(np.nan, result.label.forces))
            elif self.fault == "huge":
                yield replace(result, label=Label(0.0, result.label.forces + 1e9))
            else:
                yield LabelFailure(
                    result.frame,
                    result.level,
                    result.origin,
                    Failure.NOT_CONVERGED,
                    "no convergence",
                )


@pytest.mark.parametrize(
    ("fault", "reason", "n_results"),
    [
        ("nan", Failure.NON_FINITE, 6),
        ("failure", Failure.NOT_CONVERGED, 6),
        ("huge", Failure.ABSURD, 7),
    ],
)
def test_a_fault_inside_a_segment_is_its_last_result(
    fault: str, reason: Failure, n_results: int
) -> None:
    results = run(segment(cube(), thermostat="none"), _Broken(fault, 5))
    assert len(results) == n_results
    assert all(isinstance(result, Labelled) for result in results[:-1])
    assert isinstance(results[-1], LabelFailure)
    assert results[-1].reason is reason
    assert results[-1].origin.index == n_results - 1


@pytest.mark.parametrize("thermostat", ["csvr", "langevin", "nose-hoover"])
def test_a_killed_segment_replays_from_the_bank_and_goes_on_bit_by_bit(thermostat: str) -> None:
    task = segment(cube(), thermostat=thermostat, seed=11)
    unkilled = run(task)
    bank = FakeBank()
    steps = ReferenceMD(BankedLabeler(FakeLabeler(), bank)).label(task, Context(Path()))
    for _ in range(8):
        next(steps)
    steps.close()  # the kill: eight labels are in the bank
    labeler = FakeLabeler()
    resumed = run(task, BankedLabeler(labeler, bank))
    assert labeler.n_evaluations == 12
    assert not any(r.cached for r in resumed)  # paid for by this campaign, for these origins
    for before, after in zip(unkilled, resumed, strict=True):
        assert before.frame.key == after.frame.key
        assert before.label.energy == after.label.energy
        assert (before.velocities == after.velocities).all()
        assert before.origin == after.origin


def test_a_stop_request_is_heard_between_steps() -> None:
    labeler = FakeLabeler()
    context = Context(Path(), stop=lambda: labeler.n_evaluations >= 3)
    with pytest.raises(StopRequested, match="step 3 of plan plan-1"):
        list(ReferenceMD(labeler).label(segment(cube()), context))


def test_an_optimisation_ends_at_the_force_it_was_asked_for() -> None:
    system = cube(frozen=(0,))
    rng = np.random.default_rng(0)
    start = replace(system.frame, positions=system.frame.positions + 0.1 * rng.normal(size=(8, 3)))
    task = Optimisation(system, Start(start), OptimiseSpec(0.2, 60), ORIGIN)
    results = run(task)
    largest = [np.sqrt((r.label.forces[1:] ** 2).sum(axis=1).max()) for r in results]
    assert largest[-1] <= 0.2
    assert min(largest[:-1]) > 0.2
    assert (results[-1].frame.positions[0] == start.positions[0]).all()
    assert results[-1].temperature_k is None


def test_an_optimisation_pays_for_no_more_than_max_steps() -> None:
    task = Optimisation(cube(), Start(cube().frame), OptimiseSpec(1e-9, 7), ORIGIN)
    assert len(run(task)) == 7


def test_a_start_with_other_atoms_is_refused() -> None:
    wrong = Start(Frame(("Ar",), [[0.0, 0.0, 0.0]]))
    with pytest.raises(ConfigurationError, match="other atoms"):
        run(replace(segment(cube()), start=wrong))


def test_the_lift_adds_segments_and_optimisations_to_what_a_labeler_can() -> None:
    lifted = ReferenceMD(FakeLabeler())
    assert {Capability.SEGMENT, Capability.OPTIMISE, Capability.VIRIAL} <= lifted.capabilities

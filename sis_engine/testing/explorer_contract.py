"""What every explorer must do. Subclass in a test file and say which explorer::

    class TestMine(ExplorerContract):
        def case(self) -> ExplorerCase: ...

The model should be a cheap one (Lennard-Jones argon will do): the contract is about MD, halts
and frames, not about energies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sis_engine.errors import StopRequested
from sis_engine.interfaces import Context, Explorer, MdTask
from sis_engine.records import (
    Condition,
    Ensemble,
    Exit,
    Exploration,
    Frame,
    FrameSet,
    HaltRule,
    Model,
    Quantity,
    Relation,
    Replica,
    Rounds,
    Sampling,
    System,
)
from sis_engine.units import AMU_ANGSTROM2_PER_FS2_EV, BOLTZMANN_EV_PER_K

_ALWAYS_ABOVE = {
    Quantity.TEMPERATURE: 1e-3,
    Quantity.POTENTIAL_ENERGY: -1e9,
    Quantity.ENERGY_JUMP: 1e-12,
    Quantity.HEAT: -1e9,
    Quantity.CONSERVED_DRIFT: -1e9,
    Quantity.MAX_KINETIC: 1e-12,
    Quantity.MAX_FORCE: 1e-12,
    Quantity.NEIGHBOURS: 0.5,
    Quantity.VOLUME: 1.0,
}
_SAMPLING = Sampling(trace_every_steps=10, ring_every_steps=5, ring_size=6, sparse_every_ps=0.05)


@dataclass(frozen=True, eq=False)
class ExplorerCase:
    """An explorer and a model it can run.

    solid: periodic, in all directions;  cluster: not periodic; both near a minimum, and of at
        least two elements of ``model`` in mixed order
    close_angstrom: a distance that some pair of atoms in them is surely closer than
    """

    explorer: Explorer
    model: Model
    solid: Frame
    cluster: Frame
    calculator: Callable[[Model], Any] | None = None
    condition: Condition = field(
        default_factory=lambda: Condition("cold", Ensemble.NVT, 30.0, 2.0, 0.2)
    )
    close_angstrom: float = 5.0

    def replica(self, frame: Frame, condition: Condition | None = None, **more: Any) -> Replica:
        """A replica of this frame; ``frozen`` among ``more`` freezes atoms."""
        system = System("contract", frame, frozen=tuple(more.pop("frozen", ())))
        given = {"id": "r0", "seed": 11, **more}
        return Replica(system=system, start=frame, condition=condition or self.condition, **given)

    def run(
        self, replica: Replica, rules: Sequence[HaltRule], workdir: Path, **more: Any
    ) -> Exploration:
        """The one result of one replica."""
        task = MdTask(self.model, (replica,), tuple(rules), _SAMPLING)
        (result,) = self.explorer.explore(task, Context(workdir, **more), self.calculator)
        return result


class ExplorerContract:
    """Tests that hold for any explorer."""

    def case(self) -> ExplorerCase:
        """Say which explorer, model and structures."""
        raise NotImplementedError

    def test_a_replica_completes_at_its_duration(self, tmp_path: Path) -> None:
        case = self.case()
        result = case.run(case.replica(case.cluster), [], tmp_path)
        assert result.exit is Exit.COMPLETED, result.message
        assert np.isclose(result.md_ps, 0.2)
        assert result.trace.time_fs[0] == 0.0
        assert np.isclose(result.trace.time_fs[-1], 200.0)
        assert np.isclose(result.frames[-1].time_fs, 200.0)

    def test_it_halts_at_the_first_check_after_a_rule_holds(self, tmp_path: Path) -> None:
        case = self.case()
        rule = HaltRule(
            "test", Quantity.TEMPERATURE, Relation.ABOVE, 1e-3, every_steps=20, after_fs=50.0
        )
        result = case.run(case.replica(case.cluster), [rule], tmp_path)
        assert result.exit is Exit.HALTED
        assert result.halted_by == rule
        assert result.value is not None
        assert rule.fires(result.value)
        assert np.isclose(result.md_ps, 0.080)  # step 40: the first multiple of 20 from 50 fs on
        assert np.isclose(result.frames[-1].time_fs, 80.0)

    def test_every_quantity_that_it_watches_can_halt(self, tmp_path: Path) -> None:
        case = self.case()
        for quantity, limit in _ALWAYS_ABOVE.items():
            if quantity not in case.explorer.watches:
                continue
            rule = HaltRule("test", quantity, Relation.ABOVE, limit, 10, after_fs=1.0)
            result = case.run(case.replica(case.solid), [rule], tmp_path)
            assert result.exit is Exit.HALTED, quantity
            assert result.value is not None
            assert rule.fires(result.value), quantity
            assert np.isclose(result.md_ps, 0.020), quantity

    def test_a_short_distance_of_a_pair_halts_with_its_exact_value(self, tmp_path: Path) -> None:
        case = self.case()
        first, second = sorted(set(case.cluster.species))[:2]
        rule = HaltRule(
            "test",
            Quantity.SHORTEST_DISTANCE,
            Relation.BELOW,
            case.close_angstrom,
            10,
            pair=(first, second),
            after_fs=1.0,
        )
        result = case.run(case.replica(case.cluster), [rule], tmp_path)
        assert result.exit is Exit.HALTED
        assert result.value is not None
        x = result.frames[-1].frame.positions
        is_first = np.array([s == first for s in case.cluster.species])
        is_second = np.array([s == second for s in case.cluster.species])
        distances = np.linalg.norm(x[is_first][:, None] - x[is_second][None], axis=2)
        assert np.isclose(result.value, distances.min())

    def test_rules_that_hold_are_silent(self, tmp_path: Path) -> None:
        case = self.case()
        rules = [
            HaltRule("test", quantity, Relation.BELOW, -1e12, 10)
            for quantity in _ALWAYS_ABOVE
            if quantity in case.explorer.watches
        ]
        rules.append(HaltRule("test", Quantity.SHORTEST_DISTANCE, Relation.BELOW, 0.1, 10))
        assert case.run(case.replica(case.solid), rules, tmp_path).exit is Exit.COMPLETED

    def test_a_start_that_breaks_a_rule_halts_at_step_0(self, tmp_path: Path) -> None:
        case = self.case()
        rule = HaltRule("test", Quantity.TEMPERATURE, Relation.ABOVE, 1.0, 20)
        result = case.run(case.replica(case.cluster), [rule], tmp_path)
        assert result.exit is Exit.HALTED
        assert result.md_ps == 0.0
        assert result.frames

    def test_a_mean_is_compared_once_its_window_is_full(self, tmp_path: Path) -> None:
        case = self.case()
        rule = HaltRule("test", Quantity.TEMPERATURE, Relation.ABOVE, 1.0, 10, average_fs=100.0)
        result = case.run(case.replica(case.cluster), [rule], tmp_path)
        assert result.exit is Exit.HALTED
        assert result.value is not None
        assert np.isclose(result.md_ps, 0.080)  # 5 samples 20 fs apart, the first at 0
        series = result.trace.series(Quantity.TEMPERATURE)
        assert series is not None
        assert np.isclose(result.value, series[:5].mean(), rtol=1e-10)

    def test_atoms_on_top_of_each_other_end_the_replica_and_not_the_campaign(
        self, tmp_path: Path
    ) -> None:
        case = self.case()
        positions = np.array(case.cluster.positions)
        positions[1] = positions[0]
        frame = Frame(case.cluster.species, positions)
        rule = HaltRule("test", Quantity.POTENTIAL_ENERGY, Relation.ABOVE, 1e6)
        result = case.run(case.replica(frame), [rule], tmp_path)
        assert result.exit in (Exit.HALTED, Exit.CRASHED)
        assert result.message

    def test_frames_are_dense_late_and_sparse_early_and_in_order(self, tmp_path: Path) -> None:
        case = self.case()
        result = case.run(case.replica(case.cluster), [], tmp_path)
        times = [frame.time_fs for frame in result.frames]
        assert times == sorted(set(times))
        # ring of 6 every 5 steps of 2 fs; sparse every 50 fs
        expected = [0.0, 50.0, 100.0, 150.0, 160.0, 170.0, 180.0, 190.0, 200.0]
        assert np.allclose(times, expected)

    def test_atoms_keep_their_order_and_are_not_wrapped(self, tmp_path: Path) -> None:
        case = self.case()
        shift = np.array([100.0, -50.0, 7.0])
        frame = replace(case.solid, positions=case.solid.positions + shift)
        result = case.run(case.replica(frame), [], tmp_path)
        for kept in result.frames:
            assert kept.frame.species == case.solid.species
            assert np.abs(kept.frame.positions - frame.positions).max() < 2.0
            assert kept.frame.cell is not None
            assert frame.cell is not None
            assert np.allclose(kept.frame.cell, frame.cell)

    def test_frozen_atoms_do_not_move(self, tmp_path: Path) -> None:
        case = self.case()
        frozen = (0, 3)
        result = case.run(case.replica(case.cluster, frozen=frozen), [], tmp_path)
        last = result.frames[-1]
        moved = np.linalg.norm(last.frame.positions - case.cluster.positions, axis=1)
        assert moved[list(frozen)].max() < 1e-12
        assert np.delete(moved, frozen).min() > 0.0
        assert last.forces is not None
        assert np.abs(last.forces[list(frozen)]).min() > 0.0  # the model's, not zeroed

    def test_the_same_seed_gives_the_same_bits(self, tmp_path: Path) -> None:
        case = self.case()
        runs = [case.run(case.replica(case.cluster, seed=s), [], tmp_path) for s in (5, 5, 6)]
        assert np.array_equal(runs[0].trace.values, runs[1].trace.values)
        ends = [run.frames[-1].frame.positions for run in runs]
        assert np.array_equal(ends[0], ends[1])
        assert not np.allclose(ends[0], ends[2])

    def test_trace_and_frames_tell_the_same_temperature(self, tmp_path: Path) -> None:
        from ase.data import atomic_masses, atomic_numbers

        case = self.case()
        result = case.run(case.replica(case.cluster), [], tmp_path)
        masses = np.array([atomic_masses[atomic_numbers[s]] for s in case.cluster.species])
        velocities = result.frames[-1].velocities
        assert velocities is not None
        kinetic = 0.5 * AMU_ANGSTROM2_PER_FS2_EV * float(masses @ np.sum(velocities**2, axis=1))
        series = result.trace.series(Quantity.KINETIC_ENERGY)
        temperature = result.trace.series(Quantity.TEMPERATURE)
        assert series is not None
        assert temperature is not None
        assert np.isclose(kinetic, series[-1], rtol=1e-6)
        n_f = 3 * len(masses) - 6  # a cluster that neither drifts nor rotates
        # LAMMPS's metal units have k_B of CODATA 2002, 1.1e-6 from ours
        assert np.isclose(temperature[-1], 2 * kinetic / n_f / BOLTZMANN_EV_PER_K, rtol=1e-5)
        assert np.isclose(temperature[0], 60.0, rtol=1e-6)  # twice the target

    def test_prediction_gives_what_md_used(self, tmp_path: Path) -> None:
        case = self.case()
        for start in (case.solid, case.cluster):
            result = case.run(case.replica(start), [], tmp_path)
            prediction = case.explorer.predict(
                case.model, _frame_set(result), Context(tmp_path), case.calculator
            )
            for k, frame in enumerate(result.frames):
                assert frame.energy is not None
                assert frame.forces is not None
                assert abs(prediction.energies[k] - frame.energy) < 1e-9
                assert np.abs(prediction.forces[k] - frame.forces).max() < 1e-9

    def test_only_npt_changes_the_volume(self, tmp_path: Path) -> None:
        case = self.case()
        npt = replace(case.condition, ensemble=Ensemble.NPT, pressure_gpa=0.5)
        result = case.run(case.replica(case.solid, npt), [], tmp_path)
        volumes = result.trace.series(Quantity.VOLUME)
        last = result.frames[-1].frame
        assert volumes is not None
        assert last.cell is not None
        assert abs(volumes[-1] / volumes[0] - 1.0) > 1e-4
        assert np.isclose(abs(np.linalg.det(last.cell)), volumes[-1])
        still = case.run(case.replica(case.solid), [], tmp_path).trace.series(Quantity.VOLUME)
        assert still is not None
        assert np.ptp(still) < 1e-9 * still[0]

    def test_it_continues_from_given_velocities(self, tmp_path: Path) -> None:
        case = self.case()
        first = case.run(case.replica(case.cluster), [], tmp_path).frames[-1]
        longer = replace(case.condition, duration_ps=0.3)
        replica = case.replica(
            first.frame, longer, velocities=first.velocities, time_offset_fs=200.0
        )
        result = case.run(replica, [], tmp_path)
        assert result.exit is Exit.COMPLETED
        assert np.isclose(result.trace.time_fs[0], 200.0)
        assert np.isclose(result.md_ps, 0.3)
        assert np.allclose(result.frames[0].frame.positions, first.frame.positions, atol=1e-10)
        assert result.frames[0].velocities is not None
        assert first.velocities is not None
        assert np.allclose(result.frames[0].velocities, first.velocities, atol=1e-12)

    def test_every_replica_gives_one_result(self, tmp_path: Path) -> None:
        case = self.case()
        replicas = [case.replica(case.cluster, id=f"r{k}", seed=k) for k in range(3)]
        task = MdTask(case.model, tuple(replicas), (), _SAMPLING)
        context = Context(tmp_path, threads=2)
        results = list(case.explorer.explore(task, context, case.calculator))
        assert sorted(result.replica.id for result in results) == ["r0", "r1", "r2"]

    def test_enough_failures_stop_the_others_at_the_end_of_their_round(
        self, tmp_path: Path
    ) -> None:
        """An explorer that knows no rounds runs all to their ends: that is no fault."""
        case = self.case()
        cold = replace(case.condition, temperature_k=1.0, minimise=True, velocity_factor=1.0)
        hot = replace(cold, temperature_k=4000.0, damping_fs=20.0, velocity_factor=2.0)
        replicas = (
            case.replica(case.cluster, hot, id="hot"),
            *(case.replica(case.cluster, cold, id=f"cold{k}", seed=k) for k in range(2)),
        )
        rule = HaltRule("m", Quantity.TEMPERATURE, Relation.ABOVE, 500.0, 2, after_fs=20.0)
        task = MdTask(case.model, replicas, (rule,), _SAMPLING, rounds=Rounds(0.06, 1))
        context = Context(tmp_path, threads=1)
        runs = {r.replica.id: r for r in case.explorer.explore(task, context, case.calculator)}
        assert runs.keys() == {"hot", "cold0", "cold1"}
        assert runs["hot"].exit is Exit.HALTED, runs["hot"].message
        ends = {runs[name].exit for name in ("cold0", "cold1")}
        assert ends in ({Exit.STOPPED}, {Exit.COMPLETED})
        if ends == {Exit.STOPPED}:
            for name in ("cold0", "cold1"):
                run = runs[name]
                assert np.isclose(run.md_ps, 0.06)
                assert np.isclose(run.trace.time_fs[-1], 60.0)
                assert np.isclose(run.frames[-1].time_fs, 60.0)

    def test_a_stop_is_obeyed(self, tmp_path: Path) -> None:
        case = self.case()
        longer = replace(case.condition, duration_ps=1e4)
        stopped = False
        try:
            case.run(case.replica(case.cluster, longer), [], tmp_path, stop=lambda: True)
        except StopRequested:
            stopped = True
        assert stopped


def _frame_set(result: Exploration) -> FrameSet:
    frames = [kept.frame for kept in result.frames]
    first = frames[0]
    cells = None
    if first.cell is not None:
        cells = np.stack([frame.cell for frame in frames if frame.cell is not None])
    return FrameSet(
        system="contract",
        species=first.species,
        pbc=first.pbc,
        positions=np.stack([frame.positions for frame in frames]),
        cells=cells,
        energies=np.zeros(len(frames)),
        forces=np.zeros((len(frames), first.n_atoms, 3)),
    )

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from sis_engine.records import (
    Dataset,
    DatasetPart,
    FrameSet,
    PlanOutcome,
    Purpose,
    Split,
    System,
)
from sis_engine.storage.splits import (
    SplitConfig,
    autocorrelation_frames,
    split_outcome,
    split_segment,
    support_of,
)
from tests.unit.storage.storage_samples import SPECIES, make_frame_set, make_labelled, make_outcome

SYSTEM = System("cluster", make_labelled(1)[0].frame)


def correlated(n: int, tau: float, seed: int = 0) -> np.ndarray:
    """An AR(1) series; its integrated autocorrelation time is known exactly."""
    rng = np.random.default_rng(seed)
    decay = np.exp(-1.0 / tau)
    series = np.zeros(n)
    for k in range(1, n):
        series[k] = decay * series[k - 1] + rng.normal()
    return series


@pytest.mark.parametrize("tau", [5.0, 20.0])
def test_the_autocorrelation_time_of_a_known_process_is_found(tau: float) -> None:
    decay = np.exp(-1.0 / tau)
    exact = 0.5 + decay / (1.0 - decay)
    found = autocorrelation_frames(correlated(20000, tau))
    assert found == pytest.approx(exact, rel=0.15)


def test_uncorrelated_and_constant_series_have_half_a_frame() -> None:
    noise = np.random.default_rng(0).normal(size=5000)
    assert autocorrelation_frames(noise) == pytest.approx(0.5, abs=0.1)
    assert autocorrelation_frames(np.full(100, -1234.5)) == 0.5
    assert autocorrelation_frames(np.array([1.0])) == 0.5


def test_validation_is_one_block_with_a_gap_of_correlation_times_on_both_sides() -> None:
    energies = correlated(1000, 5.0)
    config = SplitConfig()
    training, validation = split_segment(energies, config, seed=3)
    assert len(validation) == 100
    np.testing.assert_array_equal(np.diff(validation), 1)
    gap = np.ceil(2.0 * autocorrelation_frames(energies))
    distance = np.abs(training[:, None] - validation[None, :]).min()
    assert distance == gap + 1
    assert len(training) == 1000 - 100 - 2 * gap
    assert np.all(np.diff(training) > 0)


def test_the_place_of_the_block_is_seeded() -> None:
    energies = correlated(400, 3.0)
    places = {split_segment(energies, SplitConfig(), seed=k)[1][0] for k in range(20)}
    assert len(places) > 10
    again = split_segment(energies, SplitConfig(), seed=7)[1]
    np.testing.assert_array_equal(again, split_segment(energies, SplitConfig(), seed=7)[1])


def test_slow_drift_does_not_eat_the_data() -> None:
    training, validation = split_segment(np.linspace(0, 1, 200), SplitConfig(), seed=0)
    assert len(training) + len(validation) >= 180


@pytest.mark.parametrize("n", [0, 1, 2, 5, 19])
def test_short_segments_go_to_training_whole(n: int) -> None:
    training, validation = split_segment(np.zeros(n), SplitConfig(), seed=0)
    assert len(training) == n
    assert len(validation) == 0


def test_parts_of_a_plan_hold_each_frame_at_most_once_with_its_own_label() -> None:
    outcome = make_outcome(100)
    parts = split_outcome(outcome, SYSTEM, 2, SplitConfig(), seed=1)
    assert [part.split for part in parts] == [Split.TRAINING, Split.VALIDATION]
    assert len({part.name for part in parts}) == 2
    labels = {item.label.energy: item for item in outcome.labelled}
    seen = []
    for part in parts:
        assert part.generation == 2
        for k in range(part.frames.n_frames):
            item = labels[part.frames.energies[k]]
            np.testing.assert_array_equal(part.frames.forces[k], item.label.forces)
            np.testing.assert_array_equal(part.frames.positions[k], item.frame.positions)
            seen.append(item.origin.index)
    assert len(seen) == len(set(seen))


def test_single_points_go_to_training_and_every_kth_to_validation_when_asked() -> None:
    items = tuple(
        dataclasses.replace(i, origin=dataclasses.replace(i.origin, purpose=Purpose.SINGLE))
        for i in make_labelled(30)
    )
    outcome = dataclasses.replace(make_outcome(1), labelled=items)
    (only,) = split_outcome(outcome, SYSTEM, 0, SplitConfig(), seed=0)
    assert (only.split, only.frames.n_frames) == (Split.TRAINING, 30)
    config = SplitConfig(single_point_every=10)
    training, validation = split_outcome(outcome, SYSTEM, 0, config, seed=0)
    assert (training.frames.n_frames, validation.frames.n_frames) == (27, 3)
    assert validation.frames.energies[0] == items[9].label.energy


def test_forces_of_frozen_atoms_are_masked() -> None:
    system = dataclasses.replace(SYSTEM, frozen=(0, 4))
    (part,) = split_outcome(make_outcome(5), system, 0, SplitConfig(), seed=0)
    assert part.frames.force_mask is not None
    assert part.frames.force_mask.tolist() == [0, 1, 1, 1, 0, 1]
    (part,) = split_outcome(make_outcome(5), SYSTEM, 0, SplitConfig(), seed=0)
    assert part.frames.force_mask is None


def test_a_plan_without_labels_gives_no_parts() -> None:
    outcome: PlanOutcome = dataclasses.replace(make_outcome(1), labelled=())
    assert split_outcome(outcome, SYSTEM, 0, SplitConfig(), seed=0) == ()


def test_support_covers_all_parts_of_a_system_and_no_other() -> None:
    first, second = make_frame_set(20, seed=1), make_frame_set(30, seed=2)
    other = dataclasses.replace(make_frame_set(5, seed=3), system="other", energies=np.full(5, 1e6))
    parts = (
        DatasetPart("a", Split.TRAINING, 0, first),
        DatasetPart("b", Split.VALIDATION, 0, second),
        DatasetPart("c", Split.TRAINING, 0, other),
    )
    found = support_of(Dataset(parts), "cluster")
    assert found is not None
    energies = np.concatenate([first.energies, second.energies])
    assert found.n_frames == 50
    assert (found.energy_min, found.energy_max) == (energies.min(), energies.max())
    assert found.energy_mean == pytest.approx(energies.mean())
    assert found.energy_std == pytest.approx(energies.std())
    norms = [np.linalg.norm(p.forces, axis=2).max() for p in (first, second)]
    assert found.max_force == max(norms)
    by_pair = {d.pair: d.shortest_angstrom for d in found.distances}
    oxygens = [k for k, s in enumerate(SPECIES) if s == "O"]
    exact = min(
        np.linalg.norm(p.positions[:, oxygens[0]] - p.positions[:, oxygens[1]], axis=1).min()
        for p in (first, second)
    )
    assert by_pair["O", "O"] == pytest.approx(exact, abs=1e-5)
    assert ("Li", "Li") not in by_pair
    assert support_of(Dataset(parts), "absent") is None


def test_support_of_periodic_frames_sees_the_nearest_image() -> None:
    frames = FrameSet(
        "x", ("Li", "F"), (True,) * 3, np.array([[[0.2, 0, 0], [9.4, 0, 0]]]),
        np.eye(3)[None] * 10.0, np.zeros(1), np.zeros((1, 2, 3)),
    )  # fmt: skip
    found = support_of(Dataset((DatasetPart("a", Split.TRAINING, 0, frames),)), "x")
    assert found is not None
    assert found.distances[0].pair == ("F", "Li")
    assert found.distances[0].shortest_angstrom == pytest.approx(0.8, abs=1e-5)
